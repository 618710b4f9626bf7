//! Signals about a conversation, which are stored nowhere (rule C13).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Actor;

/// What happens in a conversation now. Sent to other replicas as JSON: add, never rename.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Signal {
    Typing {
        author: Author,
        /// Whether they write a comment.
        comment: bool,
    },
    /// The visitor's marks rose.
    VisitorMarks(VisitorMarks),
    /// The team has read more: up to this visitor sequence.
    TeamMark { read: i64 },
}

/// Who writes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Author {
    Visitor {
        id: String,
        name: String,
    },
    Agent {
        id: Uuid,
        name: String,
    },
    /// An administrator, by the subject of their token; for `author_id` see [`super::Administrator`].
    Admin {
        id: String,
        author_id: Uuid,
        name: String,
    },
}

/// How far a visitor has a chat, by visitor sequences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct VisitorMarks {
    pub(crate) delivered: i64,
    pub(crate) read: i64,
}

impl VisitorMarks {
    /// The marks after the widget reported these. What the visitor has seen was received.
    pub(crate) fn raised(self, reported: Self) -> Self {
        let read = self.read.max(reported.read);
        Self { delivered: self.delivered.max(reported.delivered).max(read), read }
    }
}

impl Author {
    pub(crate) fn actor(&self) -> Actor {
        match self {
            Self::Visitor { id, .. } => Actor::visitor(id),
            Self::Agent { id, .. } => Actor::agent(*id),
            Self::Admin { id, .. } => Actor::admin(id),
        }
    }

    pub(crate) fn name(&self) -> &str {
        let (Self::Visitor { name, .. } | Self::Agent { name, .. } | Self::Admin { name, .. }) = self;
        name
    }
}
