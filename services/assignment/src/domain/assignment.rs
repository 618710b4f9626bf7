//! One owner of a conversation for one period of time (rule A8).

use frontdesk_clock::Time;
use uuid::Uuid;

use super::Actor;

/// One owner of a conversation, from one ownership epoch to the next or to a close. The end of the period is the [`PeriodEnd`] of its epoch,
/// otherwise the start of the next one, and is not part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) conversation: Uuid,
    /// Ownership epoch of the period: 1, 2, ...
    pub(crate) epoch: i64,
    /// None: the conversation is unassigned.
    pub(crate) owner: Option<Actor>,
    /// The actor who changed the owner. None: of a kind that only a newer version knows.
    pub(crate) by: Option<Actor>,
    /// Why the owner changed. None: a cause that only a newer version knows.
    pub(crate) cause: Option<AssignmentCause>,
    pub(crate) started_at: Time,
}

impl Assignment {
    /// Returns the owner and the actor who changed it, where there are such.
    pub(crate) fn actors(&self) -> impl Iterator<Item = &Actor> {
        [&self.owner, &self.by].into_iter().flatten()
    }
}

/// The close of a conversation, which ends the period of its epoch: a reopening begins the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PeriodEnd {
    pub(crate) conversation: Uuid,
    pub(crate) epoch: i64,
    pub(crate) closed_at: Time,
}

/// Why the owner of a conversation changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AssignmentCause {
    /// The conversation started.
    Started,
    /// An agent or administrator assigned or unassigned it, an agent took it over, or replied while it was unassigned.
    ByHand,
    /// The bot handed it off (rule B8).
    HandedOff,
    /// An agent reopened it (rule E4).
    Reopened,
    /// Routing gave it to an agent (rule A4).
    Routed,
    /// Its agent was deactivated (rule A2).
    AgentDeactivated,
    /// Its agent's client sent no heartbeats, and its visitor waited (rule A7).
    AgentUnreachable,
}

impl AssignmentCause {
    /// Returns whether the conversation went back from its agent: if it is routed, it waits for another one.
    pub(crate) fn gives_back(self) -> bool {
        matches!(self, Self::AgentDeactivated | Self::AgentUnreachable)
    }
}
