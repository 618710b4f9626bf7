//! A ticket: a task that outlives its conversation (rule X3).

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

use super::TicketChange;

/// The status of a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TicketStatus {
    Open,
    Closed,
}

impl TicketStatus {
    /// As rows and errors spell it: add, never rename.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Closed => "CLOSED",
        }
    }
}

/// A ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) id: Uuid,
    pub(crate) account: AccountId,
    pub(crate) conversation_id: Uuid,
    pub(crate) contact_id: Uuid,
    /// Whether the ticket counts for its contact. False: the visitor of its conversation only typed the contact's address, and it
    /// counts for that conversation alone (rule X1).
    pub(crate) of_contact: bool,
    pub(crate) subject: String,
    pub(crate) status: TicketStatus,
    /// Link to it in the customer's helpdesk. Empty: none.
    pub(crate) url: String,
    pub(crate) created_at: Time,
    pub(crate) updated_at: Time,
    /// Number of the ticket's events; also its etag.
    pub(crate) version: i64,
}

/// What an update changes. None: unchanged.
#[derive(Clone, Debug, Default)]
pub(crate) struct TicketUpdate {
    pub(crate) subject: Option<String>,
    pub(crate) status: Option<TicketStatus>,
    pub(crate) url: Option<String>,
}

impl Ticket {
    pub(crate) fn etag(&self) -> String {
        self.version.to_string()
    }

    /// The ticket after its conversation's visitor was verified to be this contact. None: it counted for a contact before.
    pub(crate) fn settled(&self, contact_id: Uuid) -> Option<Self> {
        (!self.of_contact).then(|| Self { contact_id, of_contact: true, ..self.clone() })
    }

    /// The ticket after its contact was merged into another one.
    pub(crate) fn moved_to(&self, contact_id: Uuid) -> Self {
        Self { contact_id, ..self.clone() }
    }

    /// The ticket without its texts, after the erasure of its contact (rule X2).
    pub(crate) fn erased(&self) -> Self {
        Self { subject: String::new(), url: String::new(), ..self.clone() }
    }

    /// What differs in the ticket after a change, for the thread of its conversation.
    pub(crate) fn change_to(&self, after: &Self) -> TicketChange {
        TicketChange {
            ticket_id: self.id,
            subject: (self.subject != after.subject).then(|| after.subject.clone()),
            previous_subject: (self.subject != after.subject).then(|| self.subject.clone()),
            closed: (self.status != after.status).then_some(after.status == TicketStatus::Closed),
            url: (self.url != after.url).then(|| after.url.clone()),
        }
    }

    /// The ticket after the update. None: the update changes nothing.
    pub(crate) fn updated(&self, update: TicketUpdate) -> Option<Self> {
        let after = Self {
            subject: update.subject.unwrap_or_else(|| self.subject.clone()),
            status: update.status.unwrap_or(self.status),
            url: update.url.unwrap_or_else(|| self.url.clone()),
            ..self.clone()
        };
        (after != *self).then_some(after)
    }
}
