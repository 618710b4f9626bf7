//! The tables. Every query is within one account, apart from the claims of the worker, which serves all.

pub(crate) mod decisions;
pub(crate) mod deliveries;
pub(crate) mod entity;
pub(crate) mod limits;
pub(crate) mod senders;
