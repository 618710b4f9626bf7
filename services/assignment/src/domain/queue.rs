//! The queues of an account (rule A6): which place a conversation has, and for which teams it waits.
//!
//! A queue is that of a policy, or of a policy and a team that a bot named. Conversations whose policy is deleted or absent wait in the
//! queues of the default policy, with those that have none, and those whose team is, in the queue of their policy.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use frontdesk_clock::Time;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{PolicyNow, Queue, QueuePace, Waiting};

/// The policies of the queues in which conversations wait, at one time.
#[derive(Clone, Debug, Default)]
pub(crate) struct PoliciesNow {
    /// By queue. One of a deleted or absent policy has the rules of the default one; one of such a team, those of its policy alone.
    pub(crate) by_queue: BTreeMap<Queue, PolicyNow>,
    /// The policies and the teams of the queues that exist and are not deleted.
    pub(crate) existing: BTreeSet<Uuid>,
}

impl PoliciesNow {
    /// Returns the queue in which the conversations of this one wait: without a policy or a team that is deleted or absent.
    pub(crate) fn queue(&self, Queue { policy, team }: Queue) -> Queue {
        let exists = |id: &Uuid| self.existing.contains(id);
        Queue { policy: policy.filter(exists), team: team.filter(exists) }
    }

    /// Returns the queues that are outside of their opening hours, and do not move.
    fn closed(&self) -> BTreeSet<Queue> {
        let closed = self.by_queue.iter().filter(|(_, policy)| !policy.open);
        closed.map(|(queue, _)| self.queue(*queue)).collect()
    }

    /// Returns the teams that steps of the policies name, deleted ones too.
    pub(crate) fn named_teams(&self) -> BTreeSet<Uuid> {
        let steps = self.by_queue.values().flat_map(|policy| &policy.rules.steps);
        steps.flat_map(|step| step.teams.iter().copied()).collect()
    }

    /// Returns how a conversation waits now, and when time alone changes that. `teams`: those that are not deleted.
    pub(crate) fn queued(&self, waiting: &Waiting, teams: &BTreeSet<Uuid>, now: Time) -> (Queued, Option<Time>) {
        let Some(policy) = self.by_queue.get(&waiting.queue()) else { return (Queued::waiting(waiting.epoch), None) };
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

/// How long a queue is, as one of its conversations sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueueLength {
    /// Number of conversations in it.
    pub(crate) waiting: i64,
    /// Number of those that have waited longer.
    pub(crate) ahead: i64,
}

impl QueuePlace {
    /// Returns the place of one conversation of this queue, by the lengths of all queues and their paces: as [`Queues::place`] of all.
    pub(crate) fn counted(
        queue: Queue,
        lengths: &[(Queue, QueueLength)],
        policies: &PoliciesNow,
        paces: &BTreeMap<Queue, QueuePace>,
        now: Time,
    ) -> Self {
        let queue = policies.queue(queue);
        let of_queue = lengths.iter().filter(|(other, _)| policies.queue(*other) == queue);
        let (waiting, ahead) =
            of_queue.fold((0, 0), |(waiting, ahead), (_, length)| (waiting + length.waiting, ahead + length.ahead));
        let pace = paces.get(&queue).filter(|_| !policies.closed().contains(&queue));
        let place = ahead + 1;
        // The conversation may have left the queue between the reads.
        Self { place, waiting: waiting.max(place), expected_wait: pace.and_then(|pace| pace.expected_wait(place, now)) }
    }
}

/// All queues of an account at one time.
#[derive(Clone, Debug)]
pub(crate) struct Queues {
    /// The queue and the place in it, by conversation.
    places: HashMap<Uuid, (Queue, i64)>,
    lengths: BTreeMap<Queue, i64>,
    /// The paces of the queues that move now.
    paces: BTreeMap<Queue, QueuePace>,
    now: Time,
}

impl Queues {
    /// `oldest_first`: the conversations that wait, each with its queue. Outside of its policy's opening hours a queue does not move, and no
    /// wait is expected.
    pub(crate) fn new(
        oldest_first: Vec<(Uuid, Queue)>,
        policies: &PoliciesNow,
        mut paces: BTreeMap<Queue, QueuePace>,
        now: Time,
    ) -> Self {
        let mut places = HashMap::with_capacity(oldest_first.len());
        let mut lengths = BTreeMap::new();
        for (conversation, queue) in oldest_first {
            let queue = policies.queue(queue);
            let length: &mut i64 = lengths.entry(queue).or_default();
            *length += 1;
            places.insert(conversation, (queue, *length));
        }
        let closed = policies.closed();
        paces.retain(|queue, _| !closed.contains(queue));
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
    use crate::domain::{Route, RoutingRules, RoutingStep};

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    fn policy(open: bool, steps: Vec<RoutingStep>) -> PolicyNow {
        PolicyNow { rules: RoutingRules { steps, ..RoutingRules::of_default_policy() }, open, changes_at: None }
    }

    fn of(policy: Option<u128>, team: Option<u128>) -> Queue {
        Queue { policy: policy.map(id), team: team.map(id) }
    }

    /// Policy 1 and team 21 exist, policy 2 and team 22 are deleted. The default policy is always open.
    fn policies(open: bool) -> PoliciesNow {
        let queues = [Some(1), Some(2), None].map(|policy| [None, Some(21), Some(22)].map(|team| of(policy, team)));
        let now = |queue: Queue| policy(open || queue.policy != Some(id(1)), Vec::new());
        let by_queue = queues.into_iter().flatten().map(|queue| (queue, now(queue))).collect();
        PoliciesNow { by_queue, existing: BTreeSet::from([id(1), id(21)]) }
    }

    #[test]
    fn a4_a6_the_conversations_of_a_deleted_policy_wait_in_the_default_queue_by_age() {
        let policies_of = [(10, None), (11, Some(1)), (12, Some(2)), (13, None)];
        let oldest_first = policies_of.map(|(conversation, policy)| (id(conversation), of(policy, None))).to_vec();
        let queues = Queues::new(oldest_first, &policies(true), BTreeMap::new(), Time(0));
        let places = [10, 11, 12, 13, 14].map(|number| {
            let place = queues.place(id(number));
            (place.place, place.waiting)
        });
        assert_eq!(places, [(1, 3), (1, 1), (2, 3), (3, 3), (0, 0)]);
    }

    #[test]
    fn a6_b8_a_team_that_a_bot_named_has_a_queue_of_its_own_until_it_is_deleted() {
        let queues_of = [(10, None), (11, Some(21)), (12, Some(22)), (13, Some(21))];
        let oldest_first = queues_of.map(|(conversation, team)| (id(conversation), of(Some(1), team))).to_vec();
        let pace = QueuePace { samples: 5, mean: Duration::from_secs(30), last_at: Time(0) };
        let paces = || BTreeMap::from([(of(Some(1), Some(21)), pace)]);
        let queues = Queues::new(oldest_first.clone(), &policies(true), paces(), Time(9));
        let places = [10, 11, 12, 13].map(|number| {
            let place = queues.place(id(number));
            (place.place, place.waiting, place.expected_wait.map(|wait| wait.as_secs()))
        });
        assert_eq!(places, [(1, 2, None), (1, 2, Some(30)), (2, 2, None), (2, 2, Some(60))]);
        let closed = Queues::new(oldest_first, &policies(false), paces(), Time(9));
        assert_eq!(closed.place(id(11)).expected_wait, None, "it has the opening hours of its policy");
    }

    #[test]
    fn a6_a_place_that_is_counted_is_the_one_among_all_conversations() {
        let queues_of = [None, Some(1), Some(2)]
            .into_iter()
            .flat_map(|policy| [None, Some(21), Some(22)].map(|team| (policy, team)));
        let queues_of: Vec<Queue> = queues_of.map(|(policy, team)| of(policy, team)).collect();
        // 40 conversations, the next one each in another queue.
        let queues = queues_of.iter().copied().cycle().step_by(7);
        let oldest_first: Vec<(Uuid, Queue)> = (100..140).map(id).zip(queues).collect();
        let pace = QueuePace { samples: 5, mean: Duration::from_secs(30), last_at: Time(0) };
        let paces: BTreeMap<Queue, QueuePace> = queues_of.iter().map(|queue| (*queue, pace)).collect();
        for open in [true, false] {
            let policies = policies(open);
            let all = Queues::new(oldest_first.clone(), &policies, paces.clone(), Time(9));
            for (number, (conversation, queue)) in oldest_first.iter().enumerate() {
                let mut lengths: BTreeMap<Queue, QueueLength> = BTreeMap::new();
                for (other, (_, of_queue)) in oldest_first.iter().enumerate() {
                    let length = lengths.entry(*of_queue).or_default();
                    length.waiting += 1;
                    length.ahead += i64::from(other < number);
                }
                let lengths: Vec<_> = lengths.into_iter().collect();
                let counted = QueuePlace::counted(*queue, &lengths, &policies, &paces, Time(9));
                assert_eq!(counted, all.place(*conversation), "{queue:?}");
            }
        }
    }

    #[test]
    fn a6_a_wait_is_expected_by_the_pace_of_the_queue_while_it_is_open() {
        let pace = QueuePace { samples: 5, mean: Duration::from_secs(30), last_at: Time(0) };
        let policies_of = [(10, Some(1)), (11, Some(1)), (12, None)];
        let oldest_first = policies_of.map(|(conversation, policy)| (id(conversation), of(policy, None))).to_vec();
        let wait = |open: bool, conversation: u128| {
            let paces = BTreeMap::from([(of(Some(1), None), pace)]);
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
        let rules_of_team = RoutingRules::of_default_policy().of_team(id(23));
        let of_team = PolicyNow { rules: rules_of_team, open: true, changes_at: None };
        let by_queue = BTreeMap::from([(of(Some(1), None), policy(true, steps)), (of(Some(1), Some(23)), of_team)]);
        let policies = PoliciesNow { by_queue, existing: BTreeSet::from([id(1), id(23)]) };
        assert_eq!(policies.named_teams(), BTreeSet::from([id(21), id(22), id(23)]));
        let waiting = Waiting::new(id(10), 4, Route { policy: Some(id(1)), ..Route::default() }, Time(0));
        let not_deleted = BTreeSet::from([id(21), id(23)]);
        let at = |seconds: u64| policies.queued(&waiting, &not_deleted, Time(0).plus(Duration::from_secs(seconds)));
        let minute = |minutes: u64| Some(Time(0).plus(Duration::from_secs(60 * minutes)));
        for (seconds, teams, next) in [(0, vec![21], minute(1)), (60, vec![21], minute(2)), (120, vec![21, 23], None)] {
            let teams = teams.into_iter().map(id).collect();
            assert_eq!(at(seconds), (Queued { epoch: 4, waiting: true, teams }, next), "after {seconds} seconds");
        }
        let named = Waiting { team: Some(id(23)), ..waiting.clone() };
        let of_named = Queued { teams: BTreeSet::from([id(23)]), ..Queued::waiting(4) };
        assert_eq!(policies.queued(&named, &not_deleted, Time(0)), (of_named, None), "a team that a bot named");
        let unknown = Waiting { policy: None, ..waiting.clone() };
        assert_eq!(policies.queued(&unknown, &not_deleted, Time(0)), (Queued::waiting(4), None));
    }
}
