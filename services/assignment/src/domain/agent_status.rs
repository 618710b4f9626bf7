//! Whether an agent is available (rule A7).

use std::{mem, time::Duration};

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

/// Maximum number of heartbeats that are stored in one interval.
const STORED_PER_INTERVAL: u32 = 3;

/// Whether an agent takes conversations from routing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Availability {
    Available,
    Away,
}

/// Why an agent is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AwayReason {
    /// The agent or an administrator set it, or neither ever set anything.
    Chosen,
    /// The agent is set available, and their client sends no heartbeats.
    NoHeartbeat,
    /// The agent was deactivated.
    Deactivated,
}

/// How often heartbeats are due, and how long an agent is available without one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeartbeatPolicy {
    pub(crate) interval: Duration,
    pub(crate) away_after: Duration,
}

/// What an agent chose, when their client was last heard, and what the last event says. The agent is available while they chose
/// that and heartbeats come; between two events this is calculated from the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AgentStatus {
    pub(crate) account: AccountId,
    pub(crate) agent: Uuid,
    /// What the agent or an administrator set.
    pub(crate) chosen: Availability,
    /// What the last event says; away before the first one.
    pub(crate) published: Availability,
    /// When `published` began. None: there was no event.
    pub(crate) changed_at: Option<Time>,
    /// The last heartbeat that was stored. None: there was none.
    pub(crate) heartbeat_at: Option<Time>,
    /// When it is checked whether heartbeats have stopped. None: `published` is away.
    pub(crate) check_at: Option<Time>,
    /// Number of the status's events.
    pub(crate) version: i64,
}

/// What a change of a status requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StatusChange {
    /// Nothing changed.
    None,
    /// The row changed.
    Stored,
    /// The row changed, and the availability with it: an event says so.
    Published,
}

/// The status as callers read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StatusView {
    pub(crate) agent: Uuid,
    pub(crate) availability: Availability,
    /// None: the agent is available.
    pub(crate) away_reason: Option<AwayReason>,
    /// Since when. None: the agent was never available.
    pub(crate) changed_at: Option<Time>,
    pub(crate) heartbeat_at: Option<Time>,
    /// Number of open conversations that the agent owns.
    pub(crate) open_conversations: i64,
}

impl AgentStatus {
    /// Returns the status of an agent of whom none is stored.
    pub(crate) fn new(account: AccountId, agent: Uuid) -> Self {
        Self {
            account,
            agent,
            chosen: Availability::Away,
            published: Availability::Away,
            changed_at: None,
            heartbeat_at: None,
            check_at: None,
            version: 0,
        }
    }

    /// Returns when the agent is away unless another heartbeat comes. None: they are away.
    pub(crate) fn away_at(&self, now: Time, policy: HeartbeatPolicy) -> Option<Time> {
        self.lapses_at(policy).filter(|lapses_at| self.chosen == Availability::Available && *lapses_at > now)
    }

    /// Takes a heartbeat of the agent's client.
    pub(crate) fn heartbeat(&mut self, now: Time, policy: HeartbeatPolicy) -> StatusChange {
        let stored = self.beat(now, policy);
        self.settle(stored, now, policy)
    }

    /// Sets what the agent chose, whose client is heard with it.
    pub(crate) fn choose(&mut self, chosen: Availability, now: Time, policy: HeartbeatPolicy) -> StatusChange {
        let beat = self.beat(now, policy);
        let changed = mem::replace(&mut self.chosen, chosen) != chosen;
        self.settle(beat || changed, now, policy)
    }

    /// Sets what somebody else chose for the agent.
    pub(crate) fn set(&mut self, chosen: Availability, now: Time, policy: HeartbeatPolicy) -> StatusChange {
        let changed = mem::replace(&mut self.chosen, chosen) != chosen;
        self.settle(changed, now, policy)
    }

    /// Checks whether heartbeats have stopped, or when to check again.
    pub(crate) fn check(&mut self, now: Time, policy: HeartbeatPolicy) -> StatusChange {
        let change = self.settle(true, now, policy);
        if change == StatusChange::Stored {
            self.check_at = self.lapses_at(policy);
        }
        change
    }

    /// Returns the status as a caller reads it at this time.
    pub(crate) fn view(mut self, now: Time, policy: HeartbeatPolicy, open_conversations: i64) -> StatusView {
        self.settle(false, now, policy);
        StatusView {
            agent: self.agent,
            availability: self.published,
            away_reason: self.away_reason(),
            changed_at: self.changed_at,
            heartbeat_at: self.heartbeat_at,
            open_conversations,
        }
    }

    /// Returns why the agent is away, by the last event. None: they are available.
    pub(crate) fn away_reason(&self) -> Option<AwayReason> {
        match (self.published, self.chosen) {
            (Availability::Available, _) => None,
            (Availability::Away, Availability::Away) => Some(AwayReason::Chosen),
            (Availability::Away, Availability::Available) => Some(AwayReason::NoHeartbeat),
        }
    }

    fn lapses_at(&self, policy: HeartbeatPolicy) -> Option<Time> {
        Some(self.heartbeat_at?.plus(policy.away_after))
    }

    /// Stores the heartbeat, unless one was stored shortly before. Returns whether it is stored.
    fn beat(&mut self, now: Time, policy: HeartbeatPolicy) -> bool {
        let shortest = policy.interval / STORED_PER_INTERVAL;
        // A heartbeat that is later than now is from before the database's clock was set back.
        let stored = self.heartbeat_at.is_none_or(|last| last > now || now.since(last) >= shortest);
        if stored {
            self.heartbeat_at = Some(now);
        }
        stored
    }

    /// Brings `published` up to date.
    fn settle(&mut self, changed: bool, now: Time, policy: HeartbeatPolicy) -> StatusChange {
        let away_at = self.away_at(now, policy);
        let current = if away_at.is_some() { Availability::Available } else { Availability::Away };
        if current == self.published {
            return if changed { StatusChange::Stored } else { StatusChange::None };
        }
        // Of heartbeats that stopped, the agent is away from the time at which the last one counts no more.
        let lapsed_at = self.lapses_at(policy).filter(|_| self.chosen == Availability::Available);
        let since = if current == Availability::Away { lapsed_at.unwrap_or(now).min(now) } else { now };
        self.changed_at = Some(self.changed_at.map_or(since, |before| before.max(since)));
        (self.published, self.check_at) = (current, away_at);
        self.version += 1;
        StatusChange::Published
    }
}

impl StatusView {
    /// Returns the view of a deactivated agent.
    pub(crate) fn deactivated(self, at: Time) -> Self {
        let (availability, away_reason) = (Availability::Away, Some(AwayReason::Deactivated));
        Self { availability, away_reason, changed_at: Some(at), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Availability::{Available, Away},
        *,
    };

    const POLICY: HeartbeatPolicy =
        HeartbeatPolicy { interval: Duration::from_secs(30), away_after: Duration::from_secs(90) };

    fn seconds(seconds: i64) -> Time {
        Time(seconds * 1_000_000)
    }

    fn ada() -> AgentStatus {
        AgentStatus::new(AccountId(Uuid::from_u128(9)), Uuid::from_u128(1))
    }

    /// Ada, who set herself available at this time.
    fn available(at: i64) -> AgentStatus {
        let mut status = ada();
        assert_eq!(status.choose(Available, seconds(at), POLICY), StatusChange::Published);
        status
    }

    #[test]
    fn a7_an_agent_is_available_from_the_choice_on_while_heartbeats_come() {
        let mut status = available(100);
        assert_eq!((status.version, status.check_at), (1, Some(seconds(190))));
        assert_eq!(status.heartbeat(seconds(130), POLICY), StatusChange::Stored);
        assert_eq!(status.away_at(seconds(219), POLICY), Some(seconds(220)));
        assert_eq!(status.clone().view(seconds(219), POLICY, 2).availability, Available);
        let away = status.clone().view(seconds(250), POLICY, 2);
        assert_eq!((away.availability, away.away_reason), (Away, Some(AwayReason::NoHeartbeat)));
        assert_eq!((away.changed_at, away.open_conversations), (Some(seconds(220)), 2));

        assert_eq!(status.heartbeat(seconds(300), POLICY), StatusChange::Stored, "no check came in between");
        assert_eq!(status.view(seconds(300), POLICY, 0).changed_at, Some(seconds(100)));
    }

    #[test]
    fn a7_a_check_publishes_that_heartbeats_stopped_or_looks_again_later() {
        let mut status = available(100);
        assert_eq!(status.heartbeat(seconds(150), POLICY), StatusChange::Stored);
        assert_eq!(status.check_at, Some(seconds(190)), "a heartbeat moves no check");
        assert_eq!(status.check(seconds(190), POLICY), StatusChange::Stored);
        assert_eq!((status.check_at, status.version), (Some(seconds(240)), 1));
        assert_eq!(status.check(seconds(241), POLICY), StatusChange::Published);
        assert_eq!((status.published, status.check_at, status.version), (Away, None, 2));
        assert_eq!((status.changed_at, status.away_reason()), (Some(seconds(240)), Some(AwayReason::NoHeartbeat)));

        assert_eq!(status.heartbeat(seconds(400), POLICY), StatusChange::Published, "they are back");
        assert_eq!((status.published, status.check_at, status.version), (Available, Some(seconds(490)), 3));
    }

    #[test]
    fn a7_heartbeats_soon_after_another_are_not_stored() {
        let mut status = available(100);
        assert_eq!(status.heartbeat(seconds(109), POLICY), StatusChange::None);
        assert_eq!(status.heartbeat_at, Some(seconds(100)));
        assert_eq!(status.heartbeat(seconds(110), POLICY), StatusChange::Stored);
        assert_eq!(status.heartbeat(seconds(50), POLICY), StatusChange::Stored, "the clock was set back");
        assert_eq!(status.heartbeat_at, Some(seconds(50)));
    }

    #[test]
    fn a7_who_chose_to_be_away_is_away_whatever_their_client_sends() {
        let mut status = available(100);
        assert_eq!(status.choose(Away, seconds(105), POLICY), StatusChange::Published);
        assert_eq!((status.version, status.check_at), (2, None));
        assert_eq!(status.choose(Away, seconds(106), POLICY), StatusChange::None, "a repeat changes nothing");
        assert_eq!(status.heartbeat(seconds(140), POLICY), StatusChange::Stored);
        assert_eq!((status.published, status.away_reason()), (Away, Some(AwayReason::Chosen)));
        assert_eq!(status.changed_at, Some(seconds(105)));
    }

    #[test]
    fn a7_what_an_administrator_sets_is_no_heartbeat() {
        let mut status = ada();
        assert_eq!(status.set(Available, seconds(100), POLICY), StatusChange::Stored);
        assert_eq!((status.published, status.away_reason()), (Away, Some(AwayReason::NoHeartbeat)));
        assert_eq!(status.heartbeat(seconds(120), POLICY), StatusChange::Published);
        assert_eq!(status.set(Away, seconds(121), POLICY), StatusChange::Published);
        assert_eq!(status.set(Away, seconds(122), POLICY), StatusChange::None);
        assert_eq!((status.version, status.changed_at), (2, Some(seconds(121))));
    }
}
