//! The gRPC services. Each handler validates, calls one command or query, and converts.

mod bot_service;
mod bot_session_service;
mod convert;

pub(crate) use bot_service::Bots;
pub(crate) use bot_session_service::BotSessions;
