//! The gRPC services: open, convert, call, convert.

mod assignment_service;
mod conversion;
mod roster_service;

pub(crate) use assignment_service::Assignments;
pub(crate) use roster_service::Roster;
