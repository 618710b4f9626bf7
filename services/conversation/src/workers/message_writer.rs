//! The message writer: appends the messages that wait, as one batch in one transaction.
//!
//! Appending a message is the most frequent write of the service, and most of its cost is round trips and the commit. So
//! requests queue here, and a worker takes those that queued while it wrote the batch before; a single request waits for no
//! timer. Each member is decided by itself, on its conversation as the members before it left it: a member that is rejected,
//! repeated or unknown affects no other, and when a batch cannot be written as a whole, its members are written one by one.
//!
//! A caller is answered after the commit. After a lost connection it is unknown whether the batch was committed, so the caller
//! repeats with the same request id.

use std::{panic::AssertUnwindSafe, sync::Arc};

use frontdesk_bus::ChangeNotifier;
use frontdesk_clock::Clock;
use frontdesk_db::{AccountId, Db, is_connection_lost};
use frontdesk_idempotency::{ClaimError, Key};
use futures::FutureExt;
use sea_orm::DbErr;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    domain::{AppendMessage, Context, Conversation, Entry, Rejection},
    store::{
        NewRows,
        conversation_batch::{
            self as store, BatchContext, ContextRequest, ConversationBatch, LockedConversations, RowKey,
        },
        display_names::DisplayNames,
    },
};

/// Maximum number of messages in one batch.
const MAX_BATCH: usize = 128;
/// Maximum number of requests in one worker's queue; further callers wait until the queue has space.
const QUEUE_CAPACITY: usize = 1024;
/// Number of workers on PostgreSQL: while one batch is committed the other is put together. SQLite has one writer anyway.
const WORKERS: usize = 2;
/// Maximum number of attempts to write one message whose request id another transaction used meanwhile.
const MAX_ATTEMPTS: u32 = 3;

/// A message to append to a conversation of the account.
#[derive(Clone, Debug)]
pub(crate) struct WriteRequest {
    pub(crate) account: AccountId,
    pub(crate) conversation: Uuid,
    pub(crate) message: AppendMessage,
    pub(crate) key: Key,
}

/// The outcome of a request.
#[derive(Debug)]
pub(crate) enum WriteOutcome {
    /// The entry, with its author's name.
    Appended(Box<Entry>, DisplayNames),
    /// A repeat: the first request appended the entry with this sequence.
    Duplicate { sequence: i64 },
}

/// Why nothing was appended.
#[derive(Debug)]
pub(crate) enum WriteError {
    NotFound,
    RequestIdReused,
    /// With the conversation as it was then.
    Rejected(Rejection, Box<Conversation>),
    /// The connection was lost: the message may have been appended.
    ConnectionLost,
    Db(DbErr),
}

type WriteResult = Result<WriteOutcome, WriteError>;

struct QueuedWrite {
    request: WriteRequest,
    /// Trace of the call, for its events.
    traceparent: String,
    answer: oneshot::Sender<WriteResult>,
}

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
    pub(crate) fn new(db: &Db, clock: &Clock, notifier: &ChangeNotifier) -> Self {
        let workers = if db.is_sqlite() { 1 } else { WORKERS };
        let queues = (0..workers).map(|_| {
            let (sender, receiver) = mpsc::channel(QUEUE_CAPACITY);
            Queue { sender, receiver: Mutex::new(receiver) }
        });
        let queues = queues.collect();
        Self(Arc::new(Shared { writer: BatchWriter::new(db, clock, notifier, store::conversation_batch(db)), queues }))
    }

    /// Number of workers to run.
    pub(crate) fn workers(&self) -> usize {
        self.0.queues.len()
    }

    /// Appends the message in the next batch.
    pub(crate) async fn write(&self, request: WriteRequest) -> WriteResult {
        // A conversation always has the same worker: two batches of one process never wait for each other's locks.
        let queue = &self.0.queues[request.conversation.as_u128() as usize % self.0.queues.len()];
        let (answer, answered) = oneshot::channel();
        let queued = QueuedWrite { request, traceparent: frontdesk_telemetry::traceparent(), answer };
        match queue.sender.send(queued).await {
            Ok(()) => answered.await.unwrap_or(Err(WriteError::ConnectionLost)),
            // The workers end with the shutdown: the last calls write their messages themselves.
            Err(mpsc::error::SendError(queued)) => self.0.writer.write_one(&queued).await,
        }
    }

    /// Runs one worker, which writes its queue in batches until the shutdown.
    pub(crate) async fn run_worker(self, worker: usize, shutdown: CancellationToken) {
        let mut queue = self.0.queues[worker].receiver.lock().await;
        let mut batch = Vec::with_capacity(MAX_BATCH);
        loop {
            tokio::select! {
                biased;
                received = queue.recv_many(&mut batch, MAX_BATCH) => {
                    if received == 0 {
                        return;
                    }
                    self.0.writer.write(std::mem::take(&mut batch)).await;
                }
                // After it is closed, the queue still returns the messages that it holds.
                () = shutdown.cancelled(), if !queue.is_closed() => queue.close(),
            }
        }
    }
}

/// Why a batch was not written as a whole.
#[derive(Debug)]
enum BatchError {
    /// It is unknown whether the batch was committed.
    ConnectionLost,
    /// Another transaction used one of the request ids after they had been looked up.
    RequestIdTaken,
    Db(DbErr),
    /// A bug.
    Panicked,
}

impl From<DbErr> for BatchError {
    fn from(error: DbErr) -> Self {
        if is_connection_lost(&error) {
            tracing::warn!(%error, "the connection was lost while a batch of messages was written");
            return Self::ConnectionLost;
        }
        Self::Db(error)
    }
}

/// Writes batches.
struct BatchWriter {
    db: Db,
    clock: Clock,
    notifier: ChangeNotifier,
    store: Arc<dyn ConversationBatch>,
}

impl BatchWriter {
    fn new(db: &Db, clock: &Clock, notifier: &ChangeNotifier, store: Arc<dyn ConversationBatch>) -> Self {
        Self { db: db.clone(), clock: clock.clone(), notifier: notifier.clone(), store }
    }

    /// Writes the batch, or otherwise its members one by one, and answers each.
    async fn write(&self, batch: Vec<QueuedWrite>) {
        match self.try_batch(&batch).await {
            Ok(results) => {
                for (queued, result) in batch.into_iter().zip(results) {
                    // A caller that no longer listens changes nothing: the message stays.
                    let _ = queued.answer.send(result);
                }
            }
            Err(BatchError::ConnectionLost) => {
                for queued in batch {
                    let _ = queued.answer.send(Err(WriteError::ConnectionLost));
                }
            }
            Err(error) => {
                tracing::debug!(?error, members = batch.len(), "a batch of messages is written one by one");
                for queued in batch {
                    let result = self.write_one(&queued).await;
                    let _ = queued.answer.send(result);
                }
            }
        }
    }

    async fn write_one(&self, queued: &QueuedWrite) -> WriteResult {
        for _ in 0..MAX_ATTEMPTS {
            return match self.try_batch(std::slice::from_ref(queued)).await {
                Ok(mut results) => results.pop().unwrap_or(Err(WriteError::ConnectionLost)),
                // The next attempt finds the id that another transaction used.
                Err(BatchError::RequestIdTaken) => continue,
                Err(BatchError::ConnectionLost) => Err(WriteError::ConnectionLost),
                Err(BatchError::Db(error)) => Err(WriteError::Db(error)),
                Err(BatchError::Panicked) => Err(WriteError::Db(DbErr::Custom("the message writer panicked".into()))),
            };
        }
        Err(WriteError::Db(DbErr::Custom("a request id is taken and cannot be found".into())))
    }

    async fn try_batch(&self, batch: &[QueuedWrite]) -> Result<Vec<WriteResult>, BatchError> {
        // A bug that one message meets must not end the worker.
        AssertUnwindSafe(self.write_batch(batch)).catch_unwind().await.unwrap_or(Err(BatchError::Panicked))
    }

    /// Writes the batch and returns each member's result, or writes nothing.
    async fn write_batch(&self, batch: &[QueuedWrite]) -> Result<Vec<WriteResult>, BatchError> {
        let mut tx = self.db.begin_batch().await?;
        let rows: Vec<_> = batch.iter().map(|queued| (queued.request.account, queued.request.conversation)).collect();
        let mut conversations = self.store.lock(&tx, &rows).await?;
        let wanted = self.context_request(batch, &conversations);
        let mut context = self.store.load_context(&tx, wanted).await?;

        let mut rows = NewRows::new(context.now);
        let mut results = Vec::with_capacity(batch.len());
        for queued in batch {
            results.push(append(queued, &mut conversations, &mut context, &mut rows)?);
        }
        if rows.is_empty() {
            return Ok(results);
        }

        let requests = context.requests;
        if !store::save(&*self.store, &mut tx, &self.notifier, &conversations, rows, requests).await? {
            return Err(BatchError::RequestIdTaken);
        }
        // After a failed commit, whatever its error, nothing is known about the batch.
        tx.commit().await.map_err(|error| {
            tracing::warn!(%error, "it is unknown whether a batch of messages was committed");
            BatchError::ConnectionLost
        })?;
        Ok(results)
    }

    fn context_request<'a>(&self, batch: &'a [QueuedWrite], conversations: &LockedConversations) -> ContextRequest<'a> {
        let requests = batch.iter().map(|queued| &queued.request);
        ContextRequest {
            keys: requests.clone().map(|request| &request.key).collect(),
            agents: distinct(requests.filter_map(|request| Some((request.account, request.message.agent()?)))),
            bots: distinct(conversations.values().filter_map(|conversation| {
                conversation.session_in_charge().map(|session| (conversation.account, session.bot))
            })),
            clock_offset: self.clock.offset(),
        }
    }
}

/// Decides one member, on what the members before it left.
fn append(
    queued: &QueuedWrite,
    conversations: &mut LockedConversations,
    context: &mut BatchContext,
    rows: &mut NewRows,
) -> Result<WriteResult, DbErr> {
    let WriteRequest { account, conversation, message, key } = &queued.request;
    let found = conversations.get_mut(&(*account, *conversation));
    let Some(conversation) = found.filter(|conversation| message.may_address(conversation)) else {
        return Ok(Err(WriteError::NotFound));
    };
    match context.requests.result(key) {
        Ok(None) => {}
        Ok(Some(sequence)) => return Ok(Ok(WriteOutcome::Duplicate { sequence })),
        Err(ClaimError::Reused) => return Ok(Err(WriteError::RequestIdReused)),
        Err(ClaimError::Db(error)) => return Ok(Err(WriteError::Db(error))),
    }
    let agent = message.agent().and_then(|agent| context.agent((*account, agent)));
    let entry = match message.apply(conversation, Context { now: context.now, agent }) {
        Ok(entry) => entry,
        Err(rejection) => return Ok(Err(WriteError::Rejected(rejection, Box::new(conversation.clone())))),
    };
    rows.take_from(conversation, &queued.traceparent)?;
    context.requests.store_result(key, &entry.sequence, context.now)?;
    let names = context.author_name(*account, &entry);
    Ok(Ok(WriteOutcome::Appended(Box::new(entry), names)))
}

fn distinct(keys: impl Iterator<Item = RowKey>) -> Vec<RowKey> {
    let mut keys: Vec<_> = keys.collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

#[cfg(test)]
#[path = "message_writer_tests.rs"]
mod tests;
