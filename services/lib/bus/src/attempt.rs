//! One attempt to handle an event, the same on every bus.

use std::{sync::Arc, time::Duration};

use frontdesk_db::{Db, DbErr};
use frontdesk_proto::event::v1::Event;
use frontdesk_telemetry::continue_trace;
use tracing::Instrument;

use crate::{
    consumer::{Consumer, HANDLER_DEADLINE, MAX_ATTEMPTS, Outcome},
    dead_letters,
};

/// Delay before the second attempt is twice this, and doubles with each further attempt.
const FIRST_DELAY: Duration = Duration::from_millis(50);
/// Longest delay between two attempts.
const MAX_DELAY: Duration = Duration::from_secs(30);

/// A consumer, with the database that stores its dead letters.
pub(crate) struct Subscription {
    pub(crate) consumer: Box<dyn Consumer>,
    pub(crate) types: Vec<String>,
    pub(crate) dead_letters: Db,
}

/// How an attempt ended for the bus.
pub(crate) enum Verdict {
    /// The event is handled, or stored as a dead letter: do not deliver it again.
    Ack,
    /// Deliver it again after this delay.
    Nack(Duration),
}

impl Subscription {
    pub(crate) fn new(consumer: impl Consumer, dead_letters: Db) -> Arc<Self> {
        let types = consumer.types();
        Arc::new(Self { consumer: Box::new(consumer), types, dead_letters })
    }

    pub(crate) fn name(&self) -> &'static str {
        self.consumer.name()
    }

    /// Makes the attempt with this number, from 1. Fails when a dead letter could not be stored: then the event must be
    /// delivered again.
    pub(crate) async fn attempt(self: &Arc<Self>, event: &Event, number: i32) -> Result<Verdict, DbErr> {
        match self.handle(event).await {
            Outcome::Ack => Ok(Verdict::Ack),
            Outcome::Retry(reason) if number < MAX_ATTEMPTS => {
                tracing::debug!(consumer = self.name(), event_type = event.r#type, attempts = number, reason, "retry");
                Ok(Verdict::Nack(delay_after(number)))
            }
            Outcome::Retry(reason) | Outcome::DeadLetter(reason) => {
                self.store_dead_letter(event, reason, number).await?;
                Ok(Verdict::Ack)
            }
        }
    }

    /// Stores the event as a dead letter.
    pub(crate) async fn store_dead_letter(&self, event: &Event, reason: String, attempts: i32) -> Result<(), DbErr> {
        let (consumer, event_type, event_id) = (self.name(), &event.r#type, &event.id);
        tracing::error!(consumer, event_type, event_id, attempts, reason, "dead letter");
        dead_letters::insert(&self.dead_letters, consumer, event, reason, attempts).await
    }

    async fn handle(self: &Arc<Self>, event: &Event) -> Outcome {
        let span =
            tracing::info_span!("event.handle", consumer = self.name(), event_type = event.r#type, event_id = event.id);
        continue_trace(&span, &event.traceparent);
        // In a task of its own: a panic is one failed attempt, with its delay, like any other.
        let (subscription, event) = (self.clone(), event.clone());
        let mut handling = tokio::spawn(async move { subscription.consumer.handle(&event).await }.instrument(span));
        match tokio::time::timeout(HANDLER_DEADLINE, &mut handling).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => Outcome::Retry(format!("the handler panicked: {panic}")),
            Err(_) => {
                handling.abort();
                Outcome::Retry(format!("the handler took longer than {} s", HANDLER_DEADLINE.as_secs()))
            }
        }
    }
}

/// The delay after this number of attempts: 100 ms, 200 ms, 400 ms and on to [`MAX_DELAY`].
fn delay_after(attempts: i32) -> Duration {
    (FIRST_DELAY * (1 << attempts.clamp(1, 10))).min(MAX_DELAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_half_a_minute() {
        let delays: Vec<u128> = [1, 2, 3, 9, 10, 99].map(|attempts| delay_after(attempts).as_millis()).into();
        assert_eq!(delays, [100, 200, 400, 25_600, 30_000, 30_000]);
    }
}
