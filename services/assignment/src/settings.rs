//! Settings of the service.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::HeartbeatPolicy;

/// When agents are away by themselves, and how they come onto the roster.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AssignmentSettings {
    /// Interval in which the clients of agents send heartbeats.
    #[serde(with = "frontdesk_settings::duration")]
    pub heartbeat_interval: Duration,
    /// How long after the last heartbeat an agent who is set available is away: at least twice the interval.
    #[serde(with = "frontdesk_settings::duration")]
    pub away_after: Duration,
    /// Whether an agent whom the roster lacks is added to it when they first set their availability, send a heartbeat, or change an owner.
    pub create_agents_at_first_call: bool,
}

impl Default for AssignmentSettings {
    fn default() -> Self {
        Self {
            heartbeat_interval: Duration::from_secs(30),
            away_after: Duration::from_secs(90),
            create_agents_at_first_call: false,
        }
    }
}

impl AssignmentSettings {
    /// When heartbeats are due.
    pub(crate) fn heartbeat_policy(&self) -> HeartbeatPolicy {
        HeartbeatPolicy { interval: self.heartbeat_interval, away_after: self.away_after }
    }
}
