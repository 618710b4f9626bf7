//! An agent, as this service knows them: the roster belongs to the assignment service.

use frontdesk_db::AccountId;
use uuid::Uuid;

use super::Rejection;

/// The local copy of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agent {
    pub(crate) account: AccountId,
    pub(crate) id: Uuid,
    pub(crate) name: String,
    /// None: a call named the agent, and the roster has not answered or published anything about them yet.
    pub(crate) roster: Option<RosterState>,
}

/// The state of an agent on the roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RosterState {
    pub(crate) active: bool,
    /// Version of the agent on the roster; the newer one wins.
    pub(crate) version: i64,
}

impl Agent {
    /// An agent whose name comes from a call, until the roster's answer or event arrives.
    pub(crate) fn mentioned(account: AccountId, id: Uuid, name: &str) -> Self {
        Self { account, id, name: name.to_owned(), roster: None }
    }

    /// Whether this state replaces the other one.
    pub(crate) fn is_newer_than(&self, other: &Self) -> bool {
        self.version() > other.version()
    }

    /// `read`: the agent as another service read them, active. A caller that sends no version does not say when.
    pub(crate) fn require_not_deactivated_since(&self, read: &Self) -> Result<(), Rejection> {
        match (self.roster, read.roster) {
            (Some(roster), Some(_)) if !roster.active => Err(Rejection::AgentInactive),
            _ => Ok(()),
        }
    }

    /// Version on the roster. None: it is not known yet.
    fn version(&self) -> Option<i64> {
        self.roster.map(|roster| roster.version)
    }

    /// An agent's message may make them the assignee, so they must be on the roster and active.
    pub(crate) fn require_active(agent: Option<&Self>) -> Result<(), Rejection> {
        match agent.and_then(|agent| agent.roster) {
            None => Err(Rejection::AgentUnknown),
            Some(roster) if !roster.active => Err(Rejection::AgentInactive),
            Some(_) => Ok(()),
        }
    }
}
