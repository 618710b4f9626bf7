//! What a caller can ask, one file each.

mod explain_routing;
mod find_actor_names;
mod get_agent;
mod get_agent_status;
mod get_assignment;
mod get_opening_hours;
mod get_queue_place;
mod get_routing_policy;
mod get_team;
mod list_account_rows;
mod list_agent_statuses;
mod list_agents;
mod list_assignments;
mod list_opening_hours;
mod list_routing_policies;
mod list_teams;
mod load_desk;
mod load_policies;
mod load_queues;

pub(crate) use explain_routing::{Explanation, explain_routing};
pub(crate) use find_actor_names::find_actor_names;
pub(crate) use get_agent::get_agent;
pub(crate) use get_agent_status::get_agent_status;
pub(crate) use get_assignment::get_assignment;
pub(crate) use get_opening_hours::get_opening_hours;
pub(crate) use get_queue_place::{get_queue_place, get_queue_places, require_conversation};
pub(crate) use get_routing_policy::get_routing_policy;
pub(crate) use get_team::get_team;
pub(crate) use list_account_rows::list_account_rows;
pub(crate) use list_agent_statuses::{StatusFilter, list_agent_statuses};
pub(crate) use list_agents::list_agents;
pub(crate) use list_assignments::list_assignments;
pub(crate) use list_opening_hours::list_opening_hours;
pub(crate) use list_routing_policies::list_routing_policies;
pub(crate) use list_teams::list_teams;
pub(crate) use load_desk::load_desk;
pub(crate) use load_policies::load_policies;
pub(crate) use load_queues::{RecentQueues, recent_queues};

pub(crate) use crate::store::{agents::AgentFilter, teams::TeamFilter};
