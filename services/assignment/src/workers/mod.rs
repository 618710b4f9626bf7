//! Background tasks of the service.

mod heartbeats;
mod router;

pub(crate) use heartbeats::watch_heartbeats;
pub(crate) use router::route;
