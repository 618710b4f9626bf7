//! Steps that several commands share.

mod apply_to_conversations;
mod require_active_caller;
mod require_agents;

pub(super) use apply_to_conversations::apply_to_conversations;
pub(super) use require_active_caller::require_active_caller;
pub(super) use require_agents::require_agents;
