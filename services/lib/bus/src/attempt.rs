//! One attempt to handle an event, the same on every bus.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use frontdesk_batches::Batches;
use frontdesk_db::{AccountState, Db, DbErr};
use frontdesk_proto::event::v1::Event;
use frontdesk_telemetry::continue_trace;
use opentelemetry::{KeyValue, metrics::Counter};
use tokio::{sync::Semaphore, time::timeout};
use tracing::Instrument;

use crate::{
    consumer::{Consumer, HANDLER_DEADLINE, MAX_ATTEMPTS, MAX_LOCKED_DELAY, Outcome},
    dead_letters,
};

/// Delay before the second attempt is twice this, and doubles with each further attempt.
const FIRST_DELAY: Duration = Duration::from_millis(50);
/// Longest delay between two attempts.
const MAX_DELAY: Duration = Duration::from_secs(30);
/// How long the failures of an event are counted after the last one. Another replica may have handled it meanwhile.
const COUNTED_FOR: Duration = Duration::from_secs(600);
/// Maximum number of events of one consumer that are handled one by one at the same time, at one replica, so that a slow one does not
/// delay the others. More would wait for each other's locks, and hold up those who take them for other work.
const MAX_CONCURRENT: usize = 16;

/// The outcomes of attempts in the metrics.
const HANDLED: &str = "handled";
const RETRIED: &str = "retried";
const DEAD_LETTER: &str = "dead_letter";

/// A consumer, with the database that stores its dead letters.
pub(crate) struct Subscription {
    pub(crate) consumer: Box<dyn Consumer>,
    pub(crate) types: Vec<String>,
    pub(crate) dead_letters: Db,
    failures: Failures,
    batches: Batches<Event, bool>,
    /// Permits of the events that are handled one by one.
    alone: Semaphore,
    attempts: Counter<u64>,
}

/// Number of attempts of each event, by its id, that ended with [`Outcome::Retry`] in this process, and when the last one ended. The
/// deliveries that the bus counts include those that say nothing about the event. A restart begins anew.
#[derive(Default)]
struct Failures(Mutex<HashMap<String, (i32, Instant)>>);

impl Failures {
    /// Counts a failure and returns the number of failures so far.
    fn count(&self, event_id: &str) -> i32 {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() == failures.capacity() {
            failures.retain(|_, (_, at)| at.elapsed() < COUNTED_FOR);
        }
        let (count, at) = failures.entry(event_id.to_owned()).or_insert((0, Instant::now()));
        (*count, *at) = (*count + 1, Instant::now());
        *count
    }

    fn forget(&self, event_id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(event_id);
    }
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
        let attempts = frontdesk_telemetry::meter()
            .u64_counter("frontdesk.bus.attempts")
            .with_description("Attempts to handle an event, by consumer and outcome; a dead letter needs a person")
            .build();
        // From the start: an alert on an increase also sees the first dead letter.
        for outcome in [HANDLED, RETRIED, DEAD_LETTER] {
            attempts.add(0, &attributes(consumer.name(), outcome));
        }
        Arc::new(Self {
            consumer: Box::new(consumer),
            types,
            dead_letters,
            failures: Failures::default(),
            batches: Batches::default(),
            alone: Semaphore::new(MAX_CONCURRENT),
            attempts,
        })
    }

    /// Maximum number of events that are handled at once, at one replica: while one batch is handled, the next one gathers.
    pub(crate) fn max_concurrent(&self) -> usize {
        MAX_CONCURRENT.max(2 * self.consumer.max_batch())
    }

    /// Maximum number of them that were delivered before, so that events which fail slowly, again and again, leave room for new ones.
    pub(crate) fn max_concurrent_retries(&self) -> usize {
        self.max_concurrent() / 2
    }

    pub(crate) fn name(&self) -> &'static str {
        self.consumer.name()
    }

    /// Whether the event is to be handled.
    pub(crate) fn concerns(&self, event: &Event) -> bool {
        self.types.contains(&event.r#type) && self.consumer.concerns(event)
    }

    /// Makes the attempt of a delivery with this number, from 1. Fails when a dead letter could not be stored: then the event must
    /// be delivered again.
    pub(crate) async fn attempt(self: &Arc<Self>, event: &Event, delivery: i32) -> Result<Verdict, DbErr> {
        let (delay, reason) = match self.handle(event).await {
            Outcome::Ack => {
                fail::fail_point!("event-handled", |_| std::process::abort());
                self.failures.forget(&event.id);
                self.count(HANDLED);
                return Ok(Verdict::Ack);
            }
            Outcome::Unavailable(reason) => (delay_after(delivery), reason),
            Outcome::Locked(reason) => (delay_after(delivery).min(MAX_LOCKED_DELAY), reason),
            Outcome::Retry(reason) => match self.failures.count(&event.id) {
                // The deliveries include those for which no handler was free.
                failures if failures < MAX_ATTEMPTS => (delay_after(failures), reason),
                failures => return self.give_up(event, reason, failures).await,
            },
            Outcome::DeadLetter(reason) => return self.give_up(event, reason, delivery).await,
        };
        self.count(RETRIED);
        tracing::debug!(consumer = self.name(), event_type = event.r#type, delivery, reason, "retry");
        Ok(Verdict::Nack(delay))
    }

    /// When the dead letter cannot be stored, the failures are counted anew: without their database none could have succeeded.
    async fn give_up(&self, event: &Event, reason: String, attempts: i32) -> Result<Verdict, DbErr> {
        self.failures.forget(&event.id);
        self.store_dead_letter(event, reason, attempts).await?;
        Ok(Verdict::Ack)
    }

    /// Stores the event as a dead letter.
    pub(crate) async fn store_dead_letter(&self, event: &Event, reason: String, attempts: i32) -> Result<(), DbErr> {
        let (consumer, event_type, event_id) = (self.name(), &event.r#type, &event.id);
        tracing::error!(consumer, event_type, event_id, attempts, reason, "dead letter");
        dead_letters::insert(&self.dead_letters, consumer, event, reason, attempts).await?;
        self.count(DEAD_LETTER);
        Ok(())
    }

    fn count(&self, outcome: &'static str) {
        self.attempts.add(1, &attributes(self.name(), outcome));
    }

    async fn handle(self: &Arc<Self>, event: &Event) -> Outcome {
        if !self.types.contains(&event.r#type) {
            // During a roll-out a newer replica may handle it.
            return Outcome::Retry(format!("this version of the consumer does not handle {}", event.r#type));
        }
        if !self.consumer.concerns(event) {
            return Outcome::Ack;
        }
        // Before the event joins a batch.
        if !self.consumer.is_for_ended_accounts() && self.is_of_ended_account(event).await {
            return Outcome::Ack;
        }
        let span =
            tracing::info_span!("event.handle", consumer = self.name(), event_type = event.r#type, event_id = event.id);
        continue_trace(&span, &event.traceparent);
        // In a task of its own: a panic is one failed attempt, with its delay, like any other.
        let (subscription, event) = (self.clone(), event.clone());
        let handling = tokio::spawn(
            async move {
                let consumer = &*subscription.consumer;
                if consumer.max_batch() > 1 {
                    let handle = |events: Vec<Event>| async move { consumer.handle_batch(&events).await };
                    let handled = subscription.batches.run(event.clone(), consumer.max_batch(), handle);
                    if let Ok(Some(true)) = timeout(HANDLER_DEADLINE, handled).await {
                        return Outcome::Ack;
                    }
                }
                // The semaphore is never closed.
                let _permit = subscription.alone.acquire().await;
                timeout(HANDLER_DEADLINE, consumer.handle(&event)).await.unwrap_or_else(|_| {
                    Outcome::Retry(format!("the handler took longer than {} s", HANDLER_DEADLINE.as_secs()))
                })
            }
            .instrument(span),
        );
        handling.await.unwrap_or_else(|panic| Outcome::Retry(format!("the handler panicked: {panic}")))
    }

    /// An account whose state cannot be read counts as one that is in use: the handler writes to the same database, and fails too.
    async fn is_of_ended_account(&self, event: &Event) -> bool {
        let Ok(account) = crate::event::account_id(event) else { return false };
        matches!(self.dead_letters.account_state(account).await, Ok(AccountState::Ended))
    }
}

fn attributes(consumer: &'static str, outcome: &'static str) -> [KeyValue; 2] {
    [KeyValue::new("consumer", consumer), KeyValue::new("outcome", outcome)]
}

/// The delay after this number of attempts: 100 ms, 200 ms, 400 ms and on to [`MAX_DELAY`].
pub(crate) fn delay_after(attempts: i32) -> Duration {
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

    struct Scripted(Mutex<Vec<Outcome>>);

    #[async_trait::async_trait]
    impl Consumer for Scripted {
        fn name(&self) -> &'static str {
            "scripted"
        }
        fn source(&self) -> &'static str {
            "test"
        }
        fn types(&self) -> Vec<String> {
            vec!["test.Thing".into()]
        }
        async fn handle(&self, _: &Event) -> Outcome {
            self.0.lock().unwrap().pop().unwrap()
        }
    }

    #[tokio::test]
    async fn r13_an_outage_of_a_neighbour_and_a_lock_are_no_reason_to_give_up_an_event() {
        const DELIVERIES: i32 = 3 * MAX_ATTEMPTS;
        let url = frontdesk_db::DatabaseUrl("sqlite::memory:".into());
        let settings = frontdesk_db::DbSettings { url, max_connections: Some(1) };
        let db = Db::connect(&settings, &frontdesk_clock::Clock::system()).await.unwrap();
        let uncounted = (0..DELIVERIES).map(|number| match number % 3 {
            0 => Outcome::Locked("a row is locked".into()),
            _ => Outcome::Unavailable("it does not answer".into()),
        });
        let outcomes = (1..MAX_ATTEMPTS).map(|_| Outcome::Retry("a bug".into())).chain(uncounted).collect();
        let subscription = Subscription::new(Scripted(Mutex::new(outcomes)), db);
        let event = Event { id: "an id".into(), r#type: "test.Thing".into(), ..Event::default() };
        for delivery in 1..DELIVERIES + MAX_ATTEMPTS {
            let Ok(Verdict::Nack(delay)) = subscription.attempt(&event, delivery).await else {
                panic!("delivery {delivery} was the last one")
            };
            assert!(delivery > DELIVERIES || (DELIVERIES - delivery) % 3 != 0 || delay <= MAX_LOCKED_DELAY);
        }
        assert_eq!(subscription.failures.count(&event.id), MAX_ATTEMPTS, "the next failure is the last one");
        for (outcome, expected) in [(RETRIED, DELIVERIES + MAX_ATTEMPTS - 1), (HANDLED, 0), (DEAD_LETTER, 0)] {
            let text = frontdesk_telemetry::metrics_text();
            let labels = "frontdesk_bus_attempts_total{consumer=\"scripted\",";
            let mut counters = text.lines().filter(|line| line.starts_with(labels));
            let counter = counters.find(|line| line.contains(&format!("outcome=\"{outcome}\"")));
            assert!(counter.is_some_and(|line| line.ends_with(&format!(" {expected}"))), "{outcome}: {text}");
        }
    }

    #[test]
    fn r13_failures_are_counted_for_each_event_until_it_is_forgotten() {
        let failures = Failures::default();
        for number in 1..=3 {
            assert_eq!(failures.count("one"), number);
        }
        assert_eq!(failures.count("other"), 1);
        failures.forget("one");
        assert_eq!((failures.count("one"), failures.count("other")), (1, 2));
    }
}
