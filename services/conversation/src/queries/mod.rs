//! What a caller can ask, one file each.
//!
//! All reads of one query share a connection, except those of pages of the inbox, which have connections of their own. A visitor gets only
//! what the allow-list in `grpc/convert` passes.

mod find_names;
mod get_account_job;
mod get_attachment;
mod get_attachment_limits;
mod get_channel;
mod get_chat;
mod get_closing_facts;
mod get_contact;
mod get_contact_job;
mod get_conversation;
mod get_insert;
mod get_settings;
mod get_ticket;
mod get_visitor_properties;
mod get_widget;
mod is_visitor_key_active;
mod list_account_jobs;
mod list_attachments;
mod list_changed_conversations;
mod list_channels;
mod list_chat_entries;
mod list_chats;
mod list_contact_jobs;
mod list_contacts;
mod list_conversations;
mod list_deleted_references;
mod list_entries;
mod list_erased_conversations;
mod list_inserts;
mod list_merged_contacts;
mod list_tickets;
mod list_visitor_keys;
mod missing_contact;
mod render_insert;
mod resolve_contacts;
mod resolve_team;
mod search_conversations;
mod watch_chat_entries;

pub(crate) use find_names::{find_author_name, find_names, find_owner_names};
pub(crate) use get_account_job::{find_account_job, get_account_job};
pub(crate) use get_attachment::{find_attachment, get_attachment, get_chat_attachment};
pub(crate) use get_attachment_limits::get_attachment_limits;
pub(crate) use get_channel::get_channel;
pub(crate) use get_chat::{get_chat, read_chat};
pub(crate) use get_closing_facts::get_closing_facts;
pub(crate) use get_contact::get_contact;
pub(crate) use get_contact_job::{find_contact_job, get_contact_job};
pub(crate) use get_conversation::get_conversation;
pub(crate) use get_insert::get_insert;
pub(crate) use get_settings::get_settings;
pub(crate) use get_ticket::get_ticket;
pub(crate) use get_visitor_properties::get_visitor_properties;
pub(crate) use get_widget::{Widget, get_widget};
pub(crate) use is_visitor_key_active::is_visitor_key_active;
pub(crate) use list_account_jobs::list_account_jobs;
pub(crate) use list_attachments::list_attachments;
pub(crate) use list_changed_conversations::{CHANGED_ROWS, CURSOR_OVERLAP, ChangedAfter, list_changed_conversations};
pub(crate) use list_channels::list_channels;
pub(crate) use list_chat_entries::list_chat_entries;
pub(crate) use list_chats::list_chats;
pub(crate) use list_contact_jobs::list_contact_jobs;
pub(crate) use list_contacts::{list_contacts, search_contacts};
pub(crate) use list_conversations::{Inbox, list_conversations};
pub(crate) use list_deleted_references::list_deleted_references;
pub(crate) use list_entries::{begin_watch, list_entries, watch_entries};
pub(crate) use list_erased_conversations::{ErasedConversations, list_erased_conversations};
pub(crate) use list_inserts::list_inserts;
pub(crate) use list_merged_contacts::list_merged_contacts;
pub(crate) use list_tickets::list_tickets;
pub(crate) use list_visitor_keys::list_visitor_keys;
pub(crate) use missing_contact::missing_contact;
pub(crate) use render_insert::render_insert;
pub(crate) use resolve_contacts::resolve_contacts;
pub(crate) use resolve_team::{require_same_members, resolve_team};
pub(crate) use search_conversations::{FoundConversations, search_conversations};
pub(crate) use watch_chat_entries::{begin_chat_watch, watch_chat_entries};

use crate::error::ConversationError;
pub(crate) use crate::store::{
    contacts::ContactFilter,
    display_names::DisplayNames,
    inbox::{AssigneeFilter, Filter, InboxOrder},
    inserts::InsertFilter,
    search::SearchFilter,
};

/// Maximum number of entries that one read of a watch returns.
const WATCH_ENTRIES: usize = 100;

/// Refuses to read after a number that is beyond the last one.
fn check_cursor(after: i64, last: i64) -> Result<(), ConversationError> {
    if after > last { Err(ConversationError::CursorOutOfRange { last }) } else { Ok(()) }
}
