//! A team member.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

/// A team member. Its id is the subject of the tokens that the platform issues for them, the same in each of their accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agent {
    pub(crate) id: Uuid,
    pub(crate) account: AccountId,
    pub(crate) name: String,
    pub(crate) handle: String,
    /// Empty: none.
    pub(crate) email: String,
    /// False: deactivated.
    pub(crate) active: bool,
    /// Number of the agent's events; also the etag.
    pub(crate) version: i64,
    pub(crate) created_at: Time,
}

/// New values of an edit. None: the field keeps its value.
#[derive(Clone, Debug, Default)]
pub(crate) struct AgentChange {
    pub(crate) name: Option<String>,
    pub(crate) handle: Option<String>,
    pub(crate) email: Option<String>,
}

/// Why a command on an agent is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// The agent is deactivated.
    AgentDeactivated,
    /// The agent was edited since the caller read it.
    EtagMismatch,
}

impl Agent {
    /// Returns a value that changes with every edit.
    pub(crate) fn etag(&self) -> String {
        self.version.to_string()
    }

    /// Edits the agent; an empty `etag` edits it unconditionally. Returns whether anything changed.
    pub(crate) fn update(&mut self, change: AgentChange, etag: &str) -> Result<bool, Rejection> {
        if !etag.is_empty() && etag != self.etag() {
            return Err(Rejection::EtagMismatch);
        }
        let before = (self.name.clone(), self.handle.clone(), self.email.clone());
        for (field, new) in
            [(&mut self.name, change.name), (&mut self.handle, change.handle), (&mut self.email, change.email)]
        {
            if let Some(new) = new {
                *field = new;
            }
        }
        let changed = before != (self.name.clone(), self.handle.clone(), self.email.clone());
        self.version += i64::from(changed);
        Ok(changed)
    }

    /// Takes the agent off the roster. Returns false when the agent was deactivated before.
    pub(crate) fn deactivate(&mut self) -> bool {
        let changed = std::mem::replace(&mut self.active, false);
        self.version += i64::from(changed);
        changed
    }

    /// Returns the agent, if conversations may be assigned to them (rule A2).
    pub(crate) fn require_active(self) -> Result<Self, Rejection> {
        if self.active { Ok(self) } else { Err(Rejection::AgentDeactivated) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada() -> Agent {
        Agent {
            id: Uuid::from_u128(1),
            account: AccountId(Uuid::from_u128(9)),
            name: "Ada".into(),
            handle: "ada".into(),
            email: String::new(),
            active: true,
            version: 1,
            created_at: Time(0),
        }
    }

    fn rename(name: &str) -> AgentChange {
        AgentChange { name: Some(name.into()), ..AgentChange::default() }
    }

    #[test]
    fn an_edit_that_changes_nothing_keeps_the_etag() {
        let mut agent = ada();
        assert_eq!(agent.update(rename("Ada"), "1"), Ok(false));
        assert_eq!(agent.etag(), "1");
        assert_eq!(agent.update(rename("Ada L"), "1"), Ok(true));
        assert_eq!(agent.update(AgentChange::default(), "1"), Err(Rejection::EtagMismatch));
    }

    #[test]
    fn a2_nothing_is_assigned_to_a_deactivated_agent() {
        let mut agent = ada();
        assert!(agent.clone().require_active().is_ok());
        assert!(agent.deactivate());
        assert!(!agent.deactivate(), "a repeat changes nothing");
        assert_eq!(agent.version, 2);
        assert_eq!(agent.require_active(), Err(Rejection::AgentDeactivated));
    }
}
