//! What a caller can do, one file each.

mod assign_conversation;
mod create_agent;
mod create_opening_hours;
mod deactivate_agent;
mod delete_opening_hours;
mod reactivate_agent;
mod steps;
mod take_over_conversation;
mod unassign_conversation;
mod undelete_opening_hours;
mod update_agent;
mod update_opening_hours;

pub(crate) use assign_conversation::assign_conversation;
pub(crate) use create_agent::{CreateAgent, create_agent};
pub(crate) use create_opening_hours::{CreateOpeningHours, create_opening_hours};
pub(crate) use deactivate_agent::deactivate_agent;
pub(crate) use delete_opening_hours::delete_opening_hours;
pub(crate) use reactivate_agent::reactivate_agent;
pub(crate) use steps::OwnerChange;
pub(crate) use take_over_conversation::take_over_conversation;
pub(crate) use unassign_conversation::unassign_conversation;
pub(crate) use undelete_opening_hours::undelete_opening_hours;
pub(crate) use update_agent::{UpdateAgent, update_agent};
pub(crate) use update_opening_hours::{UpdateOpeningHours, update_opening_hours};
