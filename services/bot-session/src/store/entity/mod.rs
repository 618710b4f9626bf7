//! Rows of the tables.

pub(crate) mod bot;
pub(crate) mod bot_session;
