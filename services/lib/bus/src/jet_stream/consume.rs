//! Delivering events to consumers.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::{AckKind, Message, consumer::PullConsumer};
use futures::StreamExt;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{ACK_WAIT, JetStream, message};
use crate::attempt::{Subscription, Verdict};

/// Maximum number of events of one consumer that a replica handles at once. It pulls no more than it can handle, so that no
/// event waits here while its acknowledgement is due.
const MAX_CONCURRENT: usize = 16;
/// How long one pull request lasts. A broker that lost the request receives the next one after it.
const PULL_DURATION: Duration = Duration::from_secs(5);
/// Interval between progress acknowledgements while a handler runs.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(1_500);
/// Delay before the next attempt after an error of the broker or a dead letter that could not be stored.
const ERROR_DELAY: Duration = Duration::from_secs(1);
const _: () = assert!(PROGRESS_INTERVAL.as_millis() * 2 < ACK_WAIT.as_millis());

/// How a pull request ended.
enum PullEnd {
    /// Its time is up, or the connection is new: pull again.
    Again,
    /// The consumer or its stream may be gone: look for them.
    ConsumerLost(String),
}

impl JetStream {
    /// Delivers events to one consumer until the shutdown, then waits for its running handlers.
    pub(super) async fn consume(&self, subscription: Arc<Subscription>, shutdown: CancellationToken) {
        let mut running = JoinSet::new();
        let mut reconnected = self.reconnected();
        while !shutdown.is_cancelled() {
            let lost = match self.durable(&subscription).await {
                Ok(consumer) => loop {
                    match pull(&consumer, &subscription, &mut running, &mut reconnected, &shutdown).await {
                        PullEnd::Again if shutdown.is_cancelled() => break None,
                        PullEnd::Again => {}
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
        while running.join_next().await.is_some() {}
    }
}

/// Makes one pull request for as many events as can be handled, and starts their handlers.
async fn pull(
    consumer: &PullConsumer,
    subscription: &Arc<Subscription>,
    running: &mut JoinSet<()>,
    reconnected: &mut watch::Receiver<u64>,
    shutdown: &CancellationToken,
) -> PullEnd {
    while running.len() >= MAX_CONCURRENT {
        running.join_next().await;
    }
    while running.try_join_next().is_some() {}
    reconnected.borrow_and_update();
    let mut batch =
        match consumer.batch().max_messages(MAX_CONCURRENT - running.len()).expires(PULL_DURATION).messages().await {
            Ok(batch) => batch,
            Err(error) => return PullEnd::ConsumerLost(error.to_string()),
        };
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return PullEnd::Again,
            // The server that held the pull request may be gone.
            _ = reconnected.changed() => return PullEnd::Again,
            message = batch.next() => match message {
                Some(Ok(message)) => {
                    let subscription = subscription.clone();
                    running.spawn(async move { deliver(&subscription, message).await });
                }
                Some(Err(error)) => return PullEnd::ConsumerLost(error.to_string()),
                None => return PullEnd::Again,
            },
        }
    }
}

/// Handles one delivery, with progress acknowledgements to the broker until its verdict.
async fn deliver(subscription: &Arc<Subscription>, message: Message) {
    let attempts = message.info().map_or(1, |info| i32::try_from(info.delivered).unwrap_or(i32::MAX));
    let verdict = async {
        match message::read(&message) {
            Ok(event) => subscription.attempt(&event, attempts).await,
            Err((event, why)) => subscription.store_dead_letter(&event, why, attempts).await.map(|()| Verdict::Ack),
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
