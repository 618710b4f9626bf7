//! The gRPC services. A handler validates the request, calls a command or a query, and converts the result.

mod assignment_service;
mod convert;
mod roster_service;

pub(crate) use assignment_service::Assignments;
pub(crate) use roster_service::Roster;
