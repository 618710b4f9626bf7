//! Agents, teams, the statuses of agents, the assignments of conversations, opening hours, and routing. No I/O, no clock.

mod absence;
mod actor;
mod agent;
mod agent_status;
mod assignment;
mod assignment_view;
mod capacity;
mod conversation_change;
mod notice;
mod opening_hours;
mod queue;
mod queue_pace;
mod rejection;
mod routing;
#[cfg(test)]
mod routing_day_tests;
mod routing_outcome;
mod routing_policy;
#[cfg(test)]
mod routing_tests;
mod team;

pub(crate) use absence::Absence;
pub(crate) use actor::Actor;
pub(crate) use agent::{Agent, AgentChange};
pub(crate) use agent_status::{AgentStatus, Availability, AwayReason, HeartbeatPolicy, StatusChange, StatusView};
pub(crate) use assignment::{Assignment, AssignmentCause, PeriodEnd};
pub(crate) use assignment_view::{ActorNames, AssignmentView, NamedActor};
pub(crate) use capacity::Capacity;
pub(crate) use conversation_change::{ConversationChange, NewOwner, newest_waits, period_ends};
pub(crate) use notice::Notice;
pub(crate) use opening_hours::{OpeningHours, OpeningHoursChange};
pub(crate) use queue::{PoliciesNow, QueueLength, QueuePlace, Queued, Queues};
pub(crate) use queue_pace::QueuePace;
pub(crate) use rejection::Rejection;
pub(crate) use routing::{Candidate, Desk, NotRouted, PolicyNow, Queue, Route, Routed, Waiting};
pub(crate) use routing_outcome::RoutingOutcome;
pub(crate) use routing_policy::{
    LocalizedText, OutsideHours, RoutingPolicy, RoutingPolicyChange, RoutingRules, RoutingStep, RoutingStrategy,
};
pub(crate) use team::{MAX_MEMBERS, Team, TeamChange};
