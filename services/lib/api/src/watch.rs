//! Live streams: the items after a cursor, then new ones as they come. Change notifications say when to read again; the
//! database says what. A stream that has caught up takes what the topic's feed reads for all its streams. A silent stream reads
//! nothing: a service in which notifications can be lost looks for changes of all its topics together, and notifies.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use frontdesk_proto::error::v1::Reason;
use futures::{Stream, StreamExt, stream};
use prost::Message;
use tokio::{
    sync::{broadcast, watch},
    time::{Instant, Sleep},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{
    ApiError,
    deadlines::{self, StreamEndReason},
    shared_reads::{Batch, Items, SharedReads},
    slow_reader::{SlowReader, Watched},
};

/// Interval of silence after which a stream sends a heartbeat.
pub(crate) const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(20);

/// The responses that all watches have beside their items.
pub struct CommonUpdates<T> {
    /// All items that existed at the start have been sent.
    pub caught_up: T,
    /// The stream is alive.
    pub heartbeat: T,
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
    /// What it sends once, after all items that existed at the start. None: nothing.
    pub state: Option<T>,
    /// What it sends from then on whenever it comes: state of the topic that is no item. None: nothing.
    pub changing_state: Option<ChangingState<T>>,
    /// Signals of the topic, sent as they come: the client may miss one, and none is repeated.
    pub signals: Signals<T>,
}

/// The states of a topic, one after the other: each replaces the one before.
pub type ChangingState<T> = Pin<Box<dyn Stream<Item = T> + Send>>;

/// The response for a signal. None: it is not for this stream.
pub type SignalResponse<T> = Box<dyn Fn(&[u8]) -> Option<T> + Send + Sync>;

/// Signals of a topic.
pub struct Signals<T> {
    /// The signals.
    pub receiver: broadcast::Receiver<Bytes>,
    /// What the stream sends for each.
    pub response: SignalResponse<T>,
}

/// A stream of the items after the target's cursor: those that exist, then [`CommonUpdates::caught_up`], then new ones as they
/// come, with a [`CommonUpdates::heartbeat`] after 20 seconds of silence. `read` returns the next few items after a sequence
/// number, and the state of the topic if it has one; the result must be the same for every client of the topic. An item is sent only
/// when the client has room, so a slow client holds at most the result of one read in memory.
///
/// The stream ends with an error when this replica shuts down, when the caller's token or deadline expires, at its maximum age, and
/// when the client reads it again after a pause that was too long; its metadata has the cursor from which the client resumes.
pub fn watch_stream<T, R, F>(
    target: WatchTarget<T>,
    shutdown: CancellationToken,
    read: R,
) -> impl Stream<Item = Result<T, Status>> + Send
where
    T: Message + Clone + PartialEq + 'static,
    R: Fn(i64) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Items<T>, Status>> + Send + 'static,
{
    let reader = SlowReader::default();
    // Boxed, because it is moved for each item.
    let watch = Box::new(Watch {
        target,
        batch: Arc::default(),
        sent: 0,
        shutdown: Box::pin(shutdown.cancelled_owned()),
        timer: Box::pin(tokio::time::sleep(HEARTBEAT_INTERVAL)),
        read: Arc::new(read),
        feed: None,
        is_current: false,
        caught_up: false,
        read_state: None,
        is_state_sent: true,
        last_sent: Instant::now(),
        end: deadlines::stream_end(),
        reader: reader.clone(),
        ended: false,
    });
    let items = stream::unfold(watch, |mut watch| async move {
        let item = watch.next().await?;
        watch.ended = item.is_err();
        watch.last_sent = Instant::now();
        Some((item, watch))
    });
    Watched::new(items, reader)
}

impl<T> Signals<T> {
    /// The response for the next signal. None: it is not for this stream, or some were missed.
    async fn next(&mut self) -> Option<T> {
        match self.receiver.recv().await {
            Ok(signal) => (self.response)(&signal),
            Err(broadcast::error::RecvError::Lagged(_)) => None,
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// The next state. Never, where there is none.
async fn next_state<T>(states: &mut Option<ChangingState<T>>) -> T {
    if let Some(next) = states {
        if let Some(state) = next.next().await {
            return state;
        }
        *states = None;
    }
    std::future::pending().await
}

/// Why a stream ends when this replica shuts down.
pub(crate) fn stopping() -> ApiError {
    let message = "this replica is stopping; call again with the last number or cursor that you received";
    ApiError::shared(Code::Unavailable, Reason::ShuttingDown, message)
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
    read: Arc<R>,
    /// What the topic's feed reads. None: the stream has not caught up yet, or the feed has ended.
    feed: Option<watch::Receiver<Batch<T>>>,
    /// Whether the batch ends with the last item that there was, and the feed has read nothing since.
    is_current: bool,
    /// Whether all items that existed at the start have been sent.
    caught_up: bool,
    /// The latest state of the topic that was read with its items.
    read_state: Option<T>,
    /// Whether it was sent, or there is none.
    is_state_sent: bool,
    last_sent: Instant,
    end: Option<(Instant, StreamEndReason)>,
    reader: SlowReader,
    ended: bool,
}

impl<R, T, F> Watch<R, T>
where
    T: Message + Clone + PartialEq + 'static,
    R: Fn(i64) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Items<T>, Status>> + Send + 'static,
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
            if let Some(error) = self.reader.error() {
                return Some(Err(self.with_cursor(error)));
            }
            if let Some((number, item)) = self.batch.items.get(self.sent) {
                self.target.cursor = *number;
                self.sent += 1;
                return Some(Ok(item.clone()));
            }
            if !self.is_current {
                if let Err(status) = self.next_batch().await {
                    return Some(Err(status));
                }
                continue;
            }
            if !std::mem::replace(&mut self.caught_up, true) {
                return Some(Ok(self.target.updates.caught_up.clone()));
            }
            if !std::mem::replace(&mut self.is_state_sent, true)
                && let Some(state) = &self.read_state
            {
                return Some(Ok(state.clone()));
            }
            if self.last_sent.elapsed() >= HEARTBEAT_INTERVAL {
                return Some(Ok(self.target.updates.heartbeat.clone()));
            }
            if let Some(state) = self.target.state.take() {
                return Some(Ok(state));
            }
            match self.wait().await {
                Ok(Some(response)) => return Some(Ok(response)),
                Ok(None) => {}
                Err(error) => return Some(Err(self.with_cursor(error))),
            }
        }
        None
    }

    /// Takes the items of the feed, or reads those that come before.
    async fn next_batch(&mut self) -> Result<(), Status> {
        let WatchTarget { id, cursor, changes, reads, .. } = &mut self.target;
        if let Some(feed) = &mut self.feed {
            let latest = feed.borrow_and_update().clone();
            if latest.after <= *cursor {
                self.sent = latest.items.first_after(*cursor);
                self.batch = latest.items;
                self.is_current = true;
                self.keep_state();
                return Ok(());
            }
        }
        // Marked as seen before the read: a commit during the read notifies again.
        let version = *changes.borrow_and_update();
        let read = reads.get_or_read(*id, *cursor, version, || (self.read)(*cursor)).await?;
        if !read.has_more || read.items.is_empty() {
            // What the feed reads from now on is not read yet.
            self.is_current = self.feed.is_some();
            let last = read.items.last().map_or(*cursor, |(number, _)| *number);
            self.feed.get_or_insert_with(|| reads.follow(*id, last, changes, &self.read));
        }
        (self.batch, self.sent) = (read, 0);
        self.keep_state();
        Ok(())
    }

    /// Keeps the state that came with the batch, to be sent if it is another one.
    fn keep_state(&mut self) {
        if let Some(state) = &self.batch.state
            && self.read_state.as_ref() != Some(state)
        {
            self.read_state = Some(state.clone());
            self.is_state_sent = false;
        }
    }

    /// Waits until it is time to read again, to send a heartbeat or to end the stream, or for a signal or a state, which it returns. Fails
    /// when this replica shuts down.
    async fn wait(&mut self) -> Result<Option<T>, ApiError> {
        let next_heartbeat = self.last_sent + HEARTBEAT_INTERVAL;
        let next = self.end.map_or(next_heartbeat, |(end, _)| end.min(next_heartbeat));
        if self.timer.is_elapsed() || self.timer.deadline() > next {
            self.timer.as_mut().reset(next);
        }
        // The stream is current, so there is a feed.
        let Some(feed) = &mut self.feed else { return Ok(None) };
        let WatchTarget { signals, changing_state, .. } = &mut self.target;
        tokio::select! {
            () = &mut self.timer => {}
            () = &mut self.shutdown => return Err(stopping()),
            change = feed.changed() => {
                self.is_current = false;
                if change.is_err() {
                    self.feed = None;
                }
            }
            signal = signals.next() => return Ok(signal),
            state = next_state(changing_state) => return Ok(Some(state)),
        }
        Ok(None)
    }

    fn with_cursor(&self, error: ApiError) -> Status {
        error.with("cursor", self.target.cursor).into()
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
