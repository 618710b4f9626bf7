//! The facts at a close that decide its transcript, stored with the close (rule T2).

use frontdesk_db::AccountId;
use uuid::Uuid;

use super::{AccountSettings, Channel, ContactEmail, Conversation, Ticket, TicketStatus, Visitor, VisitorLink};

/// The facts at a close, from other tables than the conversation's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClosingFacts {
    /// Address that the transcript goes to. None: there is none.
    pub(crate) recipient: Option<String>,
    /// Whether a signed token or an agent vouched for the address.
    pub(crate) recipient_verified: bool,
    pub(crate) had_ticket: bool,
    pub(crate) transcript_enabled: bool,
    /// None: the account's fallback sender.
    pub(crate) sender_id: Option<Uuid>,
    /// Whether the visitor's token had an address that mail cannot go to.
    pub(crate) token_email_unusable: bool,
    /// BCP 47 tag of the channel's language of transcripts. Empty: it has none.
    pub(crate) channel_language: String,
    /// The same of the account. Empty: it has none.
    pub(crate) account_language: String,
}

impl ClosingFacts {
    /// The conversation's contact, if it is the visitor's own. Addresses and tickets of a contact whom the visitor only
    /// claims to be are not theirs.
    pub(crate) fn own_contact(conversation: &Conversation, visitor: Option<&Visitor>) -> Option<Uuid> {
        linked_visitor(conversation, visitor)?.own_contact()
    }

    /// The facts of a close of the conversation now. `emails`: sorted addresses of the visitor's own contact
    /// ([`Self::own_contact`]). `tickets`: those of the conversation and of that contact, among others. `settings`: the account's. None:
    /// the defaults.
    pub(crate) fn new(
        conversation: &Conversation,
        visitor: Option<&Visitor>,
        channel: Option<&Channel>,
        emails: &[ContactEmail],
        tickets: &[Ticket],
        settings: Option<&AccountSettings>,
    ) -> Self {
        let own_tickets_only = settings.is_some_and(|settings| settings.own_tickets_only);
        let visitor = linked_visitor(conversation, visitor);
        let own_contact = visitor.and_then(Visitor::own_contact);
        let recipient = visitor.and_then(|visitor| recipient(visitor, emails));
        let recipient_verified = recipient.as_ref().is_some_and(|(_, verified)| *verified);
        let counts = |ticket: &Ticket| {
            ticket.account == conversation.account
                && (ticket.conversation_id == conversation.id
                    || (!own_tickets_only
                        && ticket.of_contact
                        && ticket.status == TicketStatus::Open
                        && Some(ticket.contact_id) == own_contact))
        };
        Self {
            recipient: recipient.map(|(address, _)| address),
            recipient_verified,
            had_ticket: tickets.iter().any(counts),
            transcript_enabled: channel.is_some_and(|channel| channel.transcript_enabled),
            sender_id: channel.and_then(|channel| channel.transcript_sender_id),
            token_email_unusable: !conversation.unusable_token_email.is_empty(),
            channel_language: channel.map(|channel| channel.language.clone()).unwrap_or_default(),
            account_language: settings.map(|settings| settings.language.clone()).unwrap_or_default(),
        }
    }

    /// The facts of a close because of an erasure: no mail is sent (rule X2).
    pub(crate) fn without_address(self) -> Self {
        Self { recipient: None, recipient_verified: false, token_email_unusable: false, ..self }
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

/// What is stored at one close: its facts, and values of the conversation's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClosingSnapshot {
    pub(crate) account: AccountId,
    pub(crate) conversation_id: Uuid,
    pub(crate) close_number: i32,
    pub(crate) contact_id: Option<Uuid>,
    pub(crate) had_bot_session: bool,
    pub(crate) had_agent: bool,
    pub(crate) last_sequence: i64,
    pub(crate) facts: ClosingFacts,
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
