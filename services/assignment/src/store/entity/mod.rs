//! Rows, one file for each table.

pub(crate) mod administrator;
pub(crate) mod agent;
pub(crate) mod agent_return;
pub(crate) mod agent_status;
pub(crate) mod assignment;
pub(crate) mod assignment_close;
pub(crate) mod conversation_owner;
pub(crate) mod opening_hours;
pub(crate) mod queue_pace;
pub(crate) mod queued_conversation;
pub(crate) mod routing_account;
pub(crate) mod routing_policy;
pub(crate) mod routing_turn;
pub(crate) mod team;
pub(crate) mod team_member;
