//! A ticket: a task that outlives its conversation (rule X3).

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

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
    pub(crate) subject: String,
    pub(crate) status: TicketStatus,
    pub(crate) url: String,
    pub(crate) created_at: Time,
    /// Number of the ticket's events.
    pub(crate) version: i64,
}

/// What an edit changes. None: unchanged.
#[derive(Clone, Debug, Default)]
pub(crate) struct TicketUpdate {
    pub(crate) subject: Option<String>,
    pub(crate) status: Option<TicketStatus>,
}

impl Ticket {
    /// Edits the ticket. False: nothing changed.
    pub(crate) fn update(&mut self, update: TicketUpdate) -> bool {
        let before = self.clone();
        if let Some(subject) = update.subject {
            self.subject = subject;
        }
        self.status = update.status.unwrap_or(self.status);
        *self != before
    }
}
