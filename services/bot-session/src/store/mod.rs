//! The statements. Each one that a caller's request reaches names the account; those of [`due_sessions`] and [`session_claims`] serve all
//! accounts.

mod account_tables;
pub(crate) mod bots;
mod columns;
pub(crate) mod due_sessions;
pub(crate) mod engine_turns;
#[allow(unreachable_pub, reason = "sea-orm derives public items of rows")]
mod entity;
pub(crate) mod events;
pub(crate) mod flows;
pub(crate) mod opening_hours;
pub(crate) mod session_claims;
pub(crate) mod sessions;

pub(crate) use account_tables::ACCOUNT_TABLES;
