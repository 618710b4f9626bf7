//! Bringing events to our consumers.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::{AckKind, Message, consumer::PullConsumer};
use futures::StreamExt;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{ACK_WAIT, JetStream, message};
use crate::attempt::{Subscription, Verdict};

/// So many events of one consumer are handled at once by a replica; only so many are asked for, so that none waits in our
/// hands while its deadline runs.
const AT_ONCE: usize = 16;
/// We ask for so long at once; a broker that forgot the request is asked again after it.
const ASK_FOR: Duration = Duration::from_secs(5);
/// While a handler works the broker is told so.
const SAY_ALIVE_EVERY: Duration = Duration::from_millis(1_500);
/// After a dead letter that could not be kept.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);
const _: () = assert!(SAY_ALIVE_EVERY.as_millis() * 2 < ACK_WAIT.as_millis());

/// Why asking for events ended.
enum Ended {
    /// The time is up, or the connection is new: ask again.
    Asked,
    /// The consumer or its stream may be gone: look for them.
    Lost(String),
}

impl JetStream {
    /// Brings events to one consumer until the shutdown, then lets its handlers come to their end.
    pub(super) async fn consume(&self, subscription: Arc<Subscription>, shutdown: CancellationToken) {
        let mut running = JoinSet::new();
        let mut reconnected = self.reconnected();
        while !shutdown.is_cancelled() {
            let lost = match self.durable(&subscription).await {
                Ok(consumer) => loop {
                    match ask(&consumer, &subscription, &mut running, &mut reconnected, &shutdown).await {
                        Ended::Asked if shutdown.is_cancelled() => break None,
                        Ended::Asked => {}
                        Ended::Lost(why) => break Some(why),
                    }
                },
                Err(error) => Some(error.to_string()),
            };
            if let Some(why) = lost {
                tracing::warn!(consumer = subscription.name(), why, "no events from the broker; trying again");
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    _ = reconnected.changed() => {}
                    () = tokio::time::sleep(PAUSE_AFTER_ERROR) => {}
                }
            }
        }
        while running.join_next().await.is_some() {}
    }
}

/// Asks once for as many events as may be taken in hand, and starts their handlers.
async fn ask(
    consumer: &PullConsumer,
    subscription: &Arc<Subscription>,
    running: &mut JoinSet<()>,
    reconnected: &mut watch::Receiver<u64>,
    shutdown: &CancellationToken,
) -> Ended {
    while running.len() >= AT_ONCE {
        running.join_next().await;
    }
    while running.try_join_next().is_some() {}
    reconnected.borrow_and_update();
    let mut batch = match consumer.batch().max_messages(AT_ONCE - running.len()).expires(ASK_FOR).messages().await {
        Ok(batch) => batch,
        Err(error) => return Ended::Lost(error.to_string()),
    };
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ended::Asked,
            // The server that knew of the request may be gone, and with it what it was about to send.
            _ = reconnected.changed() => return Ended::Asked,
            message = batch.next() => match message {
                Some(Ok(message)) => {
                    let subscription = subscription.clone();
                    running.spawn(async move { deliver(&subscription, message).await });
                }
                Some(Err(error)) => return Ended::Lost(error.to_string()),
                None => return Ended::Asked,
            },
        }
    }
}

/// One delivery, told to the broker as alive until its verdict.
async fn deliver(subscription: &Arc<Subscription>, message: Message) {
    let attempts = message.info().map_or(1, |info| i32::try_from(info.delivered).unwrap_or(i32::MAX));
    let verdict = async {
        match message::read(&message) {
            Ok(event) => subscription.attempt(&event, attempts).await,
            Err((event, why)) => subscription.give_up(&event, why, attempts).await.map(|()| Verdict::Settled),
        }
    };
    tokio::pin!(verdict);
    let verdict = loop {
        tokio::select! {
            verdict = &mut verdict => break verdict,
            () = tokio::time::sleep(SAY_ALIVE_EVERY) => {
                let _ = message.ack_with(AckKind::Progress).await;
            }
        }
    };
    let answer = match verdict {
        Ok(Verdict::Settled) => AckKind::Ack,
        Ok(Verdict::Again(pause)) => AckKind::Nak(Some(pause)),
        Err(error) => {
            tracing::error!(consumer = subscription.name(), %error, "a dead letter was not kept; the event comes again");
            AckKind::Nak(Some(PAUSE_AFTER_ERROR))
        }
    };
    // Lost on the way, it comes again, and its mark is known.
    if let Err(error) = message.ack_with(answer).await {
        tracing::debug!(consumer = subscription.name(), %error, "an acknowledgement was not sent");
    }
}
