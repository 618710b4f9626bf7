//! The tables, as sea-orm sees them.

pub(crate) mod agents;
pub(crate) mod bots;
pub(crate) mod channels;
pub(crate) mod closes;
pub(crate) mod contact_emails;
pub(crate) mod contacts;
pub(crate) mod conversations;
pub(crate) mod entries;
pub(crate) mod tickets;
pub(crate) mod visitor_keys;
pub(crate) mod visitors;
