//! Background tasks of the service.

mod heartbeats;

pub(crate) use heartbeats::watch_heartbeats;
