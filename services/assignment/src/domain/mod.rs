//! Agents and the assignments of conversations. No I/O, no clock.

mod actor;
mod agent;
mod assignment;
mod assignment_view;

pub(crate) use actor::Actor;
pub(crate) use agent::{Agent, AgentChange, Rejection};
pub(crate) use assignment::{Assignment, AssignmentCause};
pub(crate) use assignment_view::{AssignmentView, NamedActor};
