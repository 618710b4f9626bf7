//! Steps that several commands share.

mod add_unknown_caller;
mod apply_to_conversations;
mod change_owner;
mod change_status;
mod record_paces;
mod require_active_caller;
mod require_targets;
mod shown_name;

pub(super) use add_unknown_caller::add_unknown_caller;
pub(super) use apply_to_conversations::apply_to_conversations;
pub(crate) use change_owner::OwnerChange;
pub(super) use change_owner::{change_owner, first_answer};
pub(super) use change_status::change_status;
pub(crate) use change_status::save_status;
pub(super) use record_paces::record_paces;
pub(super) use require_active_caller::{find_active_caller, require_active_caller};
pub(super) use require_targets::require_targets;
use shown_name::{administrator_name, shown_name};
