//! What a caller can ask, one file each. Commands ask [`find_missing_references()`] too.

mod find_missing_references;
mod get_bot;
mod get_bot_session;
mod list_account_rows;
mod list_bot_sessions;
mod list_bots;
mod list_turn_entries;
mod require_engine;

pub(crate) use find_missing_references::find_missing_references;
pub(crate) use get_bot::get_bot;
pub(crate) use get_bot_session::get_bot_session;
pub(crate) use list_account_rows::list_account_rows;
pub(crate) use list_bot_sessions::{SessionFilter, list_bot_sessions};
pub(crate) use list_bots::list_bots;
pub(crate) use list_turn_entries::list_turn_entries;
pub(crate) use require_engine::require_engine;
