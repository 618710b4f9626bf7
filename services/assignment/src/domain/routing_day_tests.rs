//! Rules A4, A5 and A6: random days of an account. Conversations arrive, are closed and go by hand, agents come and go, capacities change,
//! it opens and closes, and the clock goes on and is set back. After each change routing decides as the service does, from the heads of
//! the queues, and every decision is compared with a model that knows all agents and conversations.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use frontdesk_clock::Time;
use frontdesk_fuzz::{bytes, check};
use uuid::Uuid;

use super::{
    Availability, Candidate, Capacity, Desk, OutsideHours, PolicyNow, Queue, Route, RoutingRules, RoutingStep,
    RoutingStrategy, Waiting,
    routing_tests::{Choices, id},
};

/// Number of conversations of each list that one decision reads. The service reads more; here lists are to be cut.
const HEADS: usize = 2;
/// Number of changes of a day.
const CHANGES: usize = 60;
const AGENTS: u8 = 6;
const POLICIES: u8 = 3;
/// Longer than anything that time alone changes.
const LONG: Duration = Duration::from_secs(1);

struct Agent {
    active: bool,
    availability: Availability,
    capacity: Capacity,
    teams: BTreeSet<Uuid>,
    own: Vec<Waiting>,
    last_turn: i64,
}

struct Policy {
    rules: RoutingRules,
    /// Microseconds for which it is open and closed in turn. None: it is always open.
    period: Option<i64>,
}

struct Day {
    now: Time,
    agents: BTreeMap<Uuid, Agent>,
    policies: BTreeMap<Option<Uuid>, Policy>,
    /// What waits, oldest first.
    queue: BTreeMap<(Time, Uuid), Waiting>,
    last_turn: i64,
    arrived: u128,
}

impl Agent {
    fn has_place(&self) -> bool {
        match self.capacity {
            Capacity::Conversations(capacity) => (self.own.len() as i64) < i64::from(capacity),
            Capacity::Unlimited => true,
        }
    }
}

impl Policy {
    fn at(&self, now: Time) -> PolicyNow {
        let (open, changes_at) = match self.period {
            Some(period) => (now.0 / period % 2 == 0, Some(Time((now.0 / period + 1) * period))),
            None => (true, None),
        };
        PolicyNow { rules: self.rules.clone(), open, changes_at }
    }
}

impl Day {
    fn begin(choices: &mut Choices<'_>) -> Self {
        let agents = (0..AGENTS).map(|number| {
            let agent = Agent {
                active: true,
                availability: Availability::Available,
                capacity: Capacity::Conversations(choices.below(4).into()),
                teams: BTreeSet::from([id(100 + number % 2)]),
                own: Vec::new(),
                last_turn: 0,
            };
            (id(number), agent)
        });
        let agents = agents.collect();
        let policies = (0..POLICIES).map(|number| (policy_id(number), policy(choices))).collect();
        Self { now: Time(10_000), agents, policies, queue: BTreeMap::new(), last_turn: 0, arrived: 0 }
    }

    fn change(&mut self, choices: &mut Choices<'_>) {
        let now = self.now;
        let chosen = id(choices.below(AGENTS));
        let agent = self.agents.get_mut(&chosen).unwrap();
        match choices.below(18) {
            0..=6 => {
                self.arrived += 1;
                let contact_owner = Some(id(choices.below(AGENTS))).filter(|_| choices.below(3) > 0);
                // Events of the same microsecond come in any order.
                let since = Time(now.0 - i64::from(choices.below(3)));
                let (conversation, policy) =
                    (Uuid::from_u128(1_000 + self.arrived), policy_id(choices.below(POLICIES)));
                let waiting = Waiting::new(conversation, 1, Route { policy, team: None, contact_owner }, since);
                self.queue.insert((since, conversation), waiting);
            }
            7..=9 => drop(agent.own.pop()),
            10 => agent.availability = Availability::Away,
            11 => agent.availability = Availability::Available,
            12 => {
                agent.capacity = match choices.below(6) {
                    5 => Capacity::Unlimited,
                    conversations => Capacity::Conversations(conversations.into()),
                }
            }
            13 => agent.active = !agent.active,
            14 => self.now = now.plus(Duration::from_micros(u64::from(choices.below(250)) * 4)),
            15 => self.now = Time((now.0 - i64::from(choices.below(250))).max(1_000)),
            // By hand an agent gets more than they can take.
            16 => agent.own.extend(self.queue.pop_last().map(|(_, waiting)| waiting)),
            _ => {
                if let Some(own) = agent.own.pop() {
                    // Given back, or closed and reopened.
                    let last_owner = Some(chosen).filter(|_| choices.below(2) > 0);
                    let waiting = Waiting { epoch: own.epoch + 1, since: now, last_owner, ..own };
                    self.queue.insert((now, waiting.conversation), waiting);
                }
            }
        }
    }

    fn desk(&self, now: Time) -> Desk {
        let candidate = |(id, agent): (&Uuid, &Agent)| Candidate {
            agent: *id,
            active: agent.active,
            availability: agent.availability,
            teams: agent.teams.clone(),
            capacity: agent.capacity,
            load: agent.own.len() as i64,
            last_turn: agent.last_turn,
        };
        let agents = self.agents.iter().map(candidate).map(|candidate| (candidate.agent, candidate)).collect();
        let waits = |policy: &Option<Uuid>| self.queue.values().any(|waiting| waiting.policy == *policy);
        let policies = self.policies.iter().filter(|entry| waits(entry.0));
        let policies = policies.map(|(id, policy)| (Queue::from(*id), policy.at(now)));
        Desk { now, agents, policies: policies.collect(), last_turn: self.last_turn }
    }

    /// What a decision reads, as `commands/route_account.rs` does.
    fn heads(&self, desk: &Desk) -> (Vec<Waiting>, BTreeSet<Uuid>) {
        let (mut heads, mut ends) = (BTreeMap::new(), BTreeSet::new());
        for (queue, policy) in &desk.policies {
            let in_queue = || self.queue.iter().filter(move |(_, waiting)| waiting.queue() == *queue);
            let mut read: Vec<Vec<_>> = vec![in_queue().take(HEADS).collect()];
            if read[0].len() == HEADS {
                let is_able = |owner: Uuid| desk.agents.get(&owner).is_some_and(|agent| agent.can_take(&policy.rules));
                let of_owners = in_queue().filter(|(_, waiting)| waiting.contact_owner.is_some_and(is_able));
                read.push(of_owners.take(HEADS).filter(|_| policy.rules.names_contact_owner()).collect());
                let is_back = |owner: Uuid| desk.agents.get(&owner).is_some_and(Candidate::can_take_back);
                let of_last_owners = in_queue().filter(|(_, waiting)| waiting.last_owner.is_some_and(is_back));
                read.push(of_last_owners.take(HEADS).collect());
            }
            let cut = read.iter().filter(|list| list.len() == HEADS);
            ends.extend(cut.filter_map(|list| list.last()).map(|(_, last)| last.conversation));
            heads.extend(read.into_iter().flatten().map(|(at, waiting)| (*at, waiting.clone())));
        }
        (heads.into_values().collect(), ends)
    }

    /// Decides until nothing is left to decide. Returns when time alone changes that.
    fn decide(&mut self) -> Option<Time> {
        loop {
            let mut desk = self.desk(self.now);
            let (queue, ends) = self.heads(&desk);
            let decision = desk.route(queue, &ends);
            if decision.routed.is_empty() && decision.leaving.is_empty() {
                return decision.look_at;
            }
            for waiting in &decision.leaving {
                assert!(!self.policies[&waiting.policy].at(self.now).open);
                assert_eq!(self.returns_to(waiting), None);
                self.queue.remove(&(waiting.since, waiting.conversation)).unwrap();
            }
            for routed in decision.routed {
                self.take(&routed.waiting, routed.agent, routed.turn);
            }
        }
    }

    fn take(&mut self, waiting: &Waiting, agent: Uuid, turn: i64) {
        assert_eq!(self.best(waiting), Some(agent), "{waiting:?} goes to the best agent");
        for older in self.queue.values().take_while(|older| *older != waiting) {
            assert!(!self.may_take(agent, older), "{waiting:?} overtakes {older:?}");
        }
        assert_eq!(turn, self.last_turn + 1);
        self.last_turn = turn;
        let waiting = self.queue.remove(&(waiting.since, waiting.conversation)).unwrap();
        let agent = self.agents.get_mut(&agent).unwrap();
        assert!(agent.has_place(), "A5");
        agent.last_turn = turn;
        agent.own.push(waiting);
    }

    /// Nobody waits for whom an agent is free, and nothing changes that before `look_at`.
    fn assert_settled(&self, look_at: Option<Time>) {
        for waiting in self.queue.values() {
            assert_eq!(self.best(waiting), None, "{waiting:?} waits");
        }
        let before = look_at.map_or(self.now.plus(LONG), |look_at| Time(look_at.0 - 1));
        assert!(before >= self.now);
        let mut desk = self.desk(before);
        let (queue, ends) = self.heads(&desk);
        let decision = desk.route(queue, &ends);
        assert!(decision.routed.is_empty() && decision.leaving.is_empty(), "{decision:?} before {look_at:?}");
    }

    /// The agent who is to get the conversation, by the words of the rules.
    fn best(&self, waiting: &Waiting) -> Option<Uuid> {
        let policy = &self.policies[&waiting.policy];
        let by_step = || {
            self.joined(waiting).into_iter().find_map(|step| {
                let able = self
                    .agents
                    .iter()
                    .filter(|(id, agent)| is_named(step, **id, agent, waiting) && self.is_able(agent, policy));
                let rank = |(id, agent): &(&Uuid, &Agent)| match policy.rules.strategy {
                    RoutingStrategy::RoundRobin => (0, agent.last_turn, **id),
                    RoutingStrategy::FewestOpen => (agent.own.len(), agent.last_turn, **id),
                };
                able.min_by_key(rank).map(|(id, _)| *id)
            })
        };
        self.returns_to(waiting).or_else(by_step)
    }

    /// The last owner, if they are here and have a place: whatever the policy says.
    fn returns_to(&self, waiting: &Waiting) -> Option<Uuid> {
        let agent = &self.agents[&waiting.last_owner?];
        let is_here = agent.active && agent.availability == Availability::Available;
        waiting.last_owner.filter(|_| is_here && agent.has_place())
    }

    fn may_take(&self, agent: Uuid, waiting: &Waiting) -> bool {
        if self.returns_to(waiting) == Some(agent) {
            return true;
        }
        let (id, agent) = (agent, &self.agents[&agent]);
        let mut joined = self.joined(waiting).into_iter();
        joined.any(|step| is_named(step, id, agent, waiting)) && self.is_able(agent, &self.policies[&waiting.policy])
    }

    fn is_able(&self, agent: &Agent, policy: &Policy) -> bool {
        let here = !policy.rules.only_available || agent.availability == Availability::Available;
        policy.at(self.now).open && agent.active && here && agent.has_place()
    }

    /// The steps that have joined for the conversation: the first one at once, each further one when the time of the one before is over.
    fn joined(&self, waiting: &Waiting) -> Vec<&RoutingStep> {
        let (mut joined, mut joins_at) = (Vec::new(), waiting.since);
        for step in &self.policies[&waiting.policy].rules.steps {
            if !joined.is_empty() && joins_at > self.now {
                break;
            }
            joined.push(step);
            let Some(after) = step.widen_after else { break };
            joins_at = joins_at.plus(after);
        }
        joined
    }
}

fn is_named(step: &RoutingStep, id: Uuid, agent: &Agent, waiting: &Waiting) -> bool {
    let owner = step.contact_owner && waiting.contact_owner == Some(id);
    let member = step.teams.iter().any(|team| agent.teams.contains(team));
    step.anybody || owner || member || step.agents.contains(&id)
}

fn policy_id(number: u8) -> Option<Uuid> {
    (number > 0).then(|| id(50 + number))
}

fn policy(choices: &mut Choices<'_>) -> Policy {
    let steps = (0..=choices.below(3)).map(|_| choices.step()).collect();
    let strategy = [RoutingStrategy::RoundRobin, RoutingStrategy::FewestOpen][usize::from(choices.below(2))];
    let outside = [OutsideHours::Wait, OutsideHours::Unassigned][usize::from(choices.below(2))];
    let only_available = choices.below(4) > 0;
    let rules = RoutingRules { steps, strategy, only_available, outside, ..RoutingRules::of_default_policy() };
    let period = Some(100 + i64::from(choices.below(250)) * 4).filter(|_| choices.below(3) == 0);
    Policy { rules, period }
}

#[test]
fn a4_a5_a6_on_random_days_each_decision_is_the_one_of_a_model_that_knows_everything() {
    check!().with_generator(bytes(240)).for_each(|bytes| {
        let mut choices = Choices(bytes);
        let mut day = Day::begin(&mut choices);
        for _ in 0..CHANGES {
            day.change(&mut choices);
            let look_at = day.decide();
            day.assert_settled(look_at);
            if let Some(look_at) = look_at.filter(|_| choices.below(3) == 0) {
                day.now = look_at;
                let look_at = day.decide();
                day.assert_settled(look_at);
            }
        }
    });
}
