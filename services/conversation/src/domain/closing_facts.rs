//! What a close freezes for the decision about its transcript (rule T2).

use frontdesk_db::AccountId;
use uuid::Uuid;

use super::{Channel, ContactEmail, Conversation, Ticket, TicketStatus, Visitor, VisitorLink};

/// Facts from other tables that a close freezes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClosingFacts {
    /// Address that the transcript goes to. None: there is none.
    pub recipient: Option<String>,
    /// Whether a signed token or an agent vouched for the address.
    pub recipient_verified: bool,
    pub had_ticket: bool,
    pub transcript_enabled: bool,
    /// None: the account's fallback sender.
    pub sender_id: Option<Uuid>,
}

/// Rows that the facts of one conversation follow from.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ClosingSources<'a> {
    pub visitor: Option<&'a Visitor>,
    pub channel: Option<&'a Channel>,
    /// Addresses of the visitor's own contact ([`ClosingFacts::own_contact`]), sorted.
    pub emails: &'a [ContactEmail],
    /// Tickets of the conversation and of the visitor's own contact, among others.
    pub tickets: &'a [Ticket],
}

impl ClosingFacts {
    /// The conversation's contact, if it is the visitor's own. Addresses and tickets of a contact whom the visitor only
    /// claims to be are not theirs.
    pub(crate) fn own_contact(conversation: &Conversation, visitor: Option<&Visitor>) -> Option<Uuid> {
        linked_visitor(conversation, visitor)?.own_contact()
    }

    /// The facts that a close of the conversation would freeze now.
    pub(crate) fn new(conversation: &Conversation, sources: ClosingSources<'_>) -> Self {
        let visitor = linked_visitor(conversation, sources.visitor);
        let own_contact = visitor.and_then(Visitor::own_contact);
        let recipient = visitor.and_then(|visitor| recipient(visitor, sources.emails));
        let recipient_verified = recipient.as_ref().is_some_and(|(_, verified)| *verified);
        let counts = |ticket: &Ticket| {
            ticket.account == conversation.account
                && (ticket.conversation_id == conversation.id
                    || (ticket.status == TicketStatus::Open && Some(ticket.contact_id) == own_contact))
        };
        Self {
            recipient: recipient.map(|(address, _)| address),
            recipient_verified,
            had_ticket: sources.tickets.iter().any(counts),
            transcript_enabled: sources.channel.is_some_and(|channel| channel.transcript_enabled),
            sender_id: sources.channel.and_then(|channel| channel.transcript_sender_id),
        }
    }
}

/// The visitor, if the conversation belongs to the contact they are linked to.
fn linked_visitor<'a>(conversation: &Conversation, visitor: Option<&'a Visitor>) -> Option<&'a Visitor> {
    visitor.filter(|visitor| Some(visitor.contact_id) == conversation.contact_id)
}

/// The address that the visitor's transcript goes to, and whether it is verified: the address that their token vouched for
/// or that they typed, otherwise the first one of their own contact; never an address that another visitor gave to a contact.
fn recipient(visitor: &Visitor, emails: &[ContactEmail]) -> Option<(String, bool)> {
    if visitor.link == VisitorLink::Claimed {
        return visitor.address.clone().map(|address| (address, false));
    }
    let vouched_for = emails.iter().find(|email| Some(&email.address) == visitor.address.as_ref());
    vouched_for.or(emails.first()).map(|email| (email.address.clone(), email.verified))
}

/// What one close froze: its facts, and what the conversation's row held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClosingSnapshot {
    pub account: AccountId,
    pub conversation_id: Uuid,
    pub close_number: i32,
    pub contact_id: Option<Uuid>,
    pub had_bot_session: bool,
    pub had_agent: bool,
    pub last_sequence: i64,
    pub facts: ClosingFacts,
}

impl ClosingSnapshot {
    /// The snapshot of the conversation as it is now.
    pub(crate) fn new(conversation: &Conversation, facts: ClosingFacts) -> Self {
        Self {
            account: conversation.account,
            conversation_id: conversation.id,
            close_number: conversation.close_number,
            contact_id: conversation.contact_id,
            had_bot_session: conversation.bot_session.is_some(),
            had_agent: conversation.had_agent,
            last_sequence: conversation.last_sequence,
            facts,
        }
    }
}
