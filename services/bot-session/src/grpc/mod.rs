//! The gRPC services: open, convert, call, convert.

mod bot_service;
mod bot_session_service;
mod conversion;
mod flow;

pub(crate) use bot_service::Bots;
pub(crate) use bot_session_service::BotSessions;
