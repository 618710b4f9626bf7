//! What happened to a conversation, for the public events. The store adds what the row holds.

use frontdesk_clock::Time;
use uuid::Uuid;

use super::{Actor, CloseReason, ClosingFacts, Owner};

/// Why the owner changed, for the history (rule A8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AssignmentCause {
    Started,
    /// An agent assigned, took or left the conversation, or replied in an unassigned one.
    ByHand,
    HandedOff,
    Reopened,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ConversationEvent {
    Started {
        to_routing: bool,
    },
    MessagePosted {
        sequence: i64,
        visitor_sequence: i64,
        author: Actor,
        /// The session in charge when the message was posted.
        bot_session: Option<Uuid>,
    },
    CommentPosted {
        sequence: i64,
        author: Actor,
    },
    AssigneeChanged(AssigneeChanged),
    HandedOff {
        bot_session: Uuid,
        bot: Uuid,
        /// The agent whom the bot proposes. None: routing decides.
        agent: Option<Uuid>,
        at: Time,
    },
    Closed(Closed),
    Reopened {
        by: Actor,
        at: Time,
    },
}

/// A change of owner.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AssigneeChanged {
    /// The epoch that began.
    pub(crate) epoch: i64,
    pub(crate) from: Option<Owner>,
    pub(crate) to: Option<Owner>,
    pub(crate) by: Actor,
    pub(crate) cause: AssignmentCause,
    /// The session that the change took out of charge.
    pub(crate) ended_session: Option<Uuid>,
    pub(crate) at: Time,
}

/// A close.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Closed {
    pub(crate) reason: CloseReason,
    pub(crate) by: Actor,
    pub(crate) facts: ClosingFacts,
    /// The session that was in charge.
    pub(crate) bot_session: Option<Uuid>,
    pub(crate) at: Time,
}
