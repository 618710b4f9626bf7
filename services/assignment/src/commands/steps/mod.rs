//! Steps that several commands share.

mod change_owner;

pub(crate) use change_owner::OwnerChange;
pub(super) use change_owner::{change_owner, first_answer};
