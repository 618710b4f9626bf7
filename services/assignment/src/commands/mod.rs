//! What a caller can do, one file each.

mod assign_conversation;
mod change_owner;
mod create_agent;
mod deactivate_agent;
mod take_over_conversation;
mod unassign_conversation;
mod update_agent;

pub(crate) use assign_conversation::{AssignConversation, assign_conversation};
pub(crate) use change_owner::{Owned, Wish};
pub(crate) use create_agent::{CreateAgent, create_agent};
pub(crate) use deactivate_agent::deactivate_agent;
pub(crate) use take_over_conversation::take_over_conversation;
pub(crate) use unassign_conversation::unassign_conversation;
pub(crate) use update_agent::{UpdateAgent, update_agent};
