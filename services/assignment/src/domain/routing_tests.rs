//! Rules A4, A5 and A6: decisions of [`Desk::route`] about random arrivals, closes, absences and capacities.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use frontdesk_clock::Time;
use frontdesk_fuzz::{bytes, check};
use uuid::Uuid;

use super::{
    Availability, Candidate, Capacity, Desk, LocalizedText, NotRouted, OutsideHours, PolicyNow, Queue, Route,
    RoutingRules, RoutingStep, RoutingStrategy, Waiting,
};

pub(super) fn id(number: u8) -> Uuid {
    Uuid::from_u128(number.into())
}

fn candidate(number: u8) -> Candidate {
    Candidate {
        agent: id(number),
        active: true,
        availability: Availability::Available,
        teams: BTreeSet::from([id(100 + number % 2)]),
        capacity: Capacity::Conversations(2),
        load: 0,
        last_turn: 0,
    }
}

fn waiting(number: u8, policy: Option<Uuid>) -> Waiting {
    Waiting::new(id(number), 1, Route { policy, ..Route::default() }, Time(number.into()))
}

fn policy(steps: Vec<RoutingStep>, strategy: RoutingStrategy) -> PolicyNow {
    let rules = RoutingRules { steps, strategy, ..RoutingRules::of_default_policy() };
    PolicyNow { rules, open: true, changes_at: None }
}

fn anybody() -> RoutingStep {
    RoutingStep { anybody: true, ..RoutingStep::default() }
}

fn only(agent: u8) -> RoutingStep {
    RoutingStep { agents: BTreeSet::from([id(agent)]), ..RoutingStep::default() }
}

fn desk(agents: impl IntoIterator<Item = Candidate>, policies: Vec<(Option<Uuid>, PolicyNow)>) -> Desk {
    let agents = agents.into_iter().map(|candidate| (candidate.agent, candidate)).collect();
    let policies = policies.into_iter().map(|(policy, now)| (Queue::from(policy), now)).collect();
    Desk { now: Time(1_000), agents, policies, last_turn: 0 }
}

fn routed(desk: &mut Desk, queue: Vec<Waiting>) -> Vec<(Uuid, Uuid)> {
    desk.route(queue, &BTreeSet::new())
        .routed
        .into_iter()
        .map(|routed| (routed.waiting.conversation, routed.agent))
        .collect()
}

#[test]
fn a6_a_conversation_for_which_only_full_agents_may_work_holds_up_no_other_one() {
    let full = Candidate { load: 2, ..candidate(1) };
    let of_one = policy(vec![only(1)], RoutingStrategy::FewestOpen);
    let of_all = policy(vec![anybody()], RoutingStrategy::FewestOpen);
    let mut desk = desk([full, candidate(2)], vec![(Some(id(50)), of_one), (None, of_all)]);
    let queue = vec![waiting(1, Some(id(50))), waiting(2, None)];
    assert_eq!(routed(&mut desk, queue), [(id(2), id(2))]);
}

#[test]
fn a6_a_decision_ends_where_a_conversation_that_is_not_read_may_be_next() {
    let of_all = policy(vec![anybody()], RoutingStrategy::FewestOpen);
    let agents = [candidate(1), candidate(2)];
    let mut desk = desk(agents, vec![(None, of_all.clone()), (Some(id(50)), of_all)]);
    let queue = vec![waiting(1, None), waiting(2, None), waiting(3, Some(id(50)))];
    let decision = desk.route(queue, &BTreeSet::from([id(2)]));
    assert_eq!(decision.routed.len(), 2);
    // One that gets no agent ends nothing: those behind it get none either.
    let mut full = desk.clone();
    full.policies.insert(Queue::default(), policy(vec![only(9)], RoutingStrategy::FewestOpen));
    let queue = vec![waiting(4, None), waiting(5, Some(id(50)))];
    assert_eq!(full.route(queue, &BTreeSet::from([id(4)])).routed.len(), 1);
}

#[test]
fn a6_a_decision_ends_at_the_last_conversation_of_a_list_that_is_cut_once_anything_is_decided() {
    let of_first = policy(vec![only(1)], RoutingStrategy::FewestOpen);
    let of_all = policy(vec![anybody()], RoutingStrategy::FewestOpen);
    let one = Candidate { capacity: Capacity::Conversations(1), ..candidate(1) };
    let mut desk = desk([one, candidate(2)], vec![(None, of_first), (Some(id(50)), of_all)]);
    // The second one is the last that was read of its list: those behind it may be for agent 2, and older than the third one.
    let queue = vec![waiting(1, None), waiting(2, None), waiting(3, Some(id(50)))];
    let decision = desk.route(queue, &BTreeSet::from([id(2)]));
    assert_eq!(decision.routed.len(), 1);
}

#[test]
fn a4_a_step_that_joined_earlier_comes_first_and_the_contacts_owner_before_the_rest() {
    let owner =
        RoutingStep { contact_owner: true, widen_after: Some(Duration::from_micros(10)), ..RoutingStep::default() };
    let rules = policy(vec![owner, anybody()], RoutingStrategy::FewestOpen);
    let busy = Candidate { load: 1, ..candidate(2) };
    let mut desk = desk([candidate(1), busy], vec![(None, rules)]);
    let of_owner = Waiting { contact_owner: Some(id(2)), ..waiting(1, None) };
    assert_eq!(routed(&mut desk, vec![of_owner.clone()]), [(id(1), id(2))]);
    assert_eq!(
        routed(&mut desk, vec![of_owner.clone()]),
        [(id(1), id(1))],
        "the owner is full, and anybody has joined"
    );
    let fresh = Waiting { since: Time(995), ..of_owner };
    let decision = desk.route(vec![fresh], &BTreeSet::new());
    assert!(decision.routed.is_empty());
    assert_eq!(decision.look_at, Some(Time(1_005)));
}

#[test]
fn a4_outside_of_opening_hours_conversations_wait_until_it_opens_or_leave() {
    for (outside, leaving, look_at) in [(OutsideHours::Wait, 0, Some(Time(7_000))), (OutsideHours::Unassigned, 1, None)]
    {
        let mut closed = policy(vec![anybody()], RoutingStrategy::FewestOpen);
        (closed.open, closed.changes_at, closed.rules.outside) = (false, Some(Time(7_000)), outside);
        let mut desk = desk([candidate(1)], vec![(None, closed)]);
        let decision = desk.route(vec![waiting(1, None)], &BTreeSet::new());
        assert_eq!((decision.routed.len(), decision.leaving.len(), decision.look_at), (0, leaving, look_at));
    }
}

#[test]
fn a4_round_robin_over_10_000_assignments_differs_by_at_most_one() {
    let unlimited = |number| Candidate { capacity: Capacity::Unlimited, ..candidate(number) };
    let rules = policy(vec![anybody()], RoutingStrategy::RoundRobin);
    let mut desk = desk((0..7).map(unlimited), vec![(None, rules)]);
    let mut counts: BTreeMap<Uuid, usize> = BTreeMap::new();
    for number in 0..10_000 {
        // Places become free in any order.
        if let Some(candidate) = desk.agents.values_mut().nth(number % 5) {
            candidate.load = 0;
        }
        for (_, agent) in routed(&mut desk, vec![waiting(1, None)]) {
            *counts.entry(agent).or_default() += 1;
        }
    }
    let (least, most) = (counts.values().min().unwrap(), counts.values().max().unwrap());
    assert!(counts.len() == 7 && most - least <= 1, "{counts:?}");
}

#[test]
fn a4_an_explanation_has_every_reason_of_every_agent() {
    let agents = [
        candidate(1),
        Candidate { availability: Availability::Away, load: 2, ..candidate(2) },
        Candidate { active: false, capacity: Capacity::Conversations(0), ..candidate(3) },
        Candidate { load: 1, ..candidate(4) },
        Candidate { load: 1, ..candidate(5) },
    ];
    let step = RoutingStep { agents: [1, 2, 3, 4].map(id).into(), ..RoutingStep::default() };
    let desk = desk(agents, vec![(None, policy(vec![step], RoutingStrategy::FewestOpen))]);
    let reasons = |before: Vec<Waiting>| {
        let explained = desk.clone().explain(before, &waiting(3, None));
        explained.into_iter().map(|(_, reasons)| reasons).collect::<Vec<_>>()
    };
    let (away, gone) = (vec![NotRouted::Away, NotRouted::Full], vec![NotRouted::Deactivated, NotRouted::CapacityZero]);
    let (free, elsewhere) = (Vec::new(), vec![NotRouted::NotInStep]);
    let expected = [free.clone(), away.clone(), gone.clone(), vec![NotRouted::NotChosen], elsewhere.clone()];
    assert_eq!(reasons(Vec::new()), expected);
    // The first one goes to agent 1, and the second one takes the last place of agent 4, who had no turn before.
    let before = vec![waiting(1, None), waiting(2, None)];
    assert_eq!(reasons(before), [free, away, gone, vec![NotRouted::OthersFirst], elsewhere]);
}

/// Further choices from random bytes. Without bytes it gets zeros.
pub(super) struct Choices<'a>(pub(super) &'a [u8]);

impl Choices<'_> {
    /// A number below `end`.
    pub(super) fn below(&mut self, end: u8) -> u8 {
        let (first, rest) = self.0.split_at(self.0.len().min(1));
        self.0 = rest;
        first.first().copied().unwrap_or(0) % end
    }

    fn candidate(&mut self, number: u8) -> Candidate {
        Candidate {
            active: self.below(8) > 0,
            availability: if self.below(4) > 0 { Availability::Available } else { Availability::Away },
            capacity: match self.below(6) {
                5 => Capacity::Unlimited,
                conversations => Capacity::Conversations(conversations.into()),
            },
            load: self.below(4).into(),
            last_turn: self.below(20).into(),
            ..candidate(number)
        }
    }

    pub(super) fn step(&mut self) -> RoutingStep {
        RoutingStep {
            agents: (0..self.below(3)).map(|_| id(self.below(6))).collect(),
            teams: (0..self.below(2)).map(|_| id(100 + self.below(2))).collect(),
            contact_owner: self.below(3) == 0,
            anybody: self.below(4) == 0,
            widen_after: Some(Duration::from_micros(u64::from(self.below(250)) * 5)).filter(|_| self.below(4) > 0),
        }
    }

    fn policy(&mut self) -> PolicyNow {
        let steps = (0..=self.below(3)).map(|_| self.step()).collect();
        let strategies = [RoutingStrategy::RoundRobin, RoutingStrategy::FewestOpen];
        let mut policy = policy(steps, strategies[usize::from(self.below(2))]);
        policy.rules.only_available = self.below(3) > 0;
        policy.open = self.below(6) > 0;
        policy
    }
}

/// Whether the agent may take the conversation, by the words of the rules.
fn may_take(desk: &Desk, agent: &Candidate, waiting: &Waiting) -> bool {
    let policy = &desk.policies[&waiting.queue()];
    let mut joins_at = waiting.since;
    let mut is_target = false;
    for step in &policy.rules.steps {
        if joins_at > desk.now {
            break;
        }
        let owner = step.contact_owner && waiting.contact_owner == Some(agent.agent);
        let member = step.teams.iter().any(|team| agent.teams.contains(team));
        is_target |= step.anybody || owner || member || step.agents.contains(&agent.agent);
        match step.widen_after {
            Some(after) => joins_at = joins_at.plus(after),
            None => break,
        }
    }
    let here = !policy.rules.only_available || agent.availability == Availability::Available;
    let place = match agent.capacity {
        Capacity::Conversations(capacity) => agent.load < capacity.into(),
        Capacity::Unlimited => true,
    };
    policy.open && is_target && here && agent.active && place
}

#[test]
fn a4_a5_a6_nobody_gets_more_than_they_can_take_nothing_overtakes_and_no_free_agent_is_left() {
    check!().with_generator(bytes(160)).for_each(|bytes| {
        let mut choices = Choices(bytes);
        let agents: Vec<Candidate> = (0..1 + choices.below(6)).map(|number| choices.candidate(number)).collect();
        let policies = (0..3).map(|number| (Some(id(50 + number)).filter(|_| number > 0), choices.policy()));
        let mut desk = desk(agents, policies.collect());
        let count = choices.below(20);
        let queue: Vec<Waiting> = (0..count)
            .map(|number| {
                let policy = Some(50 + choices.below(3)).filter(|policy| *policy > 50).map(id);
                let contact_owner = Some(id(choices.below(6)));
                Waiting { contact_owner, since: Time(i64::from(number) * 50), ..waiting(number, policy) }
            })
            .collect();
        // The model: one conversation after the other, oldest first, each with the agents as they are then.
        let mut model = desk.clone();
        let decision = desk.route(queue.clone(), &BTreeSet::new());
        let mut routed = decision.routed.iter().peekable();
        for waiting in &queue {
            let eligible: Vec<Candidate> =
                model.agents.values().filter(|agent| may_take(&model, agent, waiting)).cloned().collect();
            match routed.next_if(|routed| routed.waiting == *waiting) {
                Some(routed) => {
                    let chosen = eligible.iter().find(|agent| agent.agent == routed.agent);
                    assert!(chosen.is_some(), "{waiting:?} went to an agent who may not take it");
                    let agent = model.agents.get_mut(&routed.agent).unwrap();
                    (agent.load, agent.last_turn) = (agent.load + 1, routed.turn);
                }
                None => assert!(eligible.is_empty(), "{waiting:?} waits although {eligible:?} are free"),
            }
        }
        assert!(routed.next().is_none());
        assert_eq!(desk.agents, model.agents);
    });
}

/// Decides as a replica that has just started: with nothing but what the database holds.
fn decide_anew(stored: &mut Desk, queue: Vec<Waiting>) -> Vec<(Uuid, Uuid)> {
    let mut replica = stored.clone();
    let routed = routed(&mut replica, queue);
    stored.last_turn = replica.last_turn;
    for (id, candidate) in replica.agents {
        let kept = stored.agents.get_mut(&id).unwrap();
        (kept.last_turn, kept.load) = (candidate.last_turn, candidate.load);
    }
    routed
}

#[test]
fn a4_round_robin_stays_fair_over_10_000_assignments_by_several_policies_replicas_and_restarts() {
    let unlimited = |number| Candidate { capacity: Capacity::Unlimited, ..candidate(number) };
    let rules = || policy(vec![anybody()], RoutingStrategy::RoundRobin);
    let mut stored = desk((0..9).map(unlimited), vec![(None, rules()), (Some(id(50)), rules())]);
    let mut counts: BTreeMap<Uuid, usize> = BTreeMap::new();
    let mut assigned = 0;
    for round in 0_usize.. {
        // One to five arrive at once, by one of the two policies.
        let count = u8::try_from(round % 5 + 1).unwrap();
        let by = Some(id(50)).filter(|_| round % 3 == 0);
        let queue = (0..count).map(|number| waiting(number, by)).collect();
        for (_, agent) in decide_anew(&mut stored, queue) {
            *counts.entry(agent).or_default() += 1;
            assigned += 1;
        }
        let (least, most) = (counts.values().min().unwrap(), counts.values().max().unwrap());
        assert!(counts.len() < 9 || most - least <= 1, "after {assigned}: {counts:?}");
        if assigned >= 10_000 {
            break;
        }
    }
    assert_eq!(counts.len(), 9);
}

#[test]
fn a4_fewest_open_never_picks_an_agent_who_has_more_than_another_one_who_can_take_it() {
    let rules = policy(vec![anybody()], RoutingStrategy::FewestOpen);
    let mut stored = desk((0..9).map(candidate), vec![(None, rules)]);
    let mut random = 1_u64;
    let mut below = |end: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % end
    };
    let mut assigned = 0;
    while assigned < 10_000 {
        for candidate in stored.agents.values_mut() {
            candidate.load = i64::try_from(below(6)).unwrap();
            candidate.capacity = Capacity::Conversations(i32::try_from(below(7)).unwrap());
            candidate.availability = if below(4) > 0 { Availability::Available } else { Availability::Away };
            candidate.active = below(8) > 0;
        }
        let before = stored.clone();
        let Some((_, chosen)) = decide_anew(&mut stored, vec![waiting(1, None)]).pop() else { continue };
        let fewest = before.agents.values().filter(|agent| may_take(&before, agent, &waiting(1, None)));
        assert_eq!(fewest.map(|agent| agent.load).min(), Some(before.agents[&chosen].load));
        assigned += 1;
    }
}

#[test]
fn e4_a_conversation_returns_to_its_last_owner_also_outside_of_opening_hours_and_never_to_one_who_cannot_take_it() {
    let mut closed = policy(vec![only(2)], RoutingStrategy::RoundRobin);
    (closed.open, closed.rules.outside) = (false, OutsideHours::Unassigned);
    let returning = || Waiting { last_owner: Some(id(1)), ..waiting(1, None) };
    let mut desk = desk([candidate(1), candidate(2)], vec![(None, closed)]);
    assert_eq!(routed(&mut desk, vec![returning()]), [(id(1), id(1))]);
    for cannot in [
        Candidate { active: false, ..candidate(1) },
        Candidate { availability: Availability::Away, ..candidate(1) },
        Candidate { load: 2, ..candidate(1) },
    ] {
        desk.agents.insert(id(1), cannot);
        let decision = desk.route(vec![returning()], &BTreeSet::new());
        assert_eq!((decision.routed.len(), decision.leaving.len()), (0, 1));
    }
}

#[test]
fn a4_a_conversation_leaves_routing_only_after_its_visitor_has_the_message_of_this_closing() {
    let mut closed = policy(vec![anybody()], RoutingStrategy::FewestOpen);
    (closed.open, closed.changes_at, closed.rules.outside) = (false, Some(Time(7_000)), OutsideHours::Unassigned);
    closed.rules.outside_texts = vec![LocalizedText { language: "en".into(), text: "Closed.".into() }];
    assert_eq!(closed.notice_until(), Some(Time(7_000)));
    let mut desk = desk([candidate(1)], vec![(None, closed)]);
    for (noticed_until, leaving) in [(None, 0), (Some(Time(500)), 0), (Some(Time(7_000)), 1)] {
        let waiting = Waiting { noticed_until, ..waiting(1, None) };
        assert_eq!(desk.route(vec![waiting], &BTreeSet::new()).leaving.len(), leaving);
    }
}

/// The conversations that wait the longest in each queue, up to `limit`, oldest first, and the last one of each list that is full.
fn heads(queue: &[Waiting], limit: usize) -> (Vec<Waiting>, BTreeSet<Uuid>) {
    let (mut read, mut ends): (BTreeMap<Queue, usize>, BTreeSet<Uuid>) = (BTreeMap::new(), BTreeSet::new());
    let mut heads = Vec::new();
    for waiting in queue {
        let count = read.entry(waiting.queue()).or_default();
        if *count < limit {
            *count += 1;
            heads.push(waiting.clone());
            if *count == limit {
                ends.insert(waiting.conversation);
            }
        }
    }
    (heads, ends)
}

#[test]
fn a4_a6_a_decision_that_reads_a_few_conversations_at_a_time_is_that_about_all_of_them() {
    check!().with_generator(bytes(160)).for_each(|bytes| {
        let mut choices = Choices(bytes);
        let agents: Vec<Candidate> = (0..1 + choices.below(6)).map(|number| choices.candidate(number)).collect();
        let policies = (0..3).map(|number| {
            let mut policy = choices.policy();
            // Conversations for contacts of their owners have lists of their own.
            policy.rules.steps.iter_mut().for_each(|step| step.contact_owner = false);
            policy.rules.outside = if choices.below(2) > 0 { OutsideHours::Unassigned } else { OutsideHours::Wait };
            (Some(id(50 + number)).filter(|_| number > 0), policy)
        });
        let mut all = desk(agents, policies.collect());
        let mut some = all.clone();
        let count = choices.below(30);
        let mut queue: Vec<Waiting> = (0..count)
            .map(|number| {
                let policy = Some(50 + choices.below(3)).filter(|policy| *policy > 50).map(id);
                Waiting { since: Time(i64::from(number) * 30), ..waiting(number, policy) }
            })
            .collect();
        let limit = 1 + usize::from(choices.below(4));
        let expected = all.route(queue.clone(), &BTreeSet::new());
        let (mut routed, mut leaving) = (Vec::new(), BTreeSet::new());
        loop {
            let (read, ends) = heads(&queue, limit);
            let decision = some.route(read, &ends);
            leaving.extend(decision.leaving.iter().map(|waiting| waiting.conversation));
            let taken: BTreeSet<Uuid> = decision.routed.iter().map(|routed| routed.waiting.conversation).collect();
            queue.retain(|waiting| !taken.contains(&waiting.conversation) && !leaving.contains(&waiting.conversation));
            routed.extend(decision.routed);
            if !decision.goes_on {
                break;
            }
        }
        assert_eq!(routed, expected.routed);
        let expected: BTreeSet<Uuid> = expected.leaving.into_iter().map(|waiting| waiting.conversation).collect();
        assert_eq!(leaving, expected);
        assert_eq!(some.agents, all.agents);
    });
}
