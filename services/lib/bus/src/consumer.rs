//! What a service implements to handle events.

use std::time::Duration;

use frontdesk_proto::event::v1::Event;

/// How long a handler may take before the attempt counts as failed and is retried.
pub const HANDLER_DEADLINE: Duration = Duration::from_secs(20);
/// Maximum number of attempts that end with [`Outcome::Retry`], the last ones 30 s apart; then the event becomes a dead letter.
pub const MAX_ATTEMPTS: i32 = 100;

/// Longest delay after [`Outcome::Locked`].
pub const MAX_LOCKED_DELAY: Duration = Duration::from_millis(500);

/// The result of handling an event.
#[derive(Debug)]
pub enum Outcome {
    /// The effect is committed, or there was none: do not deliver the event again.
    Ack,
    /// It failed for this reason and may succeed later: deliver the event again after a delay that grows, [`MAX_ATTEMPTS`] times.
    Retry(String),
    /// A service that the handler needs does not answer. As [`Retry`](Self::Retry), without a limit: an outage says nothing about
    /// the event.
    Unavailable(String),
    /// Something holds what the handler needs, for a moment: deliver the event again within [`MAX_LOCKED_DELAY`], without a limit.
    Locked(String),
    /// It failed for this reason and never can succeed: store the event as a dead letter.
    DeadLetter(String),
}

impl<E: std::fmt::Display> From<Result<(), E>> for Outcome {
    /// An error is retried; a handler names the errors that are not.
    fn from(result: Result<(), E>) -> Self {
        match result {
            Ok(()) => Self::Ack,
            Err(error) => Self::Retry(error.to_string()),
        }
    }
}

/// Handles the events of some types. Events are delivered at least once and in any order.
#[async_trait::async_trait]
pub trait Consumer: Send + Sync + 'static {
    /// Its name, `service.purpose`, under which the bus stores its progress.
    fn name(&self) -> &'static str;
    /// The service whose events it handles.
    fn source(&self) -> &'static str;
    /// Full names of the messages it handles.
    fn types(&self) -> Vec<String>;
    /// Whether there is anything to do for an event of its types. Events without are acknowledged without a call of
    /// [`handle`](Self::handle); the bus within this process does not store them either.
    fn concerns(&self, _event: &Event) -> bool {
        true
    }
    /// Whether it handles events also of accounts that have ended. Other consumers acknowledge them without a call of
    /// [`handle`](Self::handle) or [`handle_batch`](Self::handle_batch): what is erased must not come back.
    fn is_for_ended_accounts(&self) -> bool {
        false
    }
    /// Handles an event within [`HANDLER_DEADLINE`].
    async fn handle(&self, event: &Event) -> Outcome;
    /// Maximum number of events of one call of [`handle_batch`](Self::handle_batch). 1: events are only handled one by one.
    fn max_batch(&self) -> usize {
        1
    }
    /// Handles events that wait at the same time, at most [`max_batch`](Self::max_batch), within [`HANDLER_DEADLINE`]: those that one
    /// transaction can handle. Returns for each, in their order, whether its effect is committed; the others are handled one by one.
    async fn handle_batch(&self, events: &[Event]) -> Vec<bool> {
        vec![false; events.len()]
    }
}
