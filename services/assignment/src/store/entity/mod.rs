//! Rows, one file for each table.

pub(crate) mod agent;
pub(crate) mod agent_status;
pub(crate) mod assignment;
pub(crate) mod conversation_owner;
pub(crate) mod opening_hours;
pub(crate) mod team;
pub(crate) mod team_member;
