//! Agents, the assignments of conversations, and opening hours. No I/O, no clock.

mod actor;
mod agent;
mod assignment;
mod assignment_view;
mod opening_hours;
mod rejection;

pub(crate) use actor::Actor;
pub(crate) use agent::{Agent, AgentChange};
pub(crate) use assignment::{Assignment, AssignmentCause};
pub(crate) use assignment_view::{AssignmentView, NamedActor};
pub(crate) use opening_hours::{OpeningHours, OpeningHoursChange};
pub(crate) use rejection::Rejection;
