//! Rows, one file for each table.

pub(crate) mod bot;
pub(crate) mod bot_flow;
pub(crate) mod bot_session;
pub(crate) mod engine_turn;
pub(crate) mod opening_hours;
pub(crate) mod session_claim;
