//! The database of this service: one module per thing, no rules of business. Every function takes the account.

pub(crate) mod bots;
pub(crate) mod changes;
pub(crate) mod channels;
pub(crate) mod closes;
pub(crate) mod contacts;
mod conversation_events;
pub(crate) mod conversations;
pub(crate) mod entity;
pub(crate) mod entries;
pub(crate) mod many;
pub(crate) mod names;
pub(crate) mod tickets;
pub(crate) mod visitor_keys;
pub(crate) mod writer;

/// The source of this service's events.
pub(crate) const SOURCE: &str = "conversation";
