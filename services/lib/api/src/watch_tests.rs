//! What a live stream sends, and when it ends.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use futures::StreamExt;
use tonic_types::StatusExt;

use super::*;
use crate::{deadlines::CallDeadlines, has_reason, slow_reader::MAX_POLL_INTERVAL};

const CAUGHT_UP: i64 = -1;
const HEARTBEAT: i64 = -2;

/// A topic whose items are their own numbers.
#[derive(Clone)]
struct Topic {
    items: Arc<Mutex<Vec<i64>>>,
    reads: Arc<AtomicUsize>,
    changes: watch::Sender<u64>,
    signals: broadcast::Sender<Bytes>,
    /// Sent once after the caught-up update.
    state: Option<i64>,
    /// Read with the items.
    read_state: Arc<Mutex<Option<i64>>>,
    /// Sent whenever it changes.
    changing_state: watch::Sender<i64>,
    /// Fails the reads.
    fails: Arc<AtomicBool>,
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
            signals: broadcast::Sender::new(2),
            state: None,
            read_state: Arc::default(),
            changing_state: watch::Sender::new(0),
            fails: Arc::default(),
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
        let topic = self.clone();
        let read = move |after| {
            let Self { items, reads, fails, read_state, .. } = topic.clone();
            async move {
                reads.fetch_add(1, Ordering::Relaxed);
                if fails.load(Ordering::Relaxed) {
                    return Err(Status::unavailable("the database"));
                }
                let items = items.lock().unwrap();
                let mut next = items.iter().filter(|item| **item > after).map(|item| (*item, *item));
                let state = *read_state.lock().unwrap();
                Ok(Items { items: next.by_ref().take(2).collect(), has_more: next.next().is_some(), state })
            }
        };
        let (id, changes, reads) = (Uuid::nil(), self.changes.subscribe(), self.shared.clone());
        let updates = CommonUpdates { caught_up: CAUGHT_UP, heartbeat: HEARTBEAT };
        let response = Box::new(|signal: &[u8]| signal.first().map(|byte| i64::from(*byte)));
        let signals = Signals { receiver: self.signals.subscribe(), response };
        let states = stream::unfold(self.changing_state.subscribe(), |mut states| async move {
            states.changed().await.ok()?;
            let state = *states.borrow_and_update();
            Some((state, states))
        });
        let (state, changing_state) = (self.state, Some(Box::pin(states) as ChangingState<i64>));
        let target = WatchTarget { id, cursor, changes, reads, updates, state, changing_state, signals };
        Box::pin(watch_stream(target, self.shutdown.clone(), read))
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
async fn c13_a_stream_sends_the_state_once_and_signals_as_they_come() {
    let topic = Topic { state: Some(-7), ..Topic::new([1]) };
    let mut stream = topic.watch(0);
    topic.signals.send(Bytes::from_static(&[40])).unwrap();
    assert_eq!(take(&mut stream, 4).await, [1, CAUGHT_UP, -7, 40], "after what existed at the start");
    topic.append(2);
    topic.notify();
    assert_eq!(take(&mut stream, 1).await, [2]);
    // Signals that a slow client missed are not sent, and one that is not for the stream neither.
    for signal in [41, 42, 43] {
        topic.signals.send(Bytes::from(vec![signal])).unwrap();
    }
    topic.signals.send(Bytes::new()).unwrap();
    topic.append(3);
    topic.notify();
    let next = take(&mut stream, 2).await;
    assert!(next.contains(&3) && next.contains(&43), "{next:?}");
    assert_eq!(topic.reads.load(Ordering::Relaxed), 3, "signals read nothing");
}

#[tokio::test(start_paused = true)]
async fn c10_a_stream_sends_the_latest_state_after_what_existed_at_the_start_and_whenever_it_changes() {
    let topic = Topic::new([1]);
    let mut stream = topic.watch(0);
    topic.changing_state.send_replace(-8);
    assert_eq!(take(&mut stream, 3).await, [1, CAUGHT_UP, -8]);
    topic.changing_state.send_replace(-9);
    topic.changing_state.send_replace(-10);
    assert_eq!(take(&mut stream, 1).await, [-10]);
    topic.append(2);
    topic.notify();
    assert_eq!(take(&mut stream, 2).await, [2, HEARTBEAT], "a state is sent once");
}

#[tokio::test(start_paused = true)]
async fn c10_a_stream_sends_the_state_that_is_read_with_the_items_when_it_is_another_one() {
    let topic = Topic::new([1, 2, 3]);
    *topic.read_state.lock().unwrap() = Some(-7);
    let mut streams = [topic.watch(0), topic.watch(3)];
    assert_eq!(take(&mut streams[0], 5).await, [1, 2, 3, CAUGHT_UP, -7]);
    assert_eq!(take(&mut streams[1], 2).await, [CAUGHT_UP, -7], "also where no item is read");
    topic.append(4);
    topic.notify();
    for stream in &mut streams {
        assert_eq!(take(stream, 1).await, [4]);
        assert!(futures::poll!(stream.next()).is_pending(), "the state is the same");
    }
    *topic.read_state.lock().unwrap() = Some(-8);
    topic.notify();
    for stream in &mut streams {
        assert_eq!(take(stream, 1).await, [-8], "without an item");
    }
    *topic.read_state.lock().unwrap() = Some(-9);
    topic.append(5);
    topic.notify();
    for stream in &mut streams {
        assert_eq!(take(stream, 2).await, [5, -9], "after the items");
    }
    let mut later = topic.watch(5);
    assert_eq!(take(&mut later, 3).await, [CAUGHT_UP, -9, HEARTBEAT]);
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
async fn c10_one_read_serves_all_streams_that_have_caught_up() {
    let topic = Topic::new([1]);
    let mut streams: Vec<Updates> = (0..100).map(|_| topic.watch(0)).collect();
    for stream in &mut streams {
        assert_eq!(take(stream, 2).await, [1, CAUGHT_UP]);
    }
    topic.append(2);
    topic.notify();
    for stream in &mut streams {
        assert_eq!(take(stream, 1).await, [2]);
    }
    assert_eq!(topic.reads.load(Ordering::Relaxed), 2);
    drop(streams);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(topic.shared.has_no_feed(), "no stream follows it");
}

#[tokio::test(start_paused = true)]
async fn c10_a_stream_that_is_slower_than_the_feed_misses_nothing() {
    let topic = Topic::new([1]);
    let (mut fast, mut slow) = (topic.watch(0), topic.watch(0));
    assert_eq!((take(&mut fast, 2).await, take(&mut slow, 2).await), (vec![1, CAUGHT_UP], vec![1, CAUGHT_UP]));
    for item in 2..=20 {
        topic.append(item);
        topic.notify();
        assert_eq!(take(&mut fast, 1).await, [item]);
    }
    let mut late = topic.watch(7);
    assert_eq!(take(&mut slow, 19).await, Vec::from_iter(2..=20));
    assert_eq!(take(&mut late, 14).await, [Vec::from_iter(8..=20), vec![CAUGHT_UP]].concat());
    topic.append(21);
    topic.notify();
    for stream in [&mut fast, &mut slow, &mut late] {
        assert_eq!(take(stream, 1).await, [21]);
    }
}

#[tokio::test(start_paused = true)]
async fn c10_a_failed_read_ends_the_streams_and_the_next_ones_are_served() {
    let topic = Topic::new([1]);
    let mut streams = [topic.watch(0), topic.watch(0)];
    for stream in &mut streams {
        assert_eq!(take(stream, 2).await, [1, CAUGHT_UP]);
    }
    topic.fails.store(true, Ordering::Relaxed);
    topic.append(2);
    topic.notify();
    for stream in &mut streams {
        assert_eq!(stream.next().await.unwrap().unwrap_err().code(), Code::Unavailable);
        assert!(stream.next().await.is_none());
    }
    topic.fails.store(false, Ordering::Relaxed);
    let mut stream = topic.watch(1);
    assert_eq!(take(&mut stream, 2).await, [2, CAUGHT_UP]);
    topic.append(3);
    topic.notify();
    assert_eq!(take(&mut stream, 1).await, [3]);
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
async fn c10_a_stream_that_was_not_read_ends_with_its_cursor_and_goes_on_from_there() {
    let topic = Topic::new(1..=5);
    let mut stream = topic.watch(0);
    assert_eq!(take(&mut stream, 1).await, [1]);
    tokio::time::advance(MAX_POLL_INTERVAL - Duration::from_millis(1)).await;
    assert_eq!(take(&mut stream, 1).await, [2], "it was read in time");
    tokio::time::advance(MAX_POLL_INTERVAL).await;
    let status = stream.next().await.unwrap().unwrap_err();
    assert!(status.code() == Code::Unavailable && has_reason(&status, "SLOW_READER"), "{status:?}");
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().metadata["cursor"], "2");
    assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_secs(1)));
    assert!(stream.next().await.is_none(), "an error is the last item");
    assert_eq!(take(&mut topic.watch(2), 4).await, [3, 4, 5, CAUGHT_UP]);
}

#[tokio::test(start_paused = true)]
async fn c10_a_current_stream_that_was_not_read_ends_with_its_cursor_too() {
    let topic = Topic::new([1]);
    let mut stream = topic.watch(0);
    assert_eq!(take(&mut stream, 2).await, [1, CAUGHT_UP]);
    // The transport has what was sent before, and asks for no more while the client does not read that.
    assert!(futures::poll!(stream.next()).is_pending());
    topic.append(2);
    topic.notify();
    tokio::time::advance(MAX_POLL_INTERVAL).await;
    let status = stream.next().await.unwrap().unwrap_err();
    assert!(has_reason(&status, "SLOW_READER"), "{status:?}");
    assert_eq!(status.get_details_error_info().unwrap().metadata["cursor"], "1");
    assert_eq!(take(&mut topic.watch(1), 2).await, [2, CAUGHT_UP]);
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
