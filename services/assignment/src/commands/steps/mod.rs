//! Steps that several commands share.

mod administrator_name;
mod apply_to_conversations;
mod change_owner;
mod change_status;
mod record_paces;
mod require_active_caller;
mod require_targets;

use administrator_name::administrator_name;
pub(super) use apply_to_conversations::apply_to_conversations;
pub(crate) use change_owner::OwnerChange;
pub(super) use change_owner::{change_owner, first_answer};
pub(super) use change_status::change_status;
pub(crate) use change_status::save_status;
pub(super) use record_paces::record_paces;
pub(super) use require_active_caller::{find_active_caller, require_active_caller};
pub(super) use require_targets::require_targets;
