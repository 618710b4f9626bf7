//! A routing policy: which agents get a conversation that waits, and how one of them is chosen (rule A4).

use std::{collections::BTreeSet, time::Duration};

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Rejection;

/// A routing policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoutingPolicy {
    pub(crate) id: Uuid,
    pub(crate) account: AccountId,
    pub(crate) name: String,
    pub(crate) rules: RoutingRules,
    /// Number of the policy's events; also the etag.
    pub(crate) version: i64,
    pub(crate) created_at: Time,
    /// When it was last changed.
    pub(crate) updated_at: Time,
    /// None: it is not deleted.
    pub(crate) deleted_at: Option<Time>,
}

/// The content of a policy. Stored as JSON: add, never rename.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RoutingRules {
    /// At least one, in the order in which they join.
    pub(crate) steps: Vec<RoutingStep>,
    pub(crate) strategy: RoutingStrategy,
    pub(crate) only_available: bool,
    /// None: it is always open.
    pub(crate) opening_hours: Option<Uuid>,
    pub(crate) outside: OutsideHours,
    /// The message to visitors who wait outside of the opening hours, in each language. Empty: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) outside_texts: Vec<LocalizedText>,
    /// How long after an agent vanished their conversations go back to the queue. None: they stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) take_back_after: Option<Duration>,
}

/// A text in one language. Stored as JSON: add, never rename.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LocalizedText {
    /// BCP 47 tag.
    pub(crate) language: String,
    pub(crate) text: String,
}

/// Agents who can get a conversation, and when the next step joins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RoutingStep {
    pub(crate) agents: BTreeSet<Uuid>,
    pub(crate) teams: BTreeSet<Uuid>,
    pub(crate) contact_owner: bool,
    pub(crate) anybody: bool,
    /// How long after this step began the next one joins. None: never.
    pub(crate) widen_after: Option<Duration>,
}

/// How one of several agents is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum RoutingStrategy {
    /// The one to whom routing gave a conversation the longest time ago.
    RoundRobin,
    /// The one with the fewest open conversations; among several, as in round robin.
    FewestOpen,
}

/// What happens outside of the opening hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum OutsideHours {
    /// Conversations wait until it opens.
    Wait,
    /// They leave routing.
    Unassigned,
}

/// New values of an edit. None: the field keeps its value.
#[derive(Clone, Debug, Default)]
pub(crate) struct RoutingPolicyChange {
    pub(crate) name: Option<String>,
    pub(crate) rules: Option<RoutingRules>,
}

impl RoutingRules {
    /// The rules of conversations without a policy: any available agent, fewest open conversations first.
    pub(crate) fn of_default_policy() -> Self {
        Self {
            steps: vec![RoutingStep { anybody: true, ..RoutingStep::default() }],
            strategy: RoutingStrategy::FewestOpen,
            only_available: true,
            opening_hours: None,
            outside: OutsideHours::Wait,
            outside_texts: Vec::new(),
            take_back_after: None,
        }
    }

    /// Returns the steps that have joined for a conversation that waits since this time, and when the next one joins.
    pub(crate) fn joined(&self, since: Time, now: Time) -> (&[RoutingStep], Option<Time>) {
        let mut joins_at = since;
        for (place, step) in self.steps.iter().enumerate() {
            let is_last = place + 1 == self.steps.len();
            let Some(after) = step.widen_after.filter(|_| !is_last) else { return (&self.steps[..=place], None) };
            joins_at = joins_at.plus(after);
            if joins_at > now {
                return (&self.steps[..=place], Some(joins_at));
            }
        }
        (&self.steps[..], None)
    }

    /// Returns the rules for a conversation that only the members of this team get.
    pub(crate) fn of_team(self, team: Uuid) -> Self {
        let step = RoutingStep { teams: BTreeSet::from([team]), ..RoutingStep::default() };
        Self { steps: vec![step], ..self }
    }

    /// Returns whether a step prefers the contact's owner.
    pub(crate) fn names_contact_owner(&self) -> bool {
        self.steps.iter().any(|step| step.contact_owner)
    }
}

impl RoutingPolicy {
    /// Returns a value that changes with every change of the policy.
    pub(crate) fn etag(&self) -> String {
        self.version.to_string()
    }

    /// Edits the policy; an empty `etag` edits unconditionally. Returns whether anything changed: the repeat of an edit that took
    /// effect changes nothing, and succeeds whatever its etag (rule C12).
    pub(crate) fn update(&mut self, change: RoutingPolicyChange, etag: &str, now: Time) -> Result<bool, Rejection> {
        if self.deleted_at.is_some() {
            return Err(Rejection::RoutingPolicyDeleted);
        }
        let name = change.name.unwrap_or_else(|| self.name.clone());
        let rules = change.rules.unwrap_or_else(|| self.rules.clone());
        if (&name, &rules) == (&self.name, &self.rules) {
            return Ok(false);
        }
        if !etag.is_empty() && etag != self.etag() {
            return Err(Rejection::EtagMismatch("routing policy"));
        }
        (self.name, self.rules) = (name, rules);
        self.changed(now);
        Ok(true)
    }

    /// Deletes the policy. Returns false when it is deleted already.
    pub(crate) fn delete(&mut self, now: Time) -> bool {
        if self.deleted_at.is_some() {
            return false;
        }
        self.deleted_at = Some(now);
        self.changed(now);
        true
    }

    /// Undoes the deletion. Returns false when it is not deleted.
    pub(crate) fn undelete(&mut self, now: Time) -> bool {
        if self.deleted_at.take().is_none() {
            return false;
        }
        self.changed(now);
        true
    }

    fn changed(&mut self, now: Time) {
        self.version += 1;
        self.updated_at = self.updated_at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(widen_after: Option<u64>) -> RoutingStep {
        RoutingStep { widen_after: widen_after.map(Duration::from_secs), ..RoutingStep::default() }
    }

    fn policy() -> RoutingPolicy {
        RoutingPolicy {
            id: Uuid::from_u128(1),
            account: AccountId(Uuid::from_u128(9)),
            name: "Sales".into(),
            rules: RoutingRules::of_default_policy(),
            version: 1,
            created_at: Time(0),
            updated_at: Time(0),
            deleted_at: None,
        }
    }

    #[test]
    fn a4_rules_of_the_release_before_are_read() {
        let stored =
            r#"{"steps":[],"strategy":"ROUND_ROBIN","only_available":true,"opening_hours":null,"outside":"WAIT"}"#;
        let rules: RoutingRules = serde_json::from_str(stored).unwrap();
        assert_eq!((rules.outside_texts.len(), rules.take_back_after), (0, None));
        assert_eq!(serde_json::to_string(&rules).unwrap(), stored, "it reads these");
    }

    #[test]
    fn a4_the_next_step_joins_when_the_conversation_has_waited_long_enough() {
        let steps = vec![step(Some(10)), step(Some(20)), step(Some(5))];
        let rules = RoutingRules { steps, ..RoutingRules::of_default_policy() };
        let second = |seconds: u64| Time(7).plus(Duration::from_secs(seconds));
        for (age, joined, next) in [(0, 1, Some(10)), (9, 1, Some(10)), (10, 2, Some(30)), (30, 3, None), (99, 3, None)]
        {
            let (steps, joins_at) = rules.joined(Time(7), second(age));
            assert_eq!((steps.len(), joins_at), (joined, next.map(second)), "after {age} seconds");
        }
        let never = RoutingRules { steps: vec![step(None), step(None)], ..rules };
        assert_eq!(never.joined(Time(7), second(99)), (&never.steps[..1], None));
    }

    #[test]
    fn c12_an_edit_whose_content_is_there_succeeds_whatever_its_etag() {
        let mut policy = policy();
        let rename = |name: &str| RoutingPolicyChange { name: Some(name.into()), ..RoutingPolicyChange::default() };
        assert_eq!(policy.update(rename("Sales"), "7", Time(1)), Ok(false));
        assert_eq!(policy.update(rename("Shop"), "1", Time(2)), Ok(true));
        assert_eq!(policy.update(rename("Shop"), "1", Time(3)), Ok(false), "a repeat with the old etag");
        assert_eq!(policy.update(rename("Store"), "1", Time(3)), Err(Rejection::EtagMismatch("routing policy")));
        assert!(policy.delete(Time(4)));
        assert!(!policy.delete(Time(5)), "a repeat changes nothing");
        assert_eq!(policy.update(rename("Store"), "", Time(5)), Err(Rejection::RoutingPolicyDeleted));
        assert!(policy.undelete(Time(6)));
        assert!(!policy.undelete(Time(7)), "a repeat changes nothing");
        assert_eq!((policy.version, policy.updated_at, policy.deleted_at), (4, Time(6), None));
    }
}
