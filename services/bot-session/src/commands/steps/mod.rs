//! Steps that several commands share.

mod require_agents;

pub(super) use require_agents::require_agents;
