//! The statements. Each one that a caller's request reaches names the account.

pub(crate) mod agents;
pub(crate) mod assignments;
#[allow(unreachable_pub, reason = "sea-orm derives public items of rows")]
mod entity;
pub(crate) mod events;
pub(crate) mod opening_hours;
