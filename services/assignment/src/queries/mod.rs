//! What a caller can ask, one file each.

mod get_agent;
mod get_assignment;
mod get_opening_hours;
mod list_agents;
mod list_assignments;
mod list_opening_hours;

pub(crate) use get_agent::get_agent;
pub(crate) use get_assignment::get_assignment;
pub(crate) use get_opening_hours::get_opening_hours;
pub(crate) use list_agents::list_agents;
pub(crate) use list_assignments::list_assignments;
pub(crate) use list_opening_hours::list_opening_hours;
