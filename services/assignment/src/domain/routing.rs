//! Which agents get the conversations that wait (rules A4, A5, A6). One decision is about a whole account: the conversations are
//! looked at in the order in which they began to wait, and each gets the best agent who has a place left then. So no conversation
//! overtakes another one that the same agent could have got, and one for which no agent is free holds up no other one.

use std::collections::{BTreeMap, BTreeSet};

use frontdesk_clock::Time;
use uuid::Uuid;

use super::{Availability, Capacity, OutsideHours, RoutingRules, RoutingStep, RoutingStrategy};

/// A conversation that waits for an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) conversation: Uuid,
    /// The ownership epoch in which it is unassigned.
    pub(crate) epoch: i64,
    /// None: the default policy.
    pub(crate) policy: Option<Uuid>,
    /// The team whose members get it. None: the policy says who does.
    pub(crate) team: Option<Uuid>,
    /// The owner of its contact. None: not known.
    pub(crate) contact_owner: Option<Uuid>,
    /// The agent to whom it returns if they can take it (rule E4).
    pub(crate) last_owner: Option<Uuid>,
    pub(crate) since: Time,
    /// The end of the closing for which its visitor got the message. None: they got none.
    pub(crate) noticed_until: Option<Time>,
}

/// How a conversation is routed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Route {
    /// None: the default policy.
    pub(crate) policy: Option<Uuid>,
    /// The team whose members get it. None: the policy says who does.
    pub(crate) team: Option<Uuid>,
    /// None: not known.
    pub(crate) contact_owner: Option<Uuid>,
}

/// A queue: the conversations that wait by one policy, and for one team where a bot named it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Queue {
    /// None: the default policy.
    pub(crate) policy: Option<Uuid>,
    pub(crate) team: Option<Uuid>,
}

impl From<Option<Uuid>> for Queue {
    fn from(policy: Option<Uuid>) -> Self {
        Self { policy, team: None }
    }
}

impl Waiting {
    /// A conversation that begins to wait.
    pub(crate) fn new(conversation: Uuid, epoch: i64, route: Route, since: Time) -> Self {
        let Route { policy, team, contact_owner } = route;
        Self { conversation, epoch, policy, team, contact_owner, last_owner: None, since, noticed_until: None }
    }

    /// Returns the queue in which it waits.
    pub(crate) fn queue(&self) -> Queue {
        Queue { policy: self.policy, team: self.team }
    }
}

/// An agent, as routing sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) agent: Uuid,
    pub(crate) active: bool,
    pub(crate) availability: Availability,
    pub(crate) teams: BTreeSet<Uuid>,
    pub(crate) capacity: Capacity,
    /// Number of open conversations that they own, and of places that are reserved for them.
    pub(crate) load: i64,
    /// Number of the account's last turn that was theirs. 0: they had none.
    pub(crate) last_turn: i64,
}

/// A policy as it is at the time of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PolicyNow {
    pub(crate) rules: RoutingRules,
    pub(crate) open: bool,
    /// When `open` changes. None: never.
    pub(crate) changes_at: Option<Time>,
}

impl PolicyNow {
    /// Returns the end of the closing for which visitors get a message now. None: they get none.
    pub(crate) fn notice_until(&self) -> Option<Time> {
        let is_closed = !self.open && !self.rules.outside_texts.is_empty();
        is_closed.then(|| self.changes_at.unwrap_or(Time(i64::MAX)))
    }

    /// Returns whether the conversation leaves routing: outside of opening hours, once its visitor has the message.
    fn dismisses(&self, waiting: &Waiting) -> bool {
        let has_notice = self.notice_until().is_none_or(|until| waiting.noticed_until == Some(until));
        !self.open && self.rules.outside == OutsideHours::Unassigned && has_notice
    }
}

/// Why an agent does not get a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotRouted {
    NotInStep,
    Deactivated,
    Away,
    Full,
    CapacityZero,
    OutsideHours,
    /// The places that are left go to conversations that have waited longer.
    OthersFirst,
    /// Another agent is chosen.
    NotChosen,
}

/// A conversation and the agent who gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Routed {
    pub(crate) waiting: Waiting,
    pub(crate) agent: Uuid,
    /// Number of the turn.
    pub(crate) turn: i64,
}

/// What is decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) routed: Vec<Routed>,
    /// Conversations that leave routing.
    pub(crate) leaving: Vec<Waiting>,
    /// When time alone changes the decision. None: never.
    pub(crate) look_at: Option<Time>,
    /// Whether conversations that were not read may be next.
    pub(crate) goes_on: bool,
}

/// The agents and policies of an account at one time.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    pub(crate) now: Time,
    pub(crate) agents: BTreeMap<Uuid, Candidate>,
    /// By queue.
    pub(crate) policies: BTreeMap<Queue, PolicyNow>,
    /// Number of the account's last turn.
    pub(crate) last_turn: i64,
}

impl Candidate {
    /// Returns whether a place is left.
    pub(crate) fn has_place(&self) -> bool {
        match self.capacity {
            Capacity::Conversations(capacity) => self.load < i64::from(capacity),
            Capacity::Unlimited => true,
        }
    }

    /// Returns whether the agent can take a conversation by these rules, where a step names them.
    pub(crate) fn can_take(&self, rules: &RoutingRules) -> bool {
        self.obstacles(rules).is_empty()
    }

    /// Returns whether a conversation returns to the agent who owned it last, whatever its policy says: they are active and available, and
    /// have a place.
    pub(crate) fn can_take_back(&self) -> bool {
        self.active && self.availability == Availability::Available && self.has_place()
    }

    fn is_target(&self, step: &RoutingStep, contact_owner: Option<Uuid>) -> bool {
        step.anybody
            || step.agents.contains(&self.agent)
            || !step.teams.is_disjoint(&self.teams)
            || (step.contact_owner && contact_owner == Some(self.agent))
    }

    fn take(&mut self, turn: i64) {
        self.load += 1;
        self.last_turn = turn;
    }

    /// Returns every reason why the agent can take no conversation of this policy.
    fn obstacles(&self, rules: &RoutingRules) -> Vec<NotRouted> {
        let mut obstacles = Vec::new();
        if !self.active {
            obstacles.push(NotRouted::Deactivated);
        }
        if rules.only_available && self.availability == Availability::Away {
            obstacles.push(NotRouted::Away);
        }
        if self.capacity == Capacity::Conversations(0) {
            obstacles.push(NotRouted::CapacityZero);
        } else if !self.has_place() {
            obstacles.push(NotRouted::Full);
        }
        obstacles
    }
}

impl Desk {
    /// Decides about conversations that wait. `queue`: oldest first. `ends`: those behind which more wait in the same queue, which are not
    /// read. Once a conversation has got an agent, the one behind an end may be next, and the decision ends there: it goes on with what is
    /// read then, on the agents as it left them.
    pub(crate) fn route(&mut self, queue: Vec<Waiting>, ends: &BTreeSet<Uuid>) -> Decision {
        let mut decision = Decision::default();
        for waiting in queue {
            let Some(policy) = self.policies.get(&waiting.queue()) else { continue };
            let is_end = ends.contains(&waiting.conversation);
            let (steps, joins_at) = policy.rules.joined(waiting.since, self.now);
            let last_owner = find_last_owner(&waiting, &self.agents);
            match last_owner.or_else(|| choose(policy, steps, &waiting, &self.agents)) {
                Some(agent) => {
                    self.last_turn += 1;
                    let turn = self.last_turn;
                    if let Some(candidate) = self.agents.get_mut(&agent) {
                        candidate.take(turn);
                    }
                    decision.routed.push(Routed { waiting, agent, turn });
                }
                None if policy.dismisses(&waiting) => decision.leaving.push(waiting),
                None => {
                    let times = [decision.look_at, joins_at.filter(|_| policy.open), policy.changes_at];
                    decision.look_at = times.into_iter().flatten().min();
                }
            }
            if is_end && !decision.routed.is_empty() {
                break;
            }
        }
        let found_any = !decision.routed.is_empty() || !decision.leaving.is_empty();
        decision.goes_on = found_any && !ends.is_empty();
        decision
    }

    /// Returns every agent with every reason why they do not get this conversation; the one without a reason gets it. `before`: the
    /// conversations that have waited longer.
    pub(crate) fn explain(mut self, before: Vec<Waiting>, waiting: &Waiting) -> Vec<(Candidate, Vec<NotRouted>)> {
        let agents = self.agents.clone();
        self.route(before, &BTreeSet::new());
        let Some(policy) = self.policies.get(&waiting.queue()) else { return Vec::new() };
        let (steps, _) = policy.rules.joined(waiting.since, self.now);
        let last_owner = find_last_owner(waiting, &self.agents);
        let chosen = last_owner.or_else(|| choose(policy, steps, waiting, &self.agents));
        let reasons = |candidate: &Candidate| {
            let mut reasons = Vec::new();
            if chosen == Some(candidate.agent) {
                return reasons;
            }
            if !steps.iter().any(|step| candidate.is_target(step, waiting.contact_owner)) {
                reasons.push(NotRouted::NotInStep);
            }
            if !policy.open {
                reasons.push(NotRouted::OutsideHours);
            }
            reasons.extend(candidate.obstacles(&policy.rules));
            let left = self.agents.get(&candidate.agent).is_some_and(Candidate::has_place);
            if candidate.has_place() && !left {
                reasons.push(NotRouted::OthersFirst);
            }
            if reasons.is_empty() {
                reasons.push(NotRouted::NotChosen);
            }
            reasons
        };
        let explained = |candidate: Candidate| {
            let reasons = reasons(&candidate);
            (candidate, reasons)
        };
        agents.into_values().map(explained).collect()
    }
}

/// Returns the agent to whom the conversation returns: its last owner, if they can take it back.
fn find_last_owner(waiting: &Waiting, agents: &BTreeMap<Uuid, Candidate>) -> Option<Uuid> {
    let candidate = agents.get(&waiting.last_owner?)?;
    candidate.can_take_back().then_some(candidate.agent)
}

/// Returns the agent who gets the conversation: one of the first step that has an agent who can take it. None: it waits.
fn choose(
    policy: &PolicyNow,
    steps: &[RoutingStep],
    waiting: &Waiting,
    agents: &BTreeMap<Uuid, Candidate>,
) -> Option<Uuid> {
    if !policy.open {
        return None;
    }
    let rank = |candidate: &&Candidate| match policy.rules.strategy {
        RoutingStrategy::RoundRobin => (0, candidate.last_turn, candidate.agent),
        RoutingStrategy::FewestOpen => (candidate.load, candidate.last_turn, candidate.agent),
    };
    let can_take = |candidate: &&Candidate| candidate.can_take(&policy.rules);
    steps.iter().find_map(|step| {
        let targets = agents.values().filter(|candidate| candidate.is_target(step, waiting.contact_owner));
        targets.filter(can_take).min_by_key(rank).map(|candidate| candidate.agent)
    })
}
