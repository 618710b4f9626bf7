//! Background tasks of the service.

mod clock_moves;
mod engine_turns;
mod measurements;
mod timeouts;

pub(crate) use engine_turns::{forget_old_turns, watch_engine_turns};
pub(crate) use measurements::measure_checks;
pub(crate) use timeouts::watch_timeouts;
