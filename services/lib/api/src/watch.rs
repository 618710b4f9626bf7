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
/// come, with a [`CommonUpdates::heartbeat`] after 20 seconds of silence. `read` returns the next few items after a sequence number; the
/// result must be the same for every client of the topic. An item is sent only when the client has room, so
/// a slow client holds at most the result of one read in memory.
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
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    };

    use futures::StreamExt;
    use tonic_types::StatusExt;

    use super::*;
    use crate::{deadlines::CallDeadlines, has_reason};

    const CAUGHT_UP: i64 = -1;
    const HEARTBEAT: i64 = -2;

    /// A topic whose items are their own numbers.
    #[derive(Clone)]
    struct Topic {
        items: Arc<Mutex<Vec<i64>>>,
        reads: Arc<AtomicUsize>,
        changes: watch::Sender<u64>,
        shared: SharedReads<i64>,
        shutdown: CancellationToken,
    }

    type Updates = Pin<Box<dyn Stream<Item = Result<i64, Status>> + Send>>;

    impl Topic {
        fn new(items: impl IntoIterator<Item = i64>) -> Self {
            Self {
                items: Arc::new(Mutex::new(items.into_iter().collect())),
                reads: Arc::default(),
                changes: watch::Sender::new(0),
                shared: SharedReads::default(),
                shutdown: CancellationToken::new(),
            }
        }

        fn append(&self, item: i64) {
            self.items.lock().unwrap().push(item);
        }

        fn notify(&self) {
            self.changes.send_modify(|version| *version += 1);
        }

        /// A stream whose reads return at most two items.
        fn watch(&self, cursor: i64) -> Updates {
            let (items, reads) = (self.items.clone(), self.reads.clone());
            let read = move |after| {
                let (items, reads) = (items.clone(), reads.clone());
                async move {
                    reads.fetch_add(1, Ordering::Relaxed);
                    let items = items.lock().unwrap();
                    let mut next = items.iter().filter(|item| **item > after).map(|item| (*item, *item));
                    Ok(Items { items: next.by_ref().take(2).collect(), has_more: next.next().is_some() })
                }
            };
            let (id, changes, reads) = (Uuid::nil(), self.changes.subscribe(), self.shared.clone());
            let updates = CommonUpdates { caught_up: CAUGHT_UP, heartbeat: HEARTBEAT };
            Box::pin(watch_stream(WatchTarget { id, cursor, changes, reads, updates }, self.shutdown.clone(), read))
        }
    }

    async fn take(stream: &mut Updates, count: usize) -> Vec<i64> {
        stream.take(count).map(Result::unwrap).collect().await
    }

    #[tokio::test(start_paused = true)]
    async fn c10_a_stream_continues_after_its_cursor_and_with_what_is_notified() {
        let topic = Topic::new(1..=5);
        let mut stream = topic.watch(1);
        assert_eq!(take(&mut stream, 5).await, [2, 3, 4, 5, CAUGHT_UP]);
        assert!(futures::poll!(stream.next()).is_pending());
        topic.append(6);
        topic.notify();
        assert_eq!(take(&mut stream, 1).await, [6]);
    }

    #[tokio::test(start_paused = true)]
    async fn c10_silent_streams_read_nothing() {
        let topic = Topic::new([1]);
        let mut stream = topic.watch(1);
        assert_eq!(take(&mut stream, 10).await, [&[CAUGHT_UP][..], &[HEARTBEAT; 9]].concat());
        assert_eq!(topic.reads.load(Ordering::Relaxed), 1);
        topic.append(2);
        topic.notify();
        assert_eq!(take(&mut stream, 2).await, [2, HEARTBEAT]);
        assert_eq!(topic.reads.load(Ordering::Relaxed), 2, "with the item it is known that there is no other");
    }

    #[tokio::test(start_paused = true)]
    async fn c10_a_silent_stream_sends_heartbeats_and_is_caught_up_once() {
        let topic = Topic::new([]);
        let mut stream = topic.watch(0);
        assert_eq!(take(&mut stream, 1).await, [CAUGHT_UP]);
        let before = Instant::now();
        assert_eq!(take(&mut stream, 2).await, [HEARTBEAT, HEARTBEAT]);
        assert_eq!(before.elapsed(), 2 * HEARTBEAT_INTERVAL);
        tokio::time::advance(HEARTBEAT_INTERVAL / 2).await;
        topic.append(1);
        topic.notify();
        assert_eq!(take(&mut stream, 1).await, [1]);
        let before = Instant::now();
        assert_eq!(take(&mut stream, 1).await, [HEARTBEAT]);
        assert_eq!(before.elapsed(), HEARTBEAT_INTERVAL, "an item breaks the silence");
    }

    #[tokio::test(start_paused = true)]
    async fn c10_streams_that_see_the_same_notification_share_a_read() {
        let topic = Topic::new(1..=2);
        let mut streams: Vec<Updates> = (0..100).map(|_| topic.watch(0)).collect();
        for stream in &mut streams {
            assert_eq!(take(stream, 2).await, [1, 2]);
        }
        assert_eq!(topic.reads.load(Ordering::Relaxed), 1);
        let _other = topic.watch(1).next().await;
        assert_eq!(topic.reads.load(Ordering::Relaxed), 2, "another cursor is another read");
    }

    #[tokio::test(start_paused = true)]
    async fn c10_a_stream_ends_with_its_reason_and_the_cursor_to_resume_from() {
        for (reason, name) in [
            (StreamEndReason::Deadline, "DEADLINE_EXCEEDED"),
            (StreamEndReason::TokenExpired, "NOT_AUTHENTICATED"),
            (StreamEndReason::MaxAge, "STREAM_AGED"),
        ] {
            let topic = Topic::new([7]);
            let end = Instant::now() + Duration::from_secs(3);
            let deadlines = CallDeadlines { answer: end, stream: end, stream_end: reason };
            let mut stream = deadlines::scope(deadlines, async { topic.watch(0) }).await;
            assert_eq!(take(&mut stream, 2).await, [7, CAUGHT_UP]);
            let status = stream.next().await.unwrap().unwrap_err();
            assert!(has_reason(&status, name), "{status:?}");
            assert_eq!(status.get_details_error_info().unwrap().metadata["cursor"], "7");
            assert_eq!(Instant::now(), end);
            assert!(stream.next().await.is_none(), "an error is the last item");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn c10_a_stream_with_a_backlog_ends_too() {
        let topic = Topic::new(1..=1_000);
        let end = Instant::now() + Duration::from_secs(3);
        let deadlines = CallDeadlines { answer: end, stream: end, stream_end: StreamEndReason::MaxAge };
        let mut stream = deadlines::scope(deadlines, async { topic.watch(0) }).await;
        assert_eq!(take(&mut stream, 3).await, [1, 2, 3]);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert!(has_reason(&stream.next().await.unwrap().unwrap_err(), "STREAM_AGED"));
    }

    #[tokio::test(start_paused = true)]
    async fn c10_a_stream_ends_when_its_replica_shuts_down() {
        let topic = Topic::new([]);
        let mut stream = topic.watch(0);
        assert_eq!(take(&mut stream, 1).await, [CAUGHT_UP]);
        topic.shutdown.cancel();
        let status = stream.next().await.unwrap().unwrap_err();
        assert!(has_reason(&status, "SHUTTING_DOWN"), "{status:?}");
        assert!(stream.next().await.is_none());
    }
}
