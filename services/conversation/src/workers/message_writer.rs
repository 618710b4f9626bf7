//! The message writer: appends the messages of a batch in one transaction.
//!
//! Appending a message is the most frequent write of the service, and most of its cost is round trips and the commit. So
//! requests queue (`message_queue.rs`) and are written together. Each member is decided by itself, on its conversation as the
//! members before it left it: a member that is rejected, repeated or unknown affects no other, and when a batch cannot be
//! written as a whole, its members are written one by one. A batch waits for no lock: a message whose conversation another
//! transaction has locked, or changed since it was loaded, is given back.
//!
//! On PostgreSQL the first attempt locks nothing. It loads the conversations with one statement, unless they are remembered
//! (`recent_rows.rs`), and saves with another one those that have not changed since, which is a transaction of its own: one round
//! trip or two. A further attempt locks.
//!
//! A caller is answered after the commit. After a lost connection it is unknown whether the batch was committed, so the caller
//! repeats with the same request id.

use std::{panic::AssertUnwindSafe, sync::Arc};

use frontdesk_bus::ChangeNotifier;
use frontdesk_db::{AccountId, Db, is_connection_lost};
use frontdesk_idempotency::{ClaimError, Key, is_id_taken};
use futures::FutureExt;
use sea_orm::DbErr;
use tokio::{sync::oneshot, time::Instant};
use uuid::Uuid;

use super::{
    locked_messages::{MAX_WAIT, pause},
    recent_rows::RecentRows,
};
use crate::{
    domain::{Agent, AppendMessage, Context, Conversation, Entry, Rejection},
    store::{
        NewRows,
        conversation_batch::{
            self as store, BatchContext, BatchRequest, BatchRows, ConversationBatch, Locking, RowKey, Saved,
        },
        display_names::DisplayNames,
    },
};

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
    /// Another transaction has had the conversation locked for too long.
    Locked,
    Db(DbErr),
}

pub(super) type WriteResult = Result<WriteOutcome, WriteError>;

/// The result of an attempt. None: another transaction has locked the conversation, and nothing was decided.
type Attempt = Option<WriteResult>;

/// A request in the queue, with the caller who waits for its answer.
pub(super) struct QueuedWrite {
    request: WriteRequest,
    /// Trace of the call, for its events.
    traceparent: String,
    answer: oneshot::Sender<WriteResult>,
    /// When its conversation was first found to be locked.
    pub(super) locked_since: Option<Instant>,
}

impl QueuedWrite {
    pub(super) fn new(request: WriteRequest) -> (Self, oneshot::Receiver<WriteResult>) {
        let (answer, answered) = oneshot::channel();
        (Self { request, traceparent: frontdesk_telemetry::traceparent(), answer, locked_since: None }, answered)
    }

    pub(super) fn row(&self) -> RowKey {
        (self.request.account, self.request.conversation)
    }

    pub(super) fn message(&self) -> &AppendMessage {
        &self.request.message
    }

    pub(super) fn answer(self, result: WriteResult) {
        // A caller that no longer listens changes nothing: the message stays.
        let _ = self.answer.send(result);
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
        if is_id_taken(&error) {
            return Self::RequestIdTaken;
        }
        if is_connection_lost(&error) {
            tracing::warn!(%error, "the connection was lost while a batch of messages was written");
            return Self::ConnectionLost;
        }
        Self::Db(error)
    }
}

/// What a batch is decided on.
enum Rows {
    /// Remembered rows.
    Recent(Box<(BatchRows, BatchContext)>),
    /// Rows of the database.
    Loaded(Locking),
}

/// Writes batches.
pub(super) struct BatchWriter {
    db: Db,
    notifier: ChangeNotifier,
    store: Arc<dyn ConversationBatch>,
    recent: RecentRows,
}

impl BatchWriter {
    pub(super) fn new(db: &Db, notifier: &ChangeNotifier, store: Arc<dyn ConversationBatch>) -> Self {
        Self { db: db.clone(), notifier: notifier.clone(), store, recent: RecentRows::new() }
    }

    /// Writes the batch, or otherwise its members one by one, and answers each. Returns those whose conversation is locked.
    pub(super) async fn write(&self, batch: Vec<QueuedWrite>) -> Vec<QueuedWrite> {
        let is_first = batch.iter().all(|queued| queued.locked_since.is_none());
        let locking = if is_first { Locking::Optimistic } else { Locking::Lock };
        let batch = if is_first { self.write_recent(batch).await } else { batch };
        if batch.is_empty() {
            return batch;
        }
        match self.try_batch(&batch, Rows::Loaded(locking)).await {
            Ok(attempts) => answer_decided(batch, attempts),
            Err(BatchError::ConnectionLost) => answer_connection_lost(batch),
            Err(error) => {
                tracing::debug!(?error, members = batch.len(), "a batch of messages is written one by one");
                self.write_each(batch).await
            }
        }
    }

    /// Writes the batch on remembered rows, if all are. Returns the messages that are to be decided on loaded rows.
    async fn write_recent(&self, batch: Vec<QueuedWrite>) -> Vec<QueuedWrite> {
        let Some(rows) = self.recent.find(&batch, self.db.clock_offset()).await else { return batch };
        match self.try_batch(&batch, Rows::Recent(Box::new(rows))).await {
            Ok(attempts) => {
                let outdated = answer_decided(batch, attempts);
                for queued in &outdated {
                    self.recent.mark_outdated(queued).await;
                }
                outdated
            }
            Err(BatchError::ConnectionLost) => answer_connection_lost(batch),
            Err(error) => {
                tracing::debug!(?error, members = batch.len(), "a batch of messages is decided on loaded rows");
                self.recent.pause();
                batch
            }
        }
    }

    async fn write_each(&self, batch: Vec<QueuedWrite>) -> Vec<QueuedWrite> {
        let mut locked: Vec<QueuedWrite> = Vec::new();
        for queued in batch {
            // A message does not overtake an earlier one of its conversation.
            let is_locked = locked.iter().any(|earlier| earlier.row() == queued.row());
            match if is_locked { None } else { self.write_one(&queued).await } {
                Some(result) => queued.answer(result),
                None => locked.push(queued),
            }
        }
        locked
    }

    async fn write_one(&self, queued: &QueuedWrite) -> Attempt {
        for _ in 0..MAX_ATTEMPTS {
            return match self.try_batch(std::slice::from_ref(queued), Rows::Loaded(Locking::Lock)).await {
                Ok(mut attempts) => attempts.pop().unwrap_or(Some(Err(WriteError::ConnectionLost))),
                // The next attempt finds the id that another transaction used.
                Err(BatchError::RequestIdTaken) => continue,
                Err(BatchError::ConnectionLost) => Some(Err(WriteError::ConnectionLost)),
                Err(BatchError::Db(error)) => Some(Err(WriteError::Db(error))),
                Err(BatchError::Panicked) => {
                    Some(Err(WriteError::Db(DbErr::Custom("the message writer panicked".into()))))
                }
            };
        }
        Some(Err(WriteError::Db(DbErr::Custom("a request id is taken and cannot be found".into()))))
    }

    /// Writes one message, and waits as long as a worker for its conversation.
    pub(super) async fn write_waiting(&self, queued: &QueuedWrite) -> WriteResult {
        let began = Instant::now();
        loop {
            if let Some(result) = self.write_one(queued).await {
                return result;
            }
            let waited = began.elapsed();
            if waited >= MAX_WAIT {
                return Err(WriteError::Locked);
            }
            tokio::time::sleep(pause(waited)).await;
        }
    }

    async fn try_batch(&self, batch: &[QueuedWrite], rows: Rows) -> Result<Vec<Attempt>, BatchError> {
        // A bug that one message meets must not end the worker.
        AssertUnwindSafe(self.write_batch(batch, rows)).catch_unwind().await.unwrap_or(Err(BatchError::Panicked))
    }

    /// Writes the batch and returns each member's result, or writes nothing.
    async fn write_batch(&self, batch: &[QueuedWrite], rows: Rows) -> Result<Vec<Attempt>, BatchError> {
        let locking = match &rows {
            Rows::Recent(..) => Locking::Optimistic,
            Rows::Loaded(locking) => *locking,
        };
        let mut tx = self.store.begin(&self.db, locking).await?;
        let is_recent = matches!(rows, Rows::Recent(..));
        let (mut loaded, mut context) = match rows {
            Rows::Recent(rows) => *rows,
            Rows::Loaded(locking) => self.store.load(&tx, &self.batch_request(batch), locking).await?,
        };

        let mut rows = NewRows::new(context.now);
        let mut results = Vec::with_capacity(batch.len());
        for queued in batch {
            let is_busy = loaded.busy.contains(&queued.row());
            let result = if is_busy { None } else { Some(append(queued, &mut loaded, &mut context, &mut rows)?) };
            // Anything else that was decided on a remembered row is decided again.
            results.push(result.filter(|result| !is_recent || matches!(result, Ok(WriteOutcome::Appended(..)))));
        }
        if rows.is_empty() {
            return Ok(results);
        }

        let versions_before = rows.changed().clone();
        let agents: Vec<Agent> = context.agents().cloned().collect();
        let sent = Instant::now();
        let saved = store::save(&*self.store, &mut tx, &self.notifier, &loaded.conversations, rows, context).await?;
        // After a failed commit, whatever its error, nothing is known about the batch.
        tx.commit().await.map_err(|error| {
            tracing::warn!(%error, "it is unknown whether a batch of messages was committed");
            BatchError::ConnectionLost
        })?;
        for (queued, result) in batch.iter().zip(&mut results) {
            result.take_if(|_| saved.unsaved.contains(&queued.row()));
        }
        if let Saved { unsaved, now: Some(now) } = saved {
            let versions = versions_before.into_iter().filter(|(key, _)| !unsaved.contains(key));
            let conversations =
                versions.filter_map(|(key, version)| Some((loaded.conversations.remove(&key)?, version)));
            self.recent.remember(conversations, &agents, now, sent).await;
        }
        Ok(results)
    }

    fn batch_request<'a>(&self, batch: &'a [QueuedWrite]) -> BatchRequest<'a> {
        let requests = batch.iter().map(|queued| &queued.request);
        BatchRequest {
            conversations: distinct(batch.iter().map(QueuedWrite::row)),
            keys: requests.clone().map(|request| &request.key).collect(),
            agents: distinct(requests.filter_map(|request| Some((request.account, request.message.agent()?)))),
        }
    }
}

/// Decides one member, on what the members before it left.
fn append(
    queued: &QueuedWrite,
    loaded: &mut BatchRows,
    context: &mut BatchContext,
    rows: &mut NewRows,
) -> Result<WriteResult, DbErr> {
    let WriteRequest { account, conversation, message, key } = &queued.request;
    if let Some(error) = loaded.unreadable.get(&queued.row()) {
        return Ok(Err(WriteError::Db(DbErr::Custom(error.clone()))));
    }
    let found = loaded.conversations.get_mut(&(*account, *conversation));
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
    context.requests.store_result(key, &entry.sequence, conversation.id, context.now)?;
    let names = context.author_name(*account, &entry);
    Ok(Ok(WriteOutcome::Appended(Box::new(entry), names)))
}

/// Answers the messages that were decided. Returns the others.
fn answer_decided(batch: Vec<QueuedWrite>, attempts: Vec<Attempt>) -> Vec<QueuedWrite> {
    let mut undecided = Vec::new();
    for (queued, attempt) in batch.into_iter().zip(attempts) {
        match attempt {
            Some(result) => queued.answer(result),
            None => undecided.push(queued),
        }
    }
    undecided
}

/// Answers that it is unknown whether the messages were written. Returns none.
fn answer_connection_lost(batch: Vec<QueuedWrite>) -> Vec<QueuedWrite> {
    batch.into_iter().for_each(|queued| queued.answer(Err(WriteError::ConnectionLost)));
    Vec::new()
}

fn distinct(keys: impl Iterator<Item = RowKey>) -> Vec<RowKey> {
    let mut keys: Vec<_> = keys.collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

#[cfg(test)]
#[path = "message_writer_tests/mod.rs"]
mod tests;
