//! Delivering events to consumers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_nats::{
    connection::State,
    jetstream::{
        AckKind, Message,
        consumer::{PullConsumer, pull::Batch},
    },
};
use futures::{FutureExt, StreamExt};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{ACK_WAIT, JetStream, message};
use crate::attempt::{Subscription, Verdict, delay_after};

/// How long one pull request lasts. A broker that lost the request receives the next one after it.
const PULL_DURATION: Duration = Duration::from_secs(5);
/// Interval between progress acknowledgements while a handler runs.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(1_500);
/// Longest delay of a delivery for which no handler was free: it says nothing about the event.
const MAX_TURNED_AWAY: Duration = Duration::from_secs(2);
/// Delay before the next attempt after an error of the broker or a dead letter that could not be stored.
const ERROR_DELAY: Duration = Duration::from_secs(1);
const _: () = assert!(PROGRESS_INTERVAL.as_millis() * 2 < ACK_WAIT.as_millis());

/// How a pull request ended.
enum PullEnd {
    /// Its time is up: pull again.
    Again,
    /// The connection is new, and what the broker stores of the consumer may be older: look at it again.
    Reconnected,
    /// The consumer or its stream may be gone: look for them.
    ConsumerLost(String),
}

/// The handlers of one consumer that run at this replica.
#[derive(Default)]
struct Handlers {
    running: JoinSet<()>,
    /// Number of them whose event was delivered before.
    retries: Arc<AtomicUsize>,
}

impl JetStream {
    /// Delivers events to one consumer until the shutdown, then waits for its running handlers.
    pub(super) async fn consume(&self, subscription: Arc<Subscription>, shutdown: CancellationToken) {
        let mut handlers = Handlers::default();
        let mut reconnected = self.reconnected();
        while !shutdown.is_cancelled() {
            reconnected.borrow_and_update();
            // The client would keep the requests until it is connected.
            if self.client.connection_state() != State::Connected {
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    _ = reconnected.changed() => {}
                    () = tokio::time::sleep(ERROR_DELAY) => {}
                }
                continue;
            }
            let found = tokio::select! {
                found = self.durable(&subscription) => found,
                // The answer may be lost with the connection: ask again instead of waiting for it.
                _ = reconnected.changed() => continue,
            };
            let lost = match found {
                Ok(consumer) => loop {
                    match pull(&consumer, &subscription, &mut handlers, &mut reconnected, &shutdown).await {
                        PullEnd::Again if shutdown.is_cancelled() => break None,
                        PullEnd::Again => {}
                        PullEnd::Reconnected => break None,
                        PullEnd::ConsumerLost(why) => break Some(why),
                    }
                },
                Err(error) => Some(error.to_string()),
            };
            if let Some(why) = lost {
                tracing::warn!(consumer = subscription.name(), why, "no events from the broker; trying again");
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    _ = reconnected.changed() => {}
                    () = tokio::time::sleep(ERROR_DELAY) => {}
                }
            }
        }
        while handlers.running.join_next().await.is_some() {}
    }
}

/// Makes one pull request for as many events as can be handled, and starts their handlers. A replica pulls no more, so that no
/// event waits here while its acknowledgement is due.
async fn pull(
    consumer: &PullConsumer,
    subscription: &Arc<Subscription>,
    handlers: &mut Handlers,
    reconnected: &mut watch::Receiver<u64>,
    shutdown: &CancellationToken,
) -> PullEnd {
    let max_concurrent = subscription.max_concurrent();
    while handlers.running.len() >= max_concurrent {
        handlers.running.join_next().await;
    }
    while handlers.running.try_join_next().is_some() {}
    let free = max_concurrent - handlers.running.len();
    let mut batch = match consumer.batch().max_messages(free).expires(PULL_DURATION).messages().await {
        Ok(batch) => batch,
        Err(error) => return PullEnd::ConsumerLost(error.to_string()),
    };
    let end = loop {
        tokio::select! {
            () = shutdown.cancelled() => break PullEnd::Again,
            // The server that held the pull request may be gone.
            _ = reconnected.changed() => break PullEnd::Reconnected,
            message = batch.next() => match message {
                Some(Ok(message)) => handlers.start(subscription, message).await,
                Some(Err(error)) => return PullEnd::ConsumerLost(error.to_string()),
                None => return PullEnd::Again,
            },
        }
    };
    give_back(batch).await;
    end
}

/// Gives deliveries that no handler was started for back to the broker, which would wait for their acknowledgements.
async fn give_back(mut batch: Batch) {
    while let Some(Some(Ok(message))) = batch.next().now_or_never() {
        let _ = message.ack_with(AckKind::Nak(None)).await;
    }
}

impl Handlers {
    /// Starts the handler of a delivery. One that was delivered before is delivered again later when
    /// as many of them are handled as may be at once.
    async fn start(&mut self, subscription: &Arc<Subscription>, message: Message) {
        let delivery = message.info().map_or(1, |info| i32::try_from(info.delivered).unwrap_or(i32::MAX));
        let is_retry = delivery > 1;
        if is_retry && self.retries.load(Ordering::Relaxed) >= subscription.max_concurrent_retries() {
            let _ = message.ack_with(AckKind::Nak(Some(delay_after(delivery).min(MAX_TURNED_AWAY)))).await;
            return;
        }
        let counted = is_retry.then(|| Counted::new(&self.retries));
        let subscription = subscription.clone();
        self.running.spawn(async move {
            deliver(&subscription, message, delivery).await;
            drop(counted);
        });
    }
}

/// Counts a running handler until it is dropped.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Handles one delivery, with progress acknowledgements to the broker until its verdict.
async fn deliver(subscription: &Arc<Subscription>, message: Message, delivery: i32) {
    let place = message.info().map(|info| format!("{}/{}", info.stream, info.stream_sequence)).unwrap_or_default();
    let verdict = async {
        match message::read(&message, &place) {
            Ok(event) => subscription.attempt(&event, delivery).await,
            Err((event, why)) => subscription.store_dead_letter(&event, why, delivery).await.map(|()| Verdict::Ack),
        }
    };
    tokio::pin!(verdict);
    let verdict = loop {
        tokio::select! {
            verdict = &mut verdict => break verdict,
            () = tokio::time::sleep(PROGRESS_INTERVAL) => {
                let _ = message.ack_with(AckKind::Progress).await;
            }
        }
    };
    let answer = match verdict {
        Ok(Verdict::Ack) => AckKind::Ack,
        Ok(Verdict::Nack(delay)) => AckKind::Nak(Some(delay)),
        Err(error) => {
            tracing::error!(consumer = subscription.name(), %error, "a dead letter was not stored; the event will be delivered again");
            AckKind::Nak(Some(ERROR_DELAY))
        }
    };
    // When the acknowledgement is lost, the event is delivered again, and its mark shows that it was handled.
    if let Err(error) = message.ack_with(answer).await {
        tracing::debug!(consumer = subscription.name(), %error, "an acknowledgement was not sent");
    }
}
