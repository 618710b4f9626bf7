//! What a caller can do, one file each.

mod assign_conversation;
mod create_agent;
mod deactivate_agent;
mod reactivate_agent;
mod steps;
mod take_over_conversation;
mod unassign_conversation;
mod update_agent;

pub(crate) use assign_conversation::assign_conversation;
pub(crate) use create_agent::{CreateAgent, create_agent};
pub(crate) use deactivate_agent::deactivate_agent;
pub(crate) use reactivate_agent::reactivate_agent;
pub(crate) use steps::OwnerChange;
pub(crate) use take_over_conversation::take_over_conversation;
pub(crate) use unassign_conversation::unassign_conversation;
pub(crate) use update_agent::{UpdateAgent, update_agent};
