//! The queues of an account (rule A6): which place a conversation has, and for which teams it waits.
//!
//! A queue is that of a policy. Conversations whose policy is deleted or absent wait in the default queue, with those that have none.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use frontdesk_clock::Time;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{PolicyNow, QueuePace, Waiting};

/// The policies by which conversations wait, at one time.
#[derive(Clone, Debug, Default)]
pub(crate) struct PoliciesNow {
    /// By id. A deleted or absent policy has the rules of the default one, whose id is None.
    pub(crate) by_id: BTreeMap<Option<Uuid>, PolicyNow>,
    /// The policies that exist and are not deleted.
    pub(crate) existing: BTreeSet<Uuid>,
}

impl PoliciesNow {
    /// Returns the policy in whose queue a conversation of this one waits. None: the default queue.
    pub(crate) fn queue(&self, policy: Option<Uuid>) -> Option<Uuid> {
        policy.filter(|policy| self.existing.contains(policy))
    }

    /// Returns the teams that steps of the policies name, deleted ones too.
    pub(crate) fn named_teams(&self) -> BTreeSet<Uuid> {
        let steps = self.by_id.values().flat_map(|policy| &policy.rules.steps);
        steps.flat_map(|step| step.teams.iter().copied()).collect()
    }

    /// Returns how a conversation waits now, and when time alone changes that. `teams`: those that are not deleted.
    pub(crate) fn queued(&self, waiting: &Waiting, teams: &BTreeSet<Uuid>, now: Time) -> (Queued, Option<Time>) {
        let Some(policy) = self.by_id.get(&waiting.policy) else { return (Queued::waiting(waiting.epoch), None) };
        let (steps, next_joins_at) = policy.rules.joined(waiting.since, now);
        let named = steps.iter().flat_map(|step| step.teams.intersection(teams).copied());
        (Queued { teams: named.collect(), ..Queued::waiting(waiting.epoch) }, next_joins_at)
    }
}

/// How a conversation waits, as it is published. Stored as JSON: add, never rename.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Queued {
    /// The ownership epoch in which it waits or waited.
    pub(crate) epoch: i64,
    pub(crate) waiting: bool,
    /// The teams of the steps that have joined.
    pub(crate) teams: BTreeSet<Uuid>,
}

impl Queued {
    /// It waits, for no team.
    fn waiting(epoch: i64) -> Self {
        Self { epoch, waiting: true, teams: BTreeSet::new() }
    }

    /// It does not wait any more.
    pub(crate) fn over(epoch: i64) -> Self {
        Self { epoch, waiting: false, teams: BTreeSet::new() }
    }
}

/// The place of a conversation. The default: it does not wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueuePlace {
    /// 1: the next one. 0: it does not wait.
    pub(crate) place: i64,
    /// Number of conversations in the queue.
    pub(crate) waiting: i64,
    /// None: it is not known.
    pub(crate) expected_wait: Option<Duration>,
}

/// All queues of an account at one time.
#[derive(Clone, Debug)]
pub(crate) struct Queues {
    /// The queue and the place in it, by conversation.
    places: HashMap<Uuid, (Option<Uuid>, i64)>,
    lengths: BTreeMap<Option<Uuid>, i64>,
    /// The paces of the queues that move now.
    paces: BTreeMap<Option<Uuid>, QueuePace>,
    now: Time,
}

impl Queues {
    /// `oldest_first`: the conversations that wait, each with its policy. Outside of its policy's opening hours a queue does not move, and no
    /// wait is expected.
    pub(crate) fn new(
        oldest_first: Vec<(Uuid, Option<Uuid>)>,
        policies: &PoliciesNow,
        mut paces: BTreeMap<Option<Uuid>, QueuePace>,
        now: Time,
    ) -> Self {
        let mut places = HashMap::with_capacity(oldest_first.len());
        let mut lengths = BTreeMap::new();
        for (conversation, policy) in oldest_first {
            let queue = policies.queue(policy);
            let length: &mut i64 = lengths.entry(queue).or_default();
            *length += 1;
            places.insert(conversation, (queue, *length));
        }
        paces.retain(|queue, _| policies.by_id.get(queue).is_none_or(|policy| policy.open));
        Self { places, lengths, paces, now }
    }

    /// Returns the place of a conversation.
    pub(crate) fn place(&self, conversation: Uuid) -> QueuePlace {
        let Some((queue, place)) = self.places.get(&conversation).copied() else { return QueuePlace::default() };
        QueuePlace {
            place,
            waiting: self.lengths.get(&queue).copied().unwrap_or(0),
            expected_wait: self.paces.get(&queue).and_then(|pace| pace.expected_wait(place, self.now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{RoutingRules, RoutingStep};

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    fn policy(open: bool, steps: Vec<RoutingStep>) -> PolicyNow {
        PolicyNow { rules: RoutingRules { steps, ..RoutingRules::of_default_policy() }, open, changes_at: None }
    }

    /// Policy 1 exists, policy 2 is deleted.
    fn policies(open: bool) -> PoliciesNow {
        let by_id = [Some(id(1)), Some(id(2)), None].map(|id| (id, policy(open || id.is_none(), Vec::new())));
        PoliciesNow { by_id: by_id.into(), existing: BTreeSet::from([id(1)]) }
    }

    #[test]
    fn a4_a6_the_conversations_of_a_deleted_policy_wait_in_the_default_queue_by_age() {
        let oldest_first = vec![(id(10), None), (id(11), Some(id(1))), (id(12), Some(id(2))), (id(13), None)];
        let queues = Queues::new(oldest_first, &policies(true), BTreeMap::new(), Time(0));
        let places = [10, 11, 12, 13, 14].map(|number| {
            let place = queues.place(id(number));
            (place.place, place.waiting)
        });
        assert_eq!(places, [(1, 3), (1, 1), (2, 3), (3, 3), (0, 0)]);
    }

    #[test]
    fn a6_a_wait_is_expected_by_the_pace_of_the_queue_while_it_is_open() {
        let pace = QueuePace { samples: 5, mean: Duration::from_secs(30), last_at: Time(0) };
        let oldest_first = vec![(id(10), Some(id(1))), (id(11), Some(id(1))), (id(12), None)];
        let wait = |open: bool, conversation: u128| {
            let paces = BTreeMap::from([(Some(id(1)), pace)]);
            Queues::new(oldest_first.clone(), &policies(open), paces, Time(9)).place(id(conversation)).expected_wait
        };
        assert_eq!(wait(true, 11), Some(Duration::from_secs(60)));
        assert_eq!(wait(false, 11), None, "the queue does not move");
        assert_eq!(wait(true, 12), None, "another queue");
    }

    #[test]
    fn c9_a_conversation_waits_for_the_teams_of_the_steps_that_have_joined() {
        let team = |team: u128, widen_after: Option<u64>| RoutingStep {
            teams: BTreeSet::from([id(team)]),
            widen_after: widen_after.map(Duration::from_secs),
            ..RoutingStep::default()
        };
        let steps = vec![team(21, Some(60)), team(22, Some(60)), team(23, None)];
        let by_id = BTreeMap::from([(Some(id(1)), policy(true, steps))]);
        let policies = PoliciesNow { by_id, existing: BTreeSet::from([id(1)]) };
        assert_eq!(policies.named_teams(), BTreeSet::from([id(21), id(22), id(23)]));
        let waiting =
            Waiting { conversation: id(10), epoch: 4, policy: Some(id(1)), contact_owner: None, since: Time(0) };
        let not_deleted = BTreeSet::from([id(21), id(23)]);
        let at = |seconds: u64| policies.queued(&waiting, &not_deleted, Time(0).plus(Duration::from_secs(seconds)));
        let minute = |minutes: u64| Some(Time(0).plus(Duration::from_secs(60 * minutes)));
        for (seconds, teams, next) in [(0, vec![21], minute(1)), (60, vec![21], minute(2)), (120, vec![21, 23], None)] {
            let teams = teams.into_iter().map(id).collect();
            assert_eq!(at(seconds), (Queued { epoch: 4, waiting: true, teams }, next), "after {seconds} seconds");
        }
        let unknown = Waiting { policy: None, ..waiting.clone() };
        assert_eq!(policies.queued(&unknown, &not_deleted, Time(0)), (Queued::waiting(4), None));
    }
}
