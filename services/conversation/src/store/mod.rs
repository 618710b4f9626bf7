//! The statements. Each one that a caller's request reaches names the account; those of
//! [`conversation_batch`] serve all accounts, and so do those by which entries and contacts are indexed for searches.

pub(crate) mod account_jobs;
pub(crate) mod account_settings;
mod account_tables;
pub(crate) mod administrators;
pub(crate) mod agents;
pub(crate) mod attachment_storage;
pub(crate) mod attachments;
pub(crate) mod bots;
pub(crate) mod channels;
pub(crate) mod closing_facts;
pub(crate) mod closing_snapshots;
pub(crate) mod contact_jobs;
pub(crate) mod contacts;
pub(crate) mod conversation_batch;
pub(crate) mod conversations;
pub(crate) mod display_names;
mod entity;
pub(crate) mod entries;
pub(crate) mod erasure;
mod events;
pub(crate) mod identity_locks;
pub(crate) mod inbox;
pub(crate) mod inbox_page;
pub(crate) mod inserts;
mod keyset;
pub(crate) mod merged_contacts;
mod new_rows;
pub(crate) mod newest_entries;
pub(crate) mod objects;
pub(crate) mod opening_hours;
pub(crate) mod placeholder_values;
pub(crate) mod queued_conversations;
pub(crate) mod read_marks;
pub(crate) mod routing_policies;
pub(crate) mod search;
pub(crate) mod search_words;
pub(crate) mod teams;
pub(crate) mod tickets;
pub(crate) mod visitor_keys;
pub(crate) mod visitor_marks;
pub(crate) mod visitors;

pub(crate) use account_tables::ACCOUNT_TABLES;
pub(crate) use new_rows::NewRows;
