//! The gRPC services. A handler validates the request, calls a command or a query, and converts the result.

mod account_row_service;
mod assignment_service;
mod availability_service;
mod convert;
mod event_service;
mod opening_hours_service;
mod roster_service;
mod routing_policy_service;
mod routing_service;
mod team_service;
mod watch_queue_place;

pub(crate) use account_row_service::AccountRows;
pub(crate) use assignment_service::Assignments;
pub(crate) use availability_service::Statuses;
pub(crate) use event_service::Events;
pub(crate) use opening_hours_service::Hours;
pub(crate) use roster_service::Roster;
pub(crate) use routing_policy_service::Policies;
pub(crate) use routing_service::Routing;
pub(crate) use team_service::Teams;
