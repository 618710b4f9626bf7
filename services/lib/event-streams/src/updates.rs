//! The updates of one stream of events.

use std::sync::Arc;

use frontdesk_api::{ApiError, CursorSigner, LiveUpdates};
use frontdesk_db::AccountId;
use frontdesk_outbox::{is_kept_after, list_published_of};
use frontdesk_proto::event::v1::Event;
use tokio::sync::broadcast::error::RecvError;
use tonic::Status;

use crate::{
    EventStreams,
    feed::{Batch, Follower},
    filter::Filter,
};

/// An update of a stream, and the cursor from which another one goes on after it.
#[derive(Clone, Debug, PartialEq)]
pub struct EventUpdate {
    /// What happened.
    pub update: Update,
    /// It also passes events that do not match the filter.
    pub cursor: String,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// An event.
    Published(Box<Event>),
    /// All events that were published before the stream began have been sent.
    CaughtUp,
    /// The stream is alive.
    Heartbeat,
}

/// One stream.
pub(crate) struct Updates {
    streams: EventStreams,
    account: AccountId,
    filter: Filter,
    signer: CursorSigner,
    follower: Follower,
    /// Every event up to this position was sent, or does not match.
    position: i64,
    /// The stream itself reads the events up to this position.
    reads_to: i64,
    /// What is being sent.
    batch: Arc<Batch>,
    /// How many events of the batch were looked at.
    taken: usize,
    /// The batch of the feed that follows what the stream reads.
    next_batch: Option<Arc<Batch>>,
    is_caught_up: bool,
}

impl Updates {
    /// The stream of the events after the position `after`. `follower` followed the account before `settled_to` was read.
    pub(crate) fn new(
        streams: EventStreams,
        account: AccountId,
        filter: Filter,
        signer: CursorSigner,
        follower: Follower,
        after: i64,
        settled_to: i64,
    ) -> Self {
        Self {
            streams,
            account,
            filter,
            signer,
            position: after,
            // After a crash of PostgreSQL the feed may be ahead of what is stored.
            reads_to: settled_to.max(follower.read_to()),
            follower,
            batch: Arc::default(),
            taken: 0,
            next_batch: None,
            is_caught_up: false,
        }
    }

    /// The next event of the batch that matches.
    fn next_match(&mut self) -> Option<Event> {
        while let Some((position, event)) = self.batch.events.get(self.taken) {
            self.taken += 1;
            if *position > self.position {
                self.position = *position;
                if self.filter.matches(event) {
                    return Some(event.clone());
                }
            }
        }
        self.position = self.position.max(self.batch.to);
        None
    }

    fn take(&mut self, batch: Arc<Batch>) {
        (self.batch, self.taken) = (batch, 0);
    }

    /// Reads the next events. Fails where some of them may have been deleted.
    async fn read(&self) -> Result<Batch, Status> {
        let (db, after) = (&self.streams.db, self.position);
        // It is never closed.
        let _permit = self.streams.catch_up.acquire().await.ok();
        let read = list_published_of(db, self.account, after, self.reads_to).await;
        let read = read.map_err(|error| ApiError::database(&error))?;
        match is_kept_after(db, after, self.reads_to).await {
            Ok(true) => Ok(Batch::new(after, read)),
            Ok(false) => Err(ApiError::cursor_too_old().into()),
            Err(error) => Err(ApiError::database(&error).into()),
        }
    }

    fn with_cursor(&self, update: Update) -> Result<EventUpdate, Status> {
        Ok(EventUpdate { update, cursor: self.signer.sign(&self.position)? })
    }
}

impl LiveUpdates for Updates {
    type Update = EventUpdate;

    async fn next(&mut self) -> Result<EventUpdate, Status> {
        loop {
            if let Some(event) = self.next_match() {
                return self.with_cursor(Update::Published(Box::new(event)));
            }
            if self.position < self.reads_to {
                let batch = self.read().await?;
                self.take(Arc::new(batch));
                continue;
            }
            if let Some(batch) = self.next_batch.take() {
                self.take(batch);
                continue;
            }
            if !std::mem::replace(&mut self.is_caught_up, true) {
                return self.with_cursor(Update::CaughtUp);
            }
            match self.follower.batches.recv().await {
                Ok(batch) => {
                    self.reads_to = batch.after;
                    self.next_batch = Some(batch);
                }
                // The stream reads what it missed, before the next batch.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => std::future::pending::<()>().await,
            }
        }
    }

    fn heartbeat(&mut self) -> Result<EventUpdate, Status> {
        // The account may have had no event for long. Its cursor must not become too old by that.
        let has_sent_all = self.is_caught_up && self.position >= self.reads_to && self.next_batch.is_none();
        if has_sent_all
            && self.taken == self.batch.events.len()
            && let Some(received_to) = self.follower.received_to()
        {
            self.position = self.position.max(received_to);
        }
        self.with_cursor(Update::Heartbeat)
    }

    fn cursor(&mut self) -> Result<String, Status> {
        self.signer.sign(&self.position)
    }
}
