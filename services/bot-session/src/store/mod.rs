//! Statements on the service's tables. Every statement is for one account, except those of [`due_sessions`].

pub(crate) mod bots;
mod columns;
pub(crate) mod due_sessions;
#[allow(unreachable_pub, reason = "sea-orm derives public items of rows")]
mod entity;
pub(crate) mod events;
pub(crate) mod sessions;
