//! What the database holds. Every query is of one account.

pub(crate) mod agents;
pub(crate) mod assignments;
#[allow(unreachable_pub, reason = "sea-orm derives public items of rows")]
mod entity;
