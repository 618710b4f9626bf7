//! The gRPC services. A handler validates the request, calls a command or a query, and converts the result.

mod account_row_service;
mod bot_engine_service;
mod bot_service;
mod bot_session_service;
mod convert;
mod event_service;
mod watch_session;
mod watch_turns;

pub(crate) use account_row_service::AccountRows;
pub(crate) use bot_engine_service::Engines;
pub(crate) use bot_service::Bots;
pub(crate) use bot_session_service::BotSessions;
pub(crate) use event_service::Events;
