//! What the database holds. Every query is of one account.

pub(crate) mod agents;
pub(crate) mod assignments;
mod entity;
