//! Steps that several commands share.

mod append_message;
mod change_conversation;
mod find_bot;
mod find_entry;
mod identify_visitor;
mod reject;
mod roster;
mod take_typed_emails;

pub(super) use append_message::append_message;
pub(super) use change_conversation::{Begun, ConversationChange};
pub(super) use find_bot::find_bot;
pub(super) use find_entry::find_entry;
pub(super) use identify_visitor::{
    VisitorInChat, contact_of_visitor, display_name, link_visitor, recognise, recognise_before_message,
    record_visitor_answer, unusable_token_email,
};
pub(super) use reject::reject;
pub(crate) use roster::RosterKnowledge;
pub(super) use roster::{
    mention_agent, require_active, require_active_agent, require_known_agent, require_still_active,
};
pub(super) use take_typed_emails::take_typed_emails;
