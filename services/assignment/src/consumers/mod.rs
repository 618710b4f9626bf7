//! Reactions to the events of other services, one file each.

mod handed_off;
mod history;
mod load;

pub(crate) use handed_off::HandedOff;
pub(crate) use history::History;
pub(crate) use load::Load;
