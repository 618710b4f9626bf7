//! A team member.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

use super::{Capacity, Rejection};

/// A team member. Its id is the subject of the tokens that the platform issues for them, the same in each of their accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agent {
    pub(crate) id: Uuid,
    pub(crate) account: AccountId,
    pub(crate) name: String,
    pub(crate) handle: String,
    /// Empty: none.
    pub(crate) email: String,
    pub(crate) capacity: Capacity,
    /// Number of the agent's events; also the etag.
    pub(crate) version: i64,
    pub(crate) created_at: Time,
    /// When the agent was last changed.
    pub(crate) updated_at: Time,
    /// None: the agent is active.
    pub(crate) deactivated_at: Option<Time>,
}

/// New values of an edit. None: the field keeps its value.
#[derive(Clone, Debug, Default)]
pub(crate) struct AgentChange {
    pub(crate) name: Option<String>,
    pub(crate) handle: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) capacity: Option<Capacity>,
}

impl Agent {
    /// Returns a value that changes with every change of the agent.
    pub(crate) fn etag(&self) -> String {
        self.version.to_string()
    }

    /// Edits the agent; an empty `etag` edits unconditionally. Returns whether anything changed: the repeat of an edit that took
    /// effect changes nothing, and succeeds whatever its etag (rule C12).
    pub(crate) fn update(&mut self, change: AgentChange, etag: &str, now: Time) -> Result<bool, Rejection> {
        let AgentChange { name, handle, email, capacity } = change;
        let name = name.unwrap_or_else(|| self.name.clone());
        let handle = handle.unwrap_or_else(|| self.handle.clone());
        let email = email.unwrap_or_else(|| self.email.clone());
        let capacity = capacity.unwrap_or(self.capacity);
        if (&name, &handle, &email, capacity) == (&self.name, &self.handle, &self.email, self.capacity) {
            return Ok(false);
        }
        if !etag.is_empty() && etag != self.etag() {
            return Err(Rejection::EtagMismatch("agent"));
        }
        (self.name, self.handle, self.email, self.capacity) = (name, handle, email, capacity);
        self.changed(now);
        Ok(true)
    }

    /// Deactivates the agent. Returns false when the agent is deactivated already.
    pub(crate) fn deactivate(&mut self, now: Time) -> bool {
        if !self.is_active() {
            return false;
        }
        self.deactivated_at = Some(now);
        self.changed(now);
        true
    }

    /// Makes the agent active again. Returns false when the agent is active already.
    pub(crate) fn reactivate(&mut self, now: Time) -> bool {
        if self.is_active() {
            return false;
        }
        self.deactivated_at = None;
        self.changed(now);
        true
    }

    /// Gives the agent the version after `version`, which another service has of them already.
    pub(crate) fn overtake(&mut self, version: i64, now: Time) {
        self.version = self.version.max(version);
        self.changed(now);
    }

    /// Returns whether conversations may be assigned to the agent (rule A2).
    pub(crate) fn is_active(&self) -> bool {
        self.deactivated_at.is_none()
    }

    /// Returns the agent, if conversations may be assigned to them (rule A2).
    pub(crate) fn require_active(self) -> Result<Self, Rejection> {
        if self.is_active() { Ok(self) } else { Err(Rejection::AgentDeactivated) }
    }

    fn changed(&mut self, now: Time) {
        self.version += 1;
        self.updated_at = self.updated_at.max(now);
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
            email: "ada@example.org".into(),
            capacity: Capacity::default(),
            version: 1,
            created_at: Time(0),
            updated_at: Time(0),
            deactivated_at: None,
        }
    }

    fn rename(name: &str) -> AgentChange {
        AgentChange { name: Some(name.into()), ..AgentChange::default() }
    }

    #[test]
    fn c12_an_edit_whose_content_is_there_succeeds_whatever_its_etag() {
        let mut agent = ada();
        assert_eq!(agent.update(rename("Ada"), "1", Time(1)), Ok(false));
        assert_eq!(agent.update(rename("Ada L"), "1", Time(2)), Ok(true));
        assert_eq!((agent.etag().as_str(), agent.updated_at), ("2", Time(2)));
        let before = agent.clone();
        assert_eq!(agent.update(rename("Ada L"), "1", Time(3)), Ok(false), "a repeat with the old etag");
        assert_eq!(agent.update(rename("Ada"), "1", Time(3)), Err(Rejection::EtagMismatch("agent")));
        assert_eq!(agent, before);
    }

    #[test]
    fn an_edit_clears_the_address_and_keeps_what_is_not_set() {
        let mut agent = ada();
        let clear = AgentChange { email: Some(String::new()), ..AgentChange::default() };
        assert_eq!(agent.update(clear, "", Time(1)), Ok(true));
        assert_eq!((agent.name.as_str(), agent.handle.as_str(), agent.email.as_str()), ("Ada", "ada", ""));
    }

    #[test]
    fn a_capacity_is_five_until_it_is_changed() {
        let mut agent = ada();
        assert_eq!(agent.capacity, Capacity::Conversations(5));
        let change = |capacity| AgentChange { capacity: Some(capacity), ..AgentChange::default() };
        assert_eq!(agent.update(change(Capacity::Conversations(5)), "", Time(1)), Ok(false));
        assert_eq!(agent.update(change(Capacity::Unlimited), "1", Time(2)), Ok(true));
        assert_eq!(agent.update(rename("Ada L"), "", Time(3)), Ok(true));
        assert_eq!((agent.capacity, agent.version), (Capacity::Unlimited, 3));
    }

    #[test]
    fn a2_nothing_is_assigned_to_a_deactivated_agent_until_they_are_reactivated() {
        let mut agent = ada();
        assert!(!agent.reactivate(Time(1)), "active already");
        assert!(agent.clone().require_active().is_ok());
        assert!(agent.deactivate(Time(2)));
        assert!(!agent.deactivate(Time(3)), "a repeat changes nothing");
        assert_eq!((agent.version, agent.updated_at, agent.deactivated_at), (2, Time(2), Some(Time(2))));
        assert_eq!(agent.clone().require_active(), Err(Rejection::AgentDeactivated));
        assert!(agent.reactivate(Time(4)));
        assert_eq!((agent.version, agent.updated_at, agent.deactivated_at), (3, Time(4), None));
        assert!(agent.require_active().is_ok());
    }
}
