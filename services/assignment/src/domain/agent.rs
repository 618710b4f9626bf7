//! A team member.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

use crate::error::AssignmentError;

/// A team member. Its id is the subject of the tokens that the platform issues for them, the same in each of their accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agent {
    pub(crate) id: Uuid,
    pub(crate) account: AccountId,
    pub(crate) name: String,
    pub(crate) handle: String,
    /// Empty: none.
    pub(crate) email: String,
    pub(crate) active: bool,
    /// Counts the agent's events; also the etag.
    pub(crate) version: i64,
    pub(crate) created_at: Time,
}

/// What an edit changes; None: as it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct AgentChange {
    pub(crate) name: Option<String>,
    pub(crate) handle: Option<String>,
    pub(crate) email: Option<String>,
}

impl Agent {
    /// Changes with every edit.
    pub(crate) fn etag(&self) -> String {
        self.version.to_string()
    }

    /// Edits the agent. False: it was already so.
    pub(crate) fn update(&mut self, change: AgentChange, etag: &str) -> Result<bool, AssignmentError> {
        if !etag.is_empty() && etag != self.etag() {
            return Err(AssignmentError::EtagMismatch);
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

    /// Takes the agent off the roster. False: it was already so.
    pub(crate) fn deactivate(&mut self) -> bool {
        let changed = std::mem::replace(&mut self.active, false);
        self.version += i64::from(changed);
        changed
    }

    /// The agent, if something may be assigned to them.
    pub(crate) fn assignable(self) -> Result<Self, AssignmentError> {
        if self.active { Ok(self) } else { Err(AssignmentError::AgentDeactivated) }
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

    #[test]
    fn an_edit_that_changes_nothing_keeps_the_etag() {
        let mut agent = ada();
        assert!(!agent.update(AgentChange { name: Some("Ada".into()), ..AgentChange::default() }, "1").unwrap());
        assert_eq!(agent.etag(), "1");
        assert!(agent.update(AgentChange { name: Some("Ada L".into()), ..AgentChange::default() }, "1").unwrap());
        assert!(matches!(agent.update(AgentChange::default(), "1"), Err(AssignmentError::EtagMismatch)));
    }

    #[test]
    fn a2_nothing_is_assigned_to_a_deactivated_agent() {
        let mut agent = ada();
        assert!(agent.clone().assignable().is_ok());
        assert!(agent.deactivate());
        assert!(!agent.deactivate(), "twice changes nothing");
        assert_eq!(agent.version, 2);
        assert!(matches!(agent.assignable(), Err(AssignmentError::AgentDeactivated)));
    }
}
