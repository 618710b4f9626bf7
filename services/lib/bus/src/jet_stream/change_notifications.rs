//! Change notifications between replicas: ids of changed things, on a plain NATS subject that stores nothing.

use std::sync::Arc;

use futures::StreamExt;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::JetStream;
use crate::ChangeNotifier;

/// Maximum number of ids in a message.
const MAX_IDS: usize = 1_024;

/// The notifier of one name, with its queue.
pub(super) struct SharedNotifier {
    pub(super) name: &'static str,
    pub(super) notifier: ChangeNotifier,
    queue: Arc<Mutex<mpsc::Receiver<Uuid>>>,
    started: bool,
}

/// What the loop of one name works with.
pub(super) struct Exchange {
    name: &'static str,
    notifier: ChangeNotifier,
    /// Shared with the loop's successor, should it panic.
    queue: Arc<Mutex<mpsc::Receiver<Uuid>>>,
}

impl SharedNotifier {
    pub(super) fn new(name: &'static str) -> Self {
        let (notifier, queue) = ChangeNotifier::with_queue();
        Self { name, notifier, queue: Arc::new(Mutex::new(queue)), started: false }
    }

    /// None: the loop of this name has started already.
    pub(super) fn start(&mut self) -> Option<Exchange> {
        let started = std::mem::replace(&mut self.started, true);
        (!started).then(|| Exchange { name: self.name, notifier: self.notifier.clone(), queue: self.queue.clone() })
    }

    /// Lets the loop start again, after all loops have ended.
    pub(super) fn reset(&mut self) {
        self.started = false;
    }
}

impl JetStream {
    /// Sends the notifications of this replica to the others, as many in a message as wait, and passes theirs on to the
    /// subscribers here, until the shutdown.
    pub(super) async fn exchange_notifications(&self, exchange: Exchange, shutdown: CancellationToken) {
        let Exchange { name, notifier, queue } = exchange;
        let mut queue = queue.lock().await;
        let subject = self.names.change_notifications(name);
        let mut reconnected = self.reconnected();
        // Names this replica, so that it ignores its own messages.
        let replica = self.clock.new_id();
        let mut subscription = None;
        let mut ids = Vec::with_capacity(MAX_IDS);
        while !shutdown.is_cancelled() {
            if subscription.is_none() {
                subscription = self.client.subscribe(subject.clone()).await.ok();
            }
            let Some(messages) = subscription.as_mut() else {
                tokio::time::sleep(super::MAX_RECONNECT_DELAY).await;
                continue;
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                _ = queue.recv_many(&mut ids, MAX_IDS) => {
                    let bytes = std::iter::once(replica).chain(ids.drain(..)).flat_map(Uuid::into_bytes).collect::<Vec<u8>>();
                    // Notifications without a connection are lost: all subscribers are notified when it is back.
                    if self.client.connection_state() == async_nats::connection::State::Connected {
                        let _ = self.client.publish(subject.clone(), bytes.into()).await;
                    }
                }
                message = messages.next() => match message {
                    Some(message) => {
                        let mut ids = message.payload.chunks_exact(16).filter_map(|id| Uuid::from_slice(id).ok());
                        if ids.next() != Some(replica) {
                            ids.for_each(|id| notifier.notify_local(id));
                        }
                    }
                    None => subscription = None,
                },
                // Notifications of the time without a connection were lost.
                _ = reconnected.changed() => notifier.notify_all_local(),
            }
        }
    }
}
