//! Whether a conversation is open, and why it was closed.

use serde::{Deserialize, Serialize};

/// The status of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Status {
    Open,
    Closed,
}

impl Status {
    /// As rows and errors spell it: add, never rename.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Closed => "CLOSED",
        }
    }
}

/// Why a conversation was closed. Stored as JSON: add, never rename.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum CloseReason {
    Agent,
    VisitorInactive,
    BotCompleted,
}

impl CloseReason {
    /// As rows and errors spell it: add, never rename.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "AGENT",
            Self::VisitorInactive => "VISITOR_INACTIVE",
            Self::BotCompleted => "BOT_COMPLETED",
        }
    }
}
