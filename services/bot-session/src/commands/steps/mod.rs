//! Steps that several commands share.

mod apply_to_conversations;
mod end_turns;
mod require_active_caller;
mod require_agents;
mod require_agents_of_parts;

pub(super) use apply_to_conversations::apply_to_conversations;
pub(super) use end_turns::end_turns;
pub(super) use require_active_caller::require_active_caller;
pub(super) use require_agents::require_agents;
pub(super) use require_agents_of_parts::require_agents_of_parts;
