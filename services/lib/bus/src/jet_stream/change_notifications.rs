//! Change notifications and signals between replicas, on plain NATS subjects that store nothing.

use std::sync::Arc;

use async_nats::Subscriber;
use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::JetStream;
use crate::change_notifier::{ChangeNotifier, ForOtherReplicas};

/// Maximum number of ids in a message.
const MAX_IDS: usize = 1_024;
/// Length of an id in a message in bytes.
const ID_LENGTH: usize = 16;

/// The notifier of one name, with its queue.
pub(super) struct SharedNotifier {
    pub(super) name: String,
    pub(super) notifier: ChangeNotifier,
    queue: Arc<Mutex<mpsc::Receiver<ForOtherReplicas>>>,
    started: bool,
}

/// What the loop of one name works with.
pub(super) struct Exchange {
    name: String,
    notifier: ChangeNotifier,
    /// Shared with the loop's successor, should it panic.
    queue: Arc<Mutex<mpsc::Receiver<ForOtherReplicas>>>,
}

impl SharedNotifier {
    pub(super) fn new(name: &str) -> Self {
        let (notifier, queue) = ChangeNotifier::with_queue();
        Self { name: name.to_owned(), notifier, queue: Arc::new(Mutex::new(queue)), started: false }
    }

    /// None: the loop of this name has started already.
    pub(super) fn start(&mut self) -> Option<Exchange> {
        let started = std::mem::replace(&mut self.started, true);
        (!started).then(|| Exchange {
            name: self.name.clone(),
            notifier: self.notifier.clone(),
            queue: self.queue.clone(),
        })
    }

    /// Lets the loop start again, after all loops have ended.
    pub(super) fn reset(&mut self) {
        self.started = false;
    }
}

impl JetStream {
    /// Sends the notifications of this replica to the others, as many in a message as wait, and its signals, and passes theirs on
    /// to the subscribers here, until the shutdown.
    pub(super) async fn exchange_notifications(&self, exchange: Exchange, shutdown: CancellationToken) {
        let Exchange { name, notifier, queue } = exchange;
        let mut queue = queue.lock().await;
        let (subject, signals) = (self.names.change_notifications(&name), self.names.signals(&name));
        let mut reconnected = self.reconnected();
        // Names this replica, so that it ignores its own messages.
        let replica = self.clock.new_id();
        let mut subscription = None;
        let mut waiting = Vec::with_capacity(MAX_IDS);
        while !shutdown.is_cancelled() {
            if subscription.is_none() {
                subscription = self.subscribe_both(&subject, &signals).await;
            }
            let Some((changed, signalled)) = subscription.as_mut() else {
                tokio::time::sleep(super::MAX_RECONNECT_DELAY).await;
                continue;
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                _ = queue.recv_many(&mut waiting, MAX_IDS) => {
                    // Without a connection they are lost: all subscribers are notified when it is back.
                    let is_connected = self.client.connection_state() == async_nats::connection::State::Connected;
                    let messages = messages(replica, waiting.drain(..));
                    for (is_signal, message) in messages.into_iter().filter(|_| is_connected) {
                        let subject = if is_signal { &signals } else { &subject };
                        let _ = self.client.publish(subject.clone(), message).await;
                    }
                }
                message = changed.next() => match message {
                    Some(message) => {
                        let mut ids = message.payload.chunks_exact(ID_LENGTH).filter_map(|id| Uuid::from_slice(id).ok());
                        if ids.next() != Some(replica) {
                            ids.for_each(|id| notifier.notify_local(id));
                        }
                    }
                    None => subscription = None,
                },
                message = signalled.next() => match message {
                    Some(message) => {
                        if let Some((id, signal)) = signal_of_another(replica, message.payload) {
                            notifier.signal_local(id, signal);
                        }
                    }
                    None => subscription = None,
                },
                // Notifications of the time without a connection were lost.
                _ = reconnected.changed() => notifier.notify_all_local(),
            }
        }
    }

    async fn subscribe_both(&self, subject: &str, signals: &str) -> Option<(Subscriber, Subscriber)> {
        let changed = self.client.subscribe(subject.to_owned()).await.ok()?;
        Some((changed, self.client.subscribe(signals.to_owned()).await.ok()?))
    }
}

/// The messages for the other replicas, the one with the ids of changed things first; each with whether it is a signal.
fn messages(replica: Uuid, waiting: impl Iterator<Item = ForOtherReplicas>) -> Vec<(bool, Bytes)> {
    let (mut ids, mut messages) = (replica.into_bytes().to_vec(), Vec::new());
    for one in waiting {
        match one {
            ForOtherReplicas::Changed(id) => ids.extend(id.into_bytes()),
            ForOtherReplicas::Signal(id, signal) => {
                messages.push((true, [&replica.as_bytes()[..], id.as_bytes(), &signal].concat().into()));
            }
        }
    }
    if ids.len() > ID_LENGTH {
        messages.insert(0, (false, ids.into()));
    }
    messages
}

/// The thing and the signal in a message. None: this replica sent it, or it is none.
fn signal_of_another(replica: Uuid, message: Bytes) -> Option<(Uuid, Bytes)> {
    let id = |at: usize| message.get(at..at + ID_LENGTH).and_then(|id| Uuid::from_slice(id).ok());
    let (sender, thing) = (id(0)?, id(ID_LENGTH)?);
    (sender != replica).then(|| (thing, message.slice(2 * ID_LENGTH..)))
}
