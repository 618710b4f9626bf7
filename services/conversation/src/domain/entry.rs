//! Entries of a thread, and who writes them.

use frontdesk_clock::Time;
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The kind of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum OwnerKind {
    Agent,
    Bot,
}

/// Who a conversation is assigned to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Owner {
    pub kind: OwnerKind,
    pub id: Uuid,
}

impl Owner {
    pub(crate) fn agent(id: Uuid) -> Self {
        Self { kind: OwnerKind::Agent, id }
    }
}

/// The kind of an author.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum AuthorKind {
    Visitor,
    Agent,
    Bot,
    System,
}

/// Who wrote or did something.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Author {
    pub kind: AuthorKind,
    pub id: String,
}

impl Author {
    pub(crate) fn new(kind: AuthorKind, id: impl ToString) -> Self {
        Self { kind, id: id.to_string() }
    }

    pub(crate) fn system() -> Self {
        Self { kind: AuthorKind::System, id: String::new() }
    }
}

/// A button of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Button {
    pub id: String,
    pub label: String,
}

/// What an entry is. Stored as JSON: add, never rename.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Content {
    Message {
        text: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        buttons: Vec<Button>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        chosen_button_id: Option<String>,
    },
    Comment {
        text: String,
    },
    AssigneeChanged {
        from: Option<Owner>,
        to: Option<Owner>,
        epoch: i64,
    },
    HandedOff {
        reason: String,
        epoch: i64,
    },
    Closed {
        reason: super::CloseReason,
        close_number: i32,
    },
    Reopened {
        epoch: i64,
    },
    ContactLinked {
        contact_id: Uuid,
    },
    TicketCreated {
        ticket_id: Uuid,
    },
    TranscriptSent {
        delivery_id: Uuid,
        manual: bool,
    },
}

impl Content {
    /// A plain message.
    pub(crate) fn text(text: String) -> Self {
        Self::Message { text, buttons: Vec::new(), chosen_button_id: None }
    }

    /// Does the visitor see it (rules C3, C7)? What is not named here stays with the team.
    pub(crate) fn visible_to_visitor(&self) -> bool {
        match self {
            Self::Message { .. } | Self::Closed { .. } | Self::Reopened { .. } => true,
            Self::AssigneeChanged { to, .. } => to.is_some_and(|owner| owner.kind == OwnerKind::Agent),
            Self::Comment { .. }
            | Self::HandedOff { .. }
            | Self::ContactLinked { .. }
            | Self::TicketCreated { .. }
            | Self::TranscriptSent { .. } => false,
        }
    }
}

/// A line of a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub conversation_id: Uuid,
    pub sequence: i64,
    pub visitor_sequence: Option<i64>,
    pub author: Author,
    pub content: Content,
    pub created_at: Time,
}
