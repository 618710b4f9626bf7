//! What happened to a conversation, for the public events. The store adds what the row holds.

use std::collections::BTreeSet;

use frontdesk_clock::Time;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Actor, CloseReason, ClosingFacts, Owner};

/// Why the owner changed, for the history (rule A8). Stored as JSON: add, never rename.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum AssignmentCause {
    Started,
    /// An agent or administrator assigned or unassigned the conversation, or an agent took it over or replied in an
    /// unassigned one.
    ByHand,
    HandedOff,
    Reopened,
    Routed,
    AgentDeactivated,
    AgentUnreachable,
}

/// By what a conversation is routed (rule A4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Routing {
    /// None: the default policy.
    pub(crate) policy: Option<Uuid>,
    /// The team whose members get it. None: the policy says who does.
    pub(crate) team: Option<Uuid>,
    /// None: the contact has no owner, or there is no contact.
    pub(crate) contact_owner: Option<Uuid>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ConversationEvent {
    Started {
        /// With a bot: once the conversation leaves it. None: the conversation is not routed.
        routing: Option<Routing>,
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
        mentioned: BTreeSet<Uuid>,
    },
    AssigneeChanged(AssigneeChanged),
    HandedOff {
        bot_session: Uuid,
        bot: Uuid,
        /// The agent whom the bot names. None: the conversation becomes unassigned.
        agent: Option<Uuid>,
        routing: Routing,
        at: Time,
    },
    Closed(Closed),
    /// It was linked to a contact, a ticket or a sent transcript was recorded in its thread, its visitor signed in, or its properties were
    /// set.
    Updated,
    Reopened {
        by: Actor,
        /// The session whose timeout had closed it.
        timed_out_session: Option<Uuid>,
        /// None: the conversation is not routed.
        routing: Option<Routing>,
        /// The agent who owned it when it was closed.
        last_owner: Option<Uuid>,
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
