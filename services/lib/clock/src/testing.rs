//! Ids for tests, load generators and the demo, which have no clock of the server's.

use std::sync::LazyLock;

use uuid::Uuid;

use crate::Clock;

static CLOCK: LazyLock<Clock> = LazyLock::new(Clock::system);

/// A new id by the machine's time; the ids of a process strictly increase.
pub fn new_id() -> Uuid {
    CLOCK.new_id()
}
