//! Hints between replicas: ids of changed things, on a plain NATS subject that keeps nothing.

use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::JetStream;
use crate::Hints;

/// So many ids in a message at most.
const AT_ONCE: usize = 1_024;

/// Hints of one name.
pub(super) struct Shared {
    pub(super) name: &'static str,
    pub(super) hints: Hints,
    waiting: Option<mpsc::Receiver<Uuid>>,
}

/// What the loop of one name works with.
pub(super) struct Starting {
    name: &'static str,
    hints: Hints,
    waiting: mpsc::Receiver<Uuid>,
}

impl Shared {
    pub(super) fn new(name: &'static str) -> Self {
        let (hints, waiting) = Hints::shared();
        Self { name, hints, waiting: Some(waiting) }
    }

    /// None: it runs already.
    pub(super) fn start(&mut self) -> Option<Starting> {
        Some(Starting { name: self.name, hints: self.hints.clone(), waiting: self.waiting.take()? })
    }
}

impl JetStream {
    /// Tells others what changed here, as many at once as wait, and hears what changed there.
    pub(super) async fn share_hints(&self, starting: Starting, shutdown: CancellationToken) {
        let Starting { name, hints, mut waiting } = starting;
        let subject = self.names.hints(name);
        let mut reconnected = self.reconnected();
        let me = Uuid::now_v7();
        let mut heard = None;
        let mut ids = Vec::with_capacity(AT_ONCE);
        while !shutdown.is_cancelled() {
            if heard.is_none() {
                heard = self.client.subscribe(subject.clone()).await.ok();
            }
            let Some(subscription) = heard.as_mut() else {
                tokio::time::sleep(super::LONGEST_PAUSE).await;
                continue;
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                _ = waiting.recv_many(&mut ids, AT_ONCE) => {
                    let bytes = std::iter::once(me).chain(ids.drain(..)).flat_map(Uuid::into_bytes).collect::<Vec<u8>>();
                    // Lost with the connection: then everybody reads again when it is back.
                    if self.client.connection_state() == async_nats::connection::State::Connected {
                        let _ = self.client.publish(subject.clone(), bytes.into()).await;
                    }
                }
                message = subscription.next() => match message {
                    Some(message) => {
                        let mut changed = message.payload.chunks_exact(16).filter_map(|id| Uuid::from_slice(id).ok());
                        if changed.next() != Some(me) {
                            changed.for_each(|id| hints.heard(id));
                        }
                    }
                    None => heard = None,
                },
                // Hints of the time between were lost.
                _ = reconnected.changed() => hints.all(),
            }
        }
    }
}
