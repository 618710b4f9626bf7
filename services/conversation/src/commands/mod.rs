//! What a caller can do, one file each.
//!
//! A command begins a transaction, loads the row locked, lets the domain decide, saves and commits. Messages go through the
//! message writer instead, which does the same for a batch.

mod apply_agent;
mod apply_bot;
mod change_assignee;
mod choose_button;
mod claim_anonymous_chats;
mod close_by_bot;
mod close_conversation;
mod close_idle_conversations;
mod create_anonymous_visitor;
mod create_attachment;
mod create_attachment_link;
mod create_channel;
mod create_contact;
mod create_insert;
mod create_ticket;
mod delete_channel;
mod delete_insert;
mod hand_off;
mod leave_address;
mod link_contact;
mod mark_chat_read;
mod mark_read;
mod post_comment;
mod post_message;
mod record_answer;
mod reopen_conversation;
mod rotate_visitor_key;
mod send_message;
mod set_conversation_properties;
mod signal_typing;
mod start_chat;
mod start_conversation;
mod steps;
mod store_attachment;
mod undelete_channel;
mod undelete_insert;
mod update_channel;
mod update_contact;
mod update_insert;
mod update_ticket;

pub(crate) use apply_agent::apply_agent;
pub(crate) use apply_bot::apply_bot;
pub(crate) use change_assignee::{ChangeAssignee, change_assignee};
pub(crate) use choose_button::{ChooseButton, choose_button};
pub(crate) use claim_anonymous_chats::claim_anonymous_chats;
pub(crate) use close_by_bot::{CloseByBot, close_by_bot};
pub(crate) use close_conversation::{CloseConversation, close_conversation};
pub(crate) use close_idle_conversations::{IdleOutcome, IdleTimeout, close_idle_conversations};
pub(crate) use create_anonymous_visitor::{CreateAnonymousVisitor, create_anonymous_visitor};
pub(crate) use create_attachment::{AttachmentUse, CreateAttachment, create_attachment};
pub(crate) use create_attachment_link::{create_attachment_link, create_chat_attachment_link};
pub(crate) use create_channel::{CreateChannel, create_channel};
pub(crate) use create_contact::{CreateContact, create_contact};
pub(crate) use create_insert::{CreateInsert, create_insert};
pub(crate) use create_ticket::{CreateTicket, create_ticket};
pub(crate) use delete_channel::delete_channel;
pub(crate) use delete_insert::delete_insert;
pub(crate) use hand_off::{HandOff, hand_off};
pub(crate) use leave_address::{LeaveAddress, LeftAddresses, leave_address};
pub(crate) use link_contact::{LinkContact, link_contact};
pub(crate) use mark_chat_read::mark_chat_read;
pub(crate) use mark_read::{Mark, MarkRead, mark_read};
pub(crate) use post_comment::{PostComment, post_comment};
pub(crate) use post_message::{PostMessage, post_message};
pub(crate) use record_answer::{RecordAnswer, record_answer};
pub(crate) use reopen_conversation::{ReopenConversation, reopen_conversation};
pub(crate) use rotate_visitor_key::{RotateVisitorKey, rotate_visitor_key};
pub(crate) use send_message::{SendMessage, send_message};
pub(crate) use set_conversation_properties::{SetConversationProperties, set_conversation_properties};
pub(crate) use signal_typing::{RecentSignals, signal_team_typing, signal_visitor_typing};
pub(crate) use start_chat::{StartChat, start_chat};
pub(crate) use start_conversation::{GivenContact, StartConversation, start_conversation};
pub(crate) use steps::{
    ATTACHMENTS_PATH, AttachmentLinks, Link, LinkPurpose, RosterKnowledge, Started, StoredAdministrators,
};
pub(crate) use store_attachment::{StoreOutcome, store_attachment};
pub(crate) use undelete_channel::undelete_channel;
pub(crate) use undelete_insert::undelete_insert;
pub(crate) use update_channel::{UpdateChannel, update_channel};
pub(crate) use update_contact::{UpdateContact, update_contact};
pub(crate) use update_insert::{UpdateInsert, update_insert};
pub(crate) use update_ticket::{UpdateTicket, update_ticket};
