//! Rows, one file for each table.

pub(crate) mod agent;
pub(crate) mod assignment;
pub(crate) mod opening_hours;
