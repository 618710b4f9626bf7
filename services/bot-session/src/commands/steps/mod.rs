//! Steps that several commands share.

mod apply_to_conversations;
mod end_turns;
mod require_active_caller;
mod require_references;

pub(super) use apply_to_conversations::apply_to_conversations;
pub(super) use end_turns::end_turns;
pub(super) use require_active_caller::require_active_caller;
pub(super) use require_references::{require_references, store_opening_hours};
