//! Reactions to the events of other services, one file each.

mod contact_erasures;
mod conversation_changes;
mod handed_off;
mod history;
mod load;

pub(crate) use contact_erasures::ContactErasures;
pub(crate) use handed_off::HandedOff;
pub(crate) use history::History;
pub(crate) use load::Load;
