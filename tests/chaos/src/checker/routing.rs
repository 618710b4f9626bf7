//! I15: at each automatic assignment the agent had a free place, by the assignment service's own rows. I16: a conversation that waits is
//! in the queue, an agent with a free place gets one within five seconds, and none overtakes another that the same agents could get.
//! I18: the load of an agent is the number of their open conversations.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{Index, Verdict};
use crate::final_state::{Change, Changed, Event, Fact, OwnerRow, QueueState, Queued};

/// Maximum time that an agent has a free place while a conversation waits that they could get (microseconds).
const FREE_FOR: i64 = 5_000_000;
/// How long after the last heartbeat an agent is away (microseconds): the default of the service.
const AWAY_AFTER: i64 = 90_000_000;

pub(super) fn check(index: &Index<'_>, verdict: &mut Verdict) {
    queue(index, verdict);
    loads(index, verdict);
    if !index.state().routing.changes.is_empty() {
        decisions(index, verdict);
    }
}

/// The queue has the conversations that wait, and no others.
fn queue(index: &Index<'_>, verdict: &mut Verdict) {
    let rows: HashMap<&str, &Queued> =
        index.state().routing.queue.iter().map(|row| (row.conversation.as_str(), row)).collect();
    for conversation in &index.state().conversations {
        let (id, epoch) = (conversation.id.as_str(), conversation.epoch);
        let is_free = conversation.status == "OPEN" && conversation.assignee.is_empty();
        let row = rows.get(id).copied();
        if is_free && waits(index.events(id), epoch) {
            verdict.evaluates(&["I16"]);
            if row.is_none_or(|row| row.epoch != epoch) {
                verdict.violated("I16", format!("{id}: waits at epoch {epoch}, and is in no queue"));
            }
        }
        let Some(row) = row.filter(|row| row.state != QueueState::Left) else { continue };
        verdict.evaluates(&["I16"]);
        if !is_free || row.epoch != epoch {
            let now = (&conversation.status, &conversation.assignee, epoch);
            verdict.violated("I16", format!("{id}: in the queue at epoch {}, the row is {now:?}", row.epoch));
        }
        if row.state == QueueState::Reserved {
            verdict.violated("I15", format!("{id}: a place at {} is still reserved", row.agent));
        }
    }
}

/// Whether the conversation waits for an agent by its events: the last one that began an epoch says so. One that goes back from its agent
/// waits if it was routed before.
fn waits(events: &[&Event], epoch: i64) -> bool {
    let is_routed = events.iter().any(|event| match &event.fact {
        Fact::Started { policy, owner, .. } => !policy.is_empty() || !owner.is_empty(),
        Fact::HandedOff { .. } => true,
        Fact::Reopened { routed, .. } => *routed,
        _ => false,
    });
    let last = events.iter().rev().find_map(|event| match &event.fact {
        Fact::Started { policy, .. } => Some(epoch == 1 && !policy.is_empty()),
        Fact::HandedOff { epoch: begun, agent, .. } => Some(*begun == epoch && agent.is_empty()),
        Fact::Reopened { epoch: begun, by, routed } => Some(*begun == epoch && !by.starts_with("AGENT:") && *routed),
        Fact::Assignee { epoch: begun, cause, .. } => {
            let goes_back = ["AGENT_DEACTIVATED", "AGENT_UNREACHABLE"].contains(&cause.as_str());
            Some(*begun == epoch && goes_back && is_routed)
        }
        _ => None,
    });
    last.unwrap_or(false)
}

/// Every place is given back: the assignment service knows owner and status of each conversation.
fn loads(index: &Index<'_>, verdict: &mut Verdict) {
    let rows: HashMap<&str, &OwnerRow> =
        index.state().routing.owners.iter().map(|row| (row.conversation.as_str(), row)).collect();
    for conversation in &index.state().conversations {
        let agent = conversation.assignee.strip_prefix("AGENT:").unwrap_or_default();
        let expected = (conversation.epoch, agent, conversation.status == "OPEN");
        let is = rows.get(conversation.id.as_str()).map(|row| (row.epoch, row.agent.as_str(), row.open));
        if is != Some(expected) {
            let what = format!("{}: the load is counted from {is:?}, the row is {expected:?}", conversation.id);
            verdict.violated("I18", what);
        }
    }
}

/// Follows the log, decision by decision.
fn decisions(index: &Index<'_>, verdict: &mut Verdict) {
    verdict.evaluates(&["I15", "I16"]);
    let mut desk = Desk::default();
    for step in &index.state().routing.policies {
        let named = step.agents.iter().map(String::as_str).collect();
        desk.policies.insert(&step.policy, Policy { anybody: step.anybody, agents: named });
    }
    // The default policy.
    desk.policies.insert("", Policy { anybody: true, agents: HashSet::new() });
    for change in &index.state().routing.changes {
        desk.apply(change, verdict);
    }
    desk.finish(index.state().now, verdict);
    for conversation in &index.state().conversations {
        for event in index.events(&conversation.id) {
            let Fact::Assignee { epoch, to, cause, .. } = &event.fact else { continue };
            let agent = to.strip_prefix("AGENT:").unwrap_or_default();
            if cause == "ROUTED" && !desk.reserved.contains(&(conversation.id.as_str(), epoch - 1, agent)) {
                verdict
                    .violated("I15", format!("{}: {to} got epoch {epoch} without a reserved place", conversation.id));
            }
        }
    }
}

/// The agents who may get the conversations of a policy at once.
struct Policy<'a> {
    anybody: bool,
    agents: HashSet<&'a str>,
}

impl Policy<'_> {
    fn names(&self, agent: &str) -> bool {
        self.anybody || self.agents.contains(agent)
    }
}

/// An agent as the log has them. One whom the log does not know can take nothing.
#[derive(Default)]
struct Agent {
    active: bool,
    capacity: i64,
    available: bool,
    heard_at: i64,
    /// Number of open conversations and of reserved places.
    load: i64,
    /// Since when they are available with a free place and got nothing.
    free_since: Option<i64>,
}

impl Agent {
    fn is_free(&self) -> bool {
        self.active && self.available && self.load < self.capacity
    }

    /// Until when they were free, if they were at this time or shortly before.
    fn free_until(&self, at: i64) -> i64 {
        at.min(self.heard_at + AWAY_AFTER)
    }
}

/// The agents and conversations of all accounts at one point of the log.
#[derive(Default)]
struct Desk<'a> {
    policies: HashMap<&'a str, Policy<'a>>,
    agents: HashMap<&'a str, Agent>,
    owners: HashMap<&'a str, &'a OwnerRow>,
    /// Each with the time at which it began to wait by the log.
    queue: HashMap<&'a str, (&'a Queued, i64)>,
    /// Policy, owners, time and id of those that wait, in the order in which they are to be assigned.
    order: BTreeSet<(&'a str, &'a str, i64, &'a str)>,
    /// Policy, time by the log and id of those that wait.
    waiting: BTreeSet<(&'a str, i64, &'a str)>,
    /// Conversation, epoch and agent of every reservation.
    reserved: HashSet<(&'a str, i64, &'a str)>,
}

impl<'a> Desk<'a> {
    fn apply(&mut self, change: &'a Change, verdict: &mut Verdict) {
        let at = change.at;
        match &change.what {
            Changed::Queued(row) => self.queued(row, at, verdict),
            Changed::Dequeued { conversation } => {
                if let Some((row, from)) = self.dequeue(conversation, at, verdict) {
                    self.require_assigned(row, from, at, verdict);
                }
            }
            Changed::Owned(row) => self.owned(row, at, verdict),
            Changed::Agent { agent, active, capacity } => {
                let capacity = capacity.unwrap_or(i64::MAX);
                self.change(agent, at, false, verdict, |agent| {
                    (agent.active, agent.capacity) = (*active, capacity);
                });
            }
            Changed::Status { agent, available, heard_at } => {
                self.change(agent, at, false, verdict, |agent| {
                    (agent.available, agent.heard_at) = (*available, *heard_at);
                });
            }
        }
    }

    fn queued(&mut self, row: &'a Queued, at: i64, verdict: &mut Verdict) {
        let before = self.queue.get(row.conversation.as_str()).map(|(before, _)| *before);
        let stays = before.is_some_and(|before| (before.state, before.epoch) == (row.state, row.epoch));
        if stays && before.is_some_and(|before| before.agent == row.agent) {
            return;
        }
        let waited = self.dequeue(&row.conversation, at, verdict);
        if let Some((row, from)) = waited {
            self.require_assigned(row, from, at, verdict);
        }
        let key = row.conversation.as_str();
        self.queue.insert(key, (row, at));
        match row.state {
            QueueState::Waiting => {
                self.order.insert((&row.policy, &row.owners, row.since, key));
                self.waiting.insert((&row.policy, at, key));
            }
            QueueState::Reserved => self.reserve(row, at, verdict),
            QueueState::Left => {}
        }
    }

    fn reserve(&mut self, row: &'a Queued, at: i64, verdict: &mut Verdict) {
        let (policy, owner) = (row.policy.as_str(), row.owners.as_str());
        let first = self.order.range((policy, owner, i64::MIN, "")..).next();
        if let Some((.., older)) = first.filter(|first| **first < (policy, owner, row.since, row.conversation.as_str()))
            && first.is_some_and(|first| (first.0, first.1) == (policy, owner))
        {
            verdict.violated("I16", format!("{} overtakes {older}, which waits longer", row.conversation));
        }
        let agent = self.agents.entry(&row.agent).or_default();
        if agent.load >= agent.capacity {
            let what = format!("{} has {} of {} conversations", row.agent, agent.load, agent.capacity);
            verdict.violated("I15", format!("{what}, and gets {}", row.conversation));
        }
        self.reserved.insert((&row.conversation, row.epoch, &row.agent));
        self.change(&row.agent, at, true, verdict, |agent| agent.load += 1);
    }

    /// Removes the conversation, and gives its place back. Returns it if it waited, and since when.
    fn dequeue(&mut self, conversation: &'a str, at: i64, verdict: &mut Verdict) -> Option<(&'a Queued, i64)> {
        let (row, from) = self.queue.remove(conversation)?;
        match row.state {
            QueueState::Waiting => {
                self.order.remove(&(row.policy.as_str(), row.owners.as_str(), row.since, conversation));
                self.waiting.remove(&(row.policy.as_str(), from, conversation));
                return Some((row, from));
            }
            QueueState::Reserved => self.change(&row.agent, at, false, verdict, |agent| agent.load -= 1),
            QueueState::Left => {}
        }
        None
    }

    fn owned(&mut self, row: &'a OwnerRow, at: i64, verdict: &mut Verdict) {
        let before = self.owners.insert(&row.conversation, row);
        for (row, load) in [(before, -1), (Some(row), 1)] {
            if let Some(row) = row.filter(|row| row.open && !row.agent.is_empty()) {
                self.change(&row.agent, at, false, verdict, |agent| agent.load += load);
            }
        }
    }

    /// Changes an agent. `gets`: they get a conversation, which ends the time for which they were free and got nothing.
    fn change(&mut self, id: &'a str, at: i64, gets: bool, verdict: &mut Verdict, change: impl FnOnce(&mut Agent)) {
        let agent = self.agents.entry(id).or_default();
        let (since, until) = (agent.free_since, agent.free_until(at));
        change(agent);
        let free = agent.is_free();
        if free && !gets && until == at {
            agent.free_since.get_or_insert(at);
            return;
        }
        agent.free_since = free.then_some(at);
        if let Some(since) = since {
            self.require_none_waited(id, since, until, verdict);
        }
    }

    /// The agent was free from `since` until then: nothing that they could get waited for too long of it.
    fn require_none_waited(&self, agent: &str, since: i64, until: i64, verdict: &mut Verdict) {
        for (policy, _) in self.policies.iter().filter(|(_, policy)| policy.names(agent)) {
            let longest = self.waiting.range((*policy, i64::MIN, "")..).next().filter(|first| first.0 == *policy);
            if let Some((_, from, conversation)) = longest {
                too_long(agent, conversation, since.max(*from), until, verdict);
            }
        }
    }

    /// The conversation waited from `from` until then: nobody who could get it was free for too long of it.
    fn require_assigned(&self, row: &Queued, from: i64, at: i64, verdict: &mut Verdict) {
        let Some(policy) = self.policies.get(row.policy.as_str()) else { return };
        for (id, agent) in self.agents.iter().filter(|(id, _)| policy.names(id)) {
            if let Some(since) = agent.free_since {
                too_long(id, &row.conversation, since.max(from), agent.free_until(at), verdict);
            }
        }
    }

    fn finish(&self, now: i64, verdict: &mut Verdict) {
        for (id, agent) in &self.agents {
            if let Some(since) = agent.free_since {
                self.require_none_waited(id, since, agent.free_until(now), verdict);
            }
        }
    }
}

fn too_long(agent: &str, conversation: &str, from: i64, until: i64, verdict: &mut Verdict) {
    if until - from > FREE_FOR {
        verdict.violated("I16", format!("{conversation} waited {} µs while {agent} was free", until - from));
    }
}
