//! Entries of a thread.

use frontdesk_clock::Time;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Actor, CloseReason, Owner};

/// A button of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Button {
    pub(crate) id: String,
    pub(crate) label: String,
}

/// The content of an entry. Stored as JSON: add, never rename.
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
        reason: CloseReason,
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
    /// A message without buttons.
    pub(crate) fn text(text: String) -> Self {
        Self::Message { text, buttons: Vec::new(), chosen_button_id: None }
    }

    /// Whether the visitor sees the entry (rules C3, C7). What is not named here stays with the team.
    pub(crate) fn is_visible_to_visitor(&self) -> bool {
        match self {
            Self::Message { .. } | Self::Closed { .. } | Self::Reopened { .. } => true,
            Self::AssigneeChanged { to, .. } => to.is_some_and(Owner::is_agent),
            Self::Comment { .. }
            | Self::HandedOff { .. }
            | Self::ContactLinked { .. }
            | Self::TicketCreated { .. }
            | Self::TranscriptSent { .. } => false,
        }
    }
}

/// An entry of a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) conversation_id: Uuid,
    /// Dense: 1, 2, 3 ... (rule C3).
    pub(crate) sequence: i64,
    /// Dense among the entries that the visitor sees. None: they do not see this one.
    pub(crate) visitor_sequence: Option<i64>,
    pub(crate) author: Actor,
    pub(crate) content: Content,
    pub(crate) created_at: Time,
}

impl Entry {
    /// The label of a button that the entry offers.
    pub(crate) fn button_label(&self, button_id: &str) -> Option<&str> {
        let Content::Message { buttons, .. } = &self.content else { return None };
        buttons.iter().find(|button| button.id == button_id).map(|button| button.label.as_str())
    }

    /// The newest message that offers buttons and whose choice is still to be made. `newest_first`: entries of the thread.
    pub(crate) fn open_question(newest_first: impl IntoIterator<Item = Self>) -> Option<Self> {
        for entry in newest_first {
            match &entry.content {
                Content::Message { buttons, .. } if !buttons.is_empty() => return Some(entry),
                Content::Message { chosen_button_id: Some(_), .. } => return None,
                _ => {}
            }
        }
        None
    }
}
