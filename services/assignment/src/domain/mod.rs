//! Agents, and the stretches of a conversation's ownership. No I/O, no clock.

mod agent;
mod stretch;

pub(crate) use agent::{Agent, AgentChange};
pub(crate) use stretch::{Party, Stretch, ends};
