//! Background tasks of the service.

mod given_back;
mod heartbeats;
mod measurements;
mod outcome_counter;
mod queue_publisher;
mod router;

pub(crate) use given_back::give_back;
pub(crate) use heartbeats::watch_heartbeats;
pub(crate) use measurements::measure_queues;
pub(crate) use outcome_counter::OutcomeCounter;
pub(crate) use queue_publisher::publish_queues;
pub(crate) use router::route;
