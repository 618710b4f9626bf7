//! The queues of the message writer: a worker takes the requests that queued while it wrote the batch before, so a single
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
/// Maximum number of requests in one worker's queue; further callers wait until the queue has space.
const QUEUE_CAPACITY: usize = 1024;
/// Number of workers on PostgreSQL: while one batch is committed the other is put together. SQLite has one writer anyway.
const WORKERS: usize = 2;

/// The queues of the message writer's workers. Clones share them.
#[derive(Clone)]
pub(crate) struct MessageQueue(Arc<Shared>);

struct Shared {
    writer: BatchWriter,
    queues: Vec<Queue>,
}

/// The queue of one worker, which holds the receiver while it runs.
struct Queue {
    sender: mpsc::Sender<QueuedWrite>,
    receiver: Mutex<mpsc::Receiver<QueuedWrite>>,
}

impl MessageQueue {
    /// Empty queues, for [`MessageQueue::run_worker`].
    pub(crate) fn new(db: &Db, notifier: &ChangeNotifier) -> Self {
        let workers = if db.is_sqlite() { 1 } else { WORKERS };
        let queues = (0..workers).map(|_| {
            let (sender, receiver) = mpsc::channel(QUEUE_CAPACITY);
            Queue { sender, receiver: Mutex::new(receiver) }
        });
        let queues = queues.collect();
        Self(Arc::new(Shared { writer: BatchWriter::new(db, notifier, conversation_batch(db)), queues }))
    }

    /// Number of workers to run.
    pub(crate) fn workers(&self) -> usize {
        self.0.queues.len()
    }

    /// Appends the message in the next batch.
    pub(crate) async fn write(&self, request: WriteRequest) -> WriteResult {
        // A conversation always has the same worker: two batches of one process never wait for each other's locks.
        let queue = &self.0.queues[request.conversation.as_u128() as usize % self.0.queues.len()];
        let (queued, answered) = QueuedWrite::new(request);
        match queue.sender.send(queued).await {
            Ok(()) => answered.await.unwrap_or(Err(WriteError::ConnectionLost)),
            // The workers end with the shutdown: the last calls write their messages themselves.
            Err(mpsc::error::SendError(queued)) => self.0.writer.write_waiting(&queued).await,
        }
    }

    /// Runs one worker, which writes its queue in batches until the shutdown.
    pub(crate) async fn run_worker(self, worker: usize, shutdown: CancellationToken) {
        let mut queue = self.0.queues[worker].receiver.lock().await;
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
