//! The database of this service: statements and the mapping between rows and the domain, one module per table or question.
//! Every function takes the account. No rules: those are in `domain/`.

pub(crate) mod agents;
pub(crate) mod bots;
pub(crate) mod channels;
pub(crate) mod closing_facts;
pub(crate) mod closing_snapshots;
pub(crate) mod contacts;
pub(crate) mod conversations;
pub(crate) mod display_names;
mod entity;
pub(crate) mod entries;
mod events;
pub(crate) mod message_writer;
mod new_rows;
pub(crate) mod tickets;
pub(crate) mod visitor_keys;
pub(crate) mod visitors;

pub(crate) use new_rows::NewRows;
