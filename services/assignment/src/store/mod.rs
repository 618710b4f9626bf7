//! The statements. Each one that a caller's request reaches names the account; those by which workers find what is due serve all
//! accounts.

mod account_tables;
pub(crate) mod administrators;
pub(crate) mod agent_returns;
pub(crate) mod agent_statuses;
pub(crate) mod agents;
pub(crate) mod assignment_closes;
pub(crate) mod assignments;
pub(crate) mod conversation_owners;
#[allow(unreachable_pub, reason = "sea-orm derives public items of rows")]
mod entity;
pub(crate) mod events;
pub(crate) mod opening_hours;
pub(crate) mod queue_notices;
pub(crate) mod queue_paces;
pub(crate) mod queue_publications;
pub(crate) mod routing_accounts;
pub(crate) mod routing_policies;
pub(crate) mod routing_queue;
pub(crate) mod routing_queues;
pub(crate) mod routing_turns;
pub(crate) mod team_members;
pub(crate) mod teams;

pub(crate) use account_tables::ACCOUNT_TABLES;
