//! One try of a consumer with an event, the same on every bus.

use std::{sync::Arc, time::Duration};

use frontdesk_db::{Db, DbErr};
use frontdesk_proto::event::v1::Event;
use frontdesk_telemetry::continue_trace;
use tracing::Instrument;

use crate::{Consumer, HANDLER_DEADLINE, MAX_ATTEMPTS, Outcome, dead_letters};

/// A consumer with where it keeps its dead letters.
pub(crate) struct Subscription {
    pub(crate) consumer: Box<dyn Consumer>,
    pub(crate) types: Vec<String>,
    pub(crate) dead_letters: Db,
}

/// What is to be done with the event now.
pub(crate) enum Verdict {
    /// It is handled, or kept as a dead letter: never bring it again.
    Settled,
    /// Bring it again after a pause.
    Again(Duration),
}

impl Subscription {
    pub(crate) fn new(consumer: impl Consumer, dead_letters: Db) -> Arc<Self> {
        let types = consumer.types();
        Arc::new(Self { consumer: Box::new(consumer), types, dead_letters })
    }

    pub(crate) fn name(&self) -> &'static str {
        self.consumer.name()
    }

    /// The `attempts`th try. Fails when a dead letter could not be kept: then the event must come again.
    pub(crate) async fn attempt(self: &Arc<Self>, event: &Event, attempts: i32) -> Result<Verdict, DbErr> {
        match self.handle(event).await {
            Outcome::Done => Ok(Verdict::Settled),
            Outcome::Later(reason) if attempts < MAX_ATTEMPTS => {
                tracing::debug!(consumer = self.name(), event_type = event.r#type, attempts, reason, "later");
                Ok(Verdict::Again(pause(attempts)))
            }
            Outcome::Later(reason) | Outcome::Hopeless(reason) => {
                self.give_up(event, reason, attempts).await?;
                Ok(Verdict::Settled)
            }
        }
    }

    /// Keeps the event as a dead letter.
    pub(crate) async fn give_up(&self, event: &Event, reason: String, attempts: i32) -> Result<(), DbErr> {
        let (consumer, event_type, event_id) = (self.name(), &event.r#type, &event.id);
        tracing::error!(consumer, event_type, event_id, attempts, reason, "dead letter");
        dead_letters::keep(&self.dead_letters, consumer, event, reason, attempts).await
    }

    async fn handle(self: &Arc<Self>, event: &Event) -> Outcome {
        let span =
            tracing::info_span!("event.handle", consumer = self.name(), event_type = event.r#type, event_id = event.id);
        continue_trace(&span, &event.traceparent);
        // In a task of its own: a bug that panics is one failed try, with its pause, like any other.
        let (subscription, event) = (self.clone(), event.clone());
        let mut handling = tokio::spawn(async move { subscription.consumer.handle(&event).await }.instrument(span));
        match tokio::time::timeout(HANDLER_DEADLINE, &mut handling).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => Outcome::Later(format!("the handler ended badly: {panic}")),
            Err(_) => {
                handling.abort();
                Outcome::Later("it took longer than a handler may".into())
            }
        }
    }
}

/// 50 ms, doubled each time, up to half a minute.
fn pause(attempts: i32) -> Duration {
    Duration::from_millis(50 << attempts.clamp(1, 10)).min(Duration::from_secs(30))
}
