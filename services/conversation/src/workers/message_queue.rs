//! The queue of the message writer: its worker takes the requests that queued while it wrote the batch before, so a single
//! request waits for no timer. Messages of a conversation that another transaction has locked wait aside, in their order.

use std::sync::Arc;

use frontdesk_bus::ChangeNotifier;
use frontdesk_db::Db;
use tokio::{
    sync::{Mutex, mpsc},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    locked_messages::{LockedMessages, MIN_PAUSE},
    message_writer::{BatchWriter, QueuedWrite, WriteError, WriteRequest, WriteResult},
};
use crate::store::conversation_batch::conversation_batch;

/// Maximum number of messages in one batch.
const MAX_BATCH: usize = 128;
/// Maximum number of requests in the queue; further callers wait until the queue has space.
const QUEUE_CAPACITY: usize = 1024;

/// The queue of the message writer. Clones share it.
#[derive(Clone)]
pub(crate) struct MessageQueue(Arc<Shared>);

struct Shared {
    writer: BatchWriter,
    sender: mpsc::Sender<QueuedWrite>,
    /// The worker holds it while it runs.
    receiver: Mutex<mpsc::Receiver<QueuedWrite>>,
}

impl MessageQueue {
    /// An empty queue, for [`MessageQueue::run_worker`].
    pub(crate) fn new(db: &Db, notifier: &ChangeNotifier) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE_CAPACITY);
        let writer = BatchWriter::new(db, notifier, conversation_batch(db));
        Self(Arc::new(Shared { writer, sender, receiver: Mutex::new(receiver) }))
    }

    /// Appends the message in the next batch.
    pub(crate) async fn write(&self, request: WriteRequest) -> WriteResult {
        let (queued, answered) = QueuedWrite::new(request);
        match self.0.sender.send(queued).await {
            Ok(()) => answered.await.unwrap_or(Err(WriteError::ConnectionLost)),
            // The worker ends with the shutdown: the last calls write their messages themselves.
            Err(mpsc::error::SendError(queued)) => self.0.writer.write_waiting(&queued).await,
        }
    }

    /// Runs the worker, which writes the queue in batches until the shutdown.
    pub(crate) async fn run_worker(self, shutdown: CancellationToken) {
        let mut queue = self.0.receiver.lock().await;
        let mut locked = LockedMessages::default();
        let mut batch = Vec::with_capacity(MAX_BATCH);
        loop {
            let retry_at = locked.next_retry();
            let retry = async { tokio::time::sleep_until(retry_at.unwrap_or_else(Instant::now)).await };
            tokio::select! {
                biased;
                received = queue.recv_many(&mut batch, MAX_BATCH) => {
                    if received == 0 && locked.is_empty() {
                        return;
                    }
                    if received == 0 {
                        // The queue is closed: what is left waits for locks.
                        tokio::time::sleep(MIN_PAUSE).await;
                    }
                }
                () = retry, if retry_at.is_some() => {}
                // After it is closed, the queue still returns the messages that it holds.
                () = shutdown.cancelled(), if !queue.is_closed() => queue.close(),
            }
            let mut next = locked.take_due(Instant::now());
            next.extend(locked.hold_back(std::mem::take(&mut batch)));
            let still_locked = self.0.writer.write(next).await;
            for expired in locked.add(still_locked, Instant::now()) {
                expired.answer(Err(WriteError::Locked));
            }
        }
    }
}
