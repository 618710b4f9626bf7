//! Steps that several commands share.

mod add_ticket;
mod administrators;
mod append_message;
mod attach;
mod attachment_links;
mod change_conversation;
mod changed_assignee;
mod channel_references;
mod contact_owner;
mod fill_placeholders;
mod find_bot;
mod find_entry;
mod find_opening_hours;
mod find_routing_policy;
mod freeze_inserts;
mod identify_visitor;
mod language_of_contact;
mod link_visitor;
mod lock_identities;
mod property_types;
mod record_visitor_answer;
mod reject;
mod require_sender;
mod roster;
mod start;
mod take_typed_emails;
mod unlink_visitors;

pub(super) use add_ticket::{NewTicket, add_ticket};
pub(crate) use administrators::StoredAdministrators;
pub(super) use append_message::append_message;
pub(super) use attach::append_with_attachments;
pub(crate) use attachment_links::{
    ACCOUNT_EXPORTS_PATH, AttachmentLinks, EXPORTS_PATH, Link, LinkPurpose, PATH as ATTACHMENTS_PATH,
};
pub(super) use change_conversation::{Begun, ConversationChange};
pub(crate) use changed_assignee::{ChangedAssignee, StoredChange};
pub(super) use channel_references::{ChannelReferences, ReferenceCopies};
pub(super) use contact_owner::{find_contact_owner, require_active_owner, require_known_owner};
pub(super) use fill_placeholders::fill_placeholders;
pub(super) use find_entry::find_entry;
pub(super) use freeze_inserts::freeze_inserts;
pub(super) use identify_visitor::{
    LockedVisitor, Vouched, display_name, recognise, recognise_before_message, unusable_token_email,
};
pub(super) use language_of_contact::give_language;
pub(super) use link_visitor::{VisitorInChat, link_visitor, remove_if_unused, settle_tickets};
pub(super) use lock_identities::{Identities, lock_addresses};
pub(super) use property_types::require_property_types;
pub(super) use record_visitor_answer::{VisitorAnswer, record_visitor_answer};
pub(super) use reject::reject;
pub(crate) use roster::RosterKnowledge;
pub(super) use roster::{
    mention_caller, require_active, require_active_caller, require_known_agent, require_known_author,
    require_known_caller, require_still_active, take_over_agents,
};
pub(crate) use start::Started;
pub(super) use start::{MAX_START_ATTEMPTS, StoredStart, require_channel};
pub(super) use take_typed_emails::take_typed_emails;
pub(super) use unlink_visitors::take_conversations;
pub(crate) use unlink_visitors::unlink_visitors;
