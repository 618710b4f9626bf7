//! Live streams: the items after a cursor, then new ones as they come. Change notifications say when to read again; the
//! database says what. A silent stream reads nothing: a service in which notifications can be lost looks for changes of all its
//! topics together, and notifies.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use frontdesk_proto::error::v1::Reason;
use futures::{Stream, stream};
use moka::future::Cache;
use prost::Message;
use tokio::{
    sync::watch,
    time::{Instant, Sleep},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{
    ApiError,
    deadlines::{self, StreamEndReason},
};

/// Pause before the next read when notifications have ended.
const UNNOTIFIED_PAUSE: Duration = Duration::from_millis(100);
/// How long the result of a read is kept for other streams.
const SHARED_FOR: Duration = Duration::from_secs(2);
/// Maximum number of bytes of kept results.
const MAX_SHARED_BYTES: u64 = 64 * 1024 * 1024;

/// Interval of silence after which a stream sends a heartbeat.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(20);

/// The responses that all watches have beside their items.
pub struct CommonUpdates<T> {
    /// All items that existed at the start have been sent.
    pub caught_up: T,
    /// The stream is alive.
    pub heartbeat: T,
}

/// What one read returned.
pub struct Items<T> {
    /// Items with their sequence numbers, in order.
    pub items: Vec<(i64, T)>,
    /// Whether more items follow.
    pub has_more: bool,
}

/// Results of recent reads: a thousand streams of one topic that see the same notification are served by one read.
#[derive(Clone)]
pub struct SharedReads<T>(Cache<(Uuid, i64, u64), Arc<Items<T>>>);

impl<T: Message + 'static> Default for SharedReads<T> {
    fn default() -> Self {
        let bytes = |_: &_, read: &Arc<Items<T>>| {
            let bytes: usize = read.items.iter().map(|(_, item)| item.encoded_len()).sum();
            u32::try_from(bytes).unwrap_or(u32::MAX).max(1)
        };
        Self(Cache::builder().weigher(bytes).max_capacity(MAX_SHARED_BYTES).time_to_live(SHARED_FOR).build())
    }
}

impl<T: Message + 'static> SharedReads<T> {
    /// The items of `id` after `cursor` as of notification `version`: the result of a recent or running read, or else of `read`.
    async fn get_or_read<F>(
        &self,
        id: Uuid,
        cursor: i64,
        version: u64,
        read: impl FnOnce() -> F,
    ) -> Result<Arc<Items<T>>, Status>
    where
        F: Future<Output = Result<Items<T>, Status>>,
    {
        let key = (id, cursor, version);
        if let Some(items) = self.0.get(&key).await {
            return Ok(items);
        }
        // Boxed, because few of the streams come here, and the future is large.
        let read = read();
        let read = Box::pin(self.0.try_get_with(key, async { read.await.map(Arc::new) }));
        read.await.map_err(|status| (*status).clone())
    }
}

/// What a stream watches.
pub struct WatchTarget<T> {
    /// Id of the topic whose items are watched.
    pub id: Uuid,
    /// Sequence number of the last item that the client has.
    pub cursor: i64,
    /// Change notifications of the topic: a version that grows.
    pub changes: watch::Receiver<u64>,
    /// Reads that are shared with other streams.
    pub reads: SharedReads<T>,
    /// What the stream sends beside the items.
    pub updates: CommonUpdates<T>,
}

/// A stream of the items after the target's cursor: those that exist, then [`CommonUpdates::caught_up`], then new ones as they
/// come, with a [`CommonUpdates::heartbeat`] after 20 seconds of silence. `read` returns the next few items after a sequence
/// number; the result must be the same for every client of the topic. An item is sent only when the client has room, so a slow
/// client holds at most the result of one read in memory.
///
/// The stream ends with an error when this replica shuts down, when the caller's token or deadline expires, and at its maximum
/// age; its metadata has the cursor from which the client resumes.
pub fn watch_stream<T, R, F>(
    target: WatchTarget<T>,
    shutdown: CancellationToken,
    read: R,
) -> impl Stream<Item = Result<T, Status>> + Send
where
    T: Message + Clone + 'static,
    R: Fn(i64) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Items<T>, Status>> + Send,
{
    // Boxed, because it is moved for each item.
    let watch = Box::new(Watch {
        target,
        batch: Arc::new(Items { items: Vec::new(), has_more: true }),
        sent: 0,
        shutdown: Box::pin(shutdown.cancelled_owned()),
        timer: Box::pin(tokio::time::sleep(HEARTBEAT_INTERVAL)),
        read,
        may_share: true,
        is_current: false,
        caught_up: false,
        last_sent: Instant::now(),
        end: deadlines::stream_end(),
        ended: false,
    });
    stream::unfold(watch, |mut watch| async move {
        let item = watch.next().await?;
        watch.ended = item.is_err();
        watch.last_sent = Instant::now();
        Some((item, watch))
    })
}

/// A running watch stream.
struct Watch<R, T> {
    target: WatchTarget<T>,
    /// The result of the last read.
    batch: Arc<Items<T>>,
    /// How many items of the batch are sent.
    sent: usize,
    shutdown: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Fires at the next heartbeat or at the end, or earlier: it is set again when it fires, not for each item.
    timer: Pin<Box<Sleep>>,
    read: R,
    /// Whether a shared result may serve: not when notifications have ended.
    may_share: bool,
    /// Whether nothing was notified since the last read, which returned all items that there were.
    is_current: bool,
    /// Whether all items that existed at the start have been sent.
    caught_up: bool,
    last_sent: Instant,
    end: Option<(Instant, StreamEndReason)>,
    ended: bool,
}

impl<R, T, F> Watch<R, T>
where
    T: Message + Clone + 'static,
    R: Fn(i64) -> F,
    F: Future<Output = Result<Items<T>, Status>>,
{
    /// The next item, or the error that ends the stream. None: it has ended.
    async fn next(&mut self) -> Option<Result<T, Status>> {
        while !self.ended {
            // Checked before each item: a stream with a backlog ends too.
            if let Some((at, reason)) = self.end
                && Instant::now() >= at
            {
                return Some(Err(self.with_cursor(reason.error())));
            }
            if let Some((number, item)) = self.batch.items.get(self.sent) {
                self.target.cursor = *number;
                self.sent += 1;
                return Some(Ok(item.clone()));
            }
            if !self.is_current {
                match self.read_batch().await {
                    Ok(batch) => {
                        self.is_current = !batch.has_more || batch.items.is_empty();
                        (self.batch, self.sent) = (batch, 0);
                        continue;
                    }
                    Err(status) => return Some(Err(status)),
                }
            }
            if !std::mem::replace(&mut self.caught_up, true) {
                return Some(Ok(self.target.updates.caught_up.clone()));
            }
            if self.last_sent.elapsed() >= HEARTBEAT_INTERVAL {
                return Some(Ok(self.target.updates.heartbeat.clone()));
            }
            if let Err(error) = self.wait().await {
                return Some(Err(self.with_cursor(error)));
            }
        }
        None
    }

    async fn read_batch(&mut self) -> Result<Arc<Items<T>>, Status> {
        // Marked as seen before the read: a commit during the read notifies again.
        let version = *self.target.changes.borrow_and_update();
        let WatchTarget { id, cursor, reads, .. } = &self.target;
        if std::mem::replace(&mut self.may_share, true) {
            reads.get_or_read(*id, *cursor, version, || (self.read)(*cursor)).await
        } else {
            (self.read)(*cursor).await.map(Arc::new)
        }
    }

    /// Waits until it is time to read again, to send a heartbeat or to end the stream. Fails when this replica shuts down.
    async fn wait(&mut self) -> Result<(), ApiError> {
        let next_heartbeat = self.last_sent + HEARTBEAT_INTERVAL;
        let next = self.end.map_or(next_heartbeat, |(end, _)| end.min(next_heartbeat));
        if self.timer.is_elapsed() || self.timer.deadline() > next {
            self.timer.as_mut().reset(next);
        }
        tokio::select! {
            () = &mut self.timer => {}
            () = &mut self.shutdown => {
                let message = "this replica is stopping; call again with the last number you saw";
                return Err(ApiError::shared(Code::Unavailable, Reason::ShuttingDown, message));
            }
            change = self.target.changes.changed() => {
                self.is_current = false;
                if change.is_err() {
                    tokio::time::sleep(UNNOTIFIED_PAUSE).await;
                    self.may_share = false;
                }
            }
        }
        Ok(())
    }

    fn with_cursor(&self, error: ApiError) -> Status {
        error.with("cursor", self.target.cursor).into()
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
