//! Rows.

pub(crate) mod agent;
pub(crate) mod assignment;
