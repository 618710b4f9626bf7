//! Rows of the tables, and their mapping to the domain.

pub(crate) mod account_settings;
pub(crate) mod administrator;
pub(crate) mod agent;
pub(crate) mod attachment;
pub(crate) mod attachment_storage;
pub(crate) mod bot;
pub(crate) mod channel;
pub(crate) mod closing_snapshot;
pub(crate) mod contact;
pub(crate) mod contact_email;
pub(crate) mod contact_job;
pub(crate) mod contact_job_conversation;
pub(crate) mod conversation;
pub(crate) mod entry;
pub(crate) mod insert;
pub(crate) mod merged_contact;
pub(crate) mod opening_hours;
pub(crate) mod read_mark;
pub(crate) mod search_mark;
pub(crate) mod team;
pub(crate) mod team_member;
mod text_column;
pub(crate) mod ticket;
pub(crate) mod visitor;
pub(crate) mod visitor_key;
pub(crate) mod visitor_mark;
