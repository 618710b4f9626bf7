//! Holds the permit of an open stream until the stream has ended, and resets a stream that is not read.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use frontdesk_api::deadlines::{CallDeadlines, StreamEndReason};
use http::Response;
use http_body::{Frame, SizeHint};
use tokio::{sync::oneshot, time::Instant};
use tonic::{Status, body::Body};

use super::{call_metrics::CallTimer, pool::Permit};
use crate::{PeerInfo, listener::reset_when};

/// How long after a stream's end, or after an answer, the client may take to read it.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a part of a stream may wait for its client, also after the stream's end. Longer than a live stream waits: a client that reads
/// again before receives the rest and a status with the cursor. A reset has neither.
const UNREAD_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// Releases the permit, and records the duration, when the last message of the stream is sent, the client stops reading, or the client has
/// not read for too long.
pub(super) fn hold_stream_permit(
    response: Response<Body>,
    permit: Permit,
    deadlines: CallDeadlines,
    peer: Option<PeerInfo>,
    mut timer: CallTimer,
) -> Response<Body> {
    // Those of a stream that is refused have a status.
    timer.note(response.headers());
    let unread = UnreadPart::default();
    let progress = ReadProgress {
        end: deadlines.stream + READ_TIMEOUT,
        is_callers: matches!(deadlines.stream_end, StreamEndReason::Deadline),
        unread: unread.clone(),
    };
    let deadline = ReadDeadline::of_stream(progress, peer);
    response.map(|body| Body::new(StreamBody { body, unread, timer, _open: (permit, deadline) }))
}

/// Since when a part of a stream has waited for its client. None: none waits.
type UnreadPart = Arc<Mutex<Option<Instant>>>;

/// The body of an open stream.
struct StreamBody {
    body: Body,
    unread: UnreadPart,
    timer: CallTimer,
    /// Dropped with the body.
    _open: (Permit, ReadDeadline),
}

impl StreamBody {
    fn set_unread(&self, since: Option<Instant>) {
        *self.unread.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }
}

impl http_body::Body for StreamBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        // The transport asks for the next part once the client has room for the one before.
        let frame = Pin::new(&mut this.body).poll_frame(context);
        this.set_unread(frame.is_ready().then(Instant::now));
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(trailers) = frame.trailers_ref()
        {
            this.timer.note(trailers);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What a client has read of a stream.
#[derive(Clone)]
struct ReadProgress {
    /// When the stream must have been read, unless a part of it has waited since before.
    end: Instant,
    /// Whether the caller's own deadline ends the stream: nobody reads it afterwards.
    is_callers: bool,
    unread: UnreadPart,
}

impl ReadProgress {
    /// When the client must have read more, by what is known now.
    fn deadline(&self) -> Instant {
        let unread = *self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        let unread = unread.filter(|since| *since <= self.end).map_or(self.end, |since| since + UNREAD_TIMEOUT);
        if self.is_callers { unread.min(self.end) } else { unread }
    }

    /// When to look again: a part that begins to wait now is not late before. None: the client is late.
    fn next_look(&self) -> Option<Instant> {
        let (now, deadline) = (Instant::now(), self.deadline());
        (deadline > now).then(|| deadline.min(now + UNREAD_TIMEOUT))
    }
}

/// The time that a client has to read an answer. It is dropped with the answer's body: read by the client, or not.
pub(super) struct ReadDeadline {
    /// Its drop keeps a connection open that carries one call at a time.
    _read: Option<oneshot::Sender<()>>,
}

impl ReadDeadline {
    /// At the deadline a call of HTTP/2 is reset, and the connection of a call of HTTP/1.1 is closed.
    pub(super) fn new(deadline: Instant, peer: Option<PeerInfo>, what: &'static str) -> Self {
        Self::extended(deadline, || None, peer, what)
    }

    /// The same when the client is late with reading a stream.
    fn of_stream(progress: ReadProgress, peer: Option<PeerInfo>) -> Self {
        let first_look = progress.next_look().unwrap_or_else(Instant::now);
        Self::extended(first_look, move || progress.next_look(), peer, "a stream")
    }

    /// The same with a deadline that `extend` may put off when it has passed.
    fn extended(
        deadline: Instant,
        extend: impl Fn() -> Option<Instant> + Clone + Send + 'static,
        peer: Option<PeerInfo>,
        what: &'static str,
    ) -> Self {
        let is_reset = reset_when(deadline, extend.clone(), what);
        Self { _read: peer.filter(|_| !is_reset).map(|peer| close_unless_read(deadline, extend, peer, what)) }
    }
}

/// Closes the connection at the deadline, unless `extend` puts it off then or what is returned is dropped before.
fn close_unless_read(
    mut deadline: Instant,
    extend: impl Fn() -> Option<Instant> + Send + 'static,
    peer: PeerInfo,
    what: &'static str,
) -> oneshot::Sender<()> {
    let (unread, mut read) = oneshot::channel();
    tokio::spawn(async move {
        while tokio::time::timeout_at(deadline, &mut read).await.is_err() {
            if let Some(later) = extend() {
                deadline = later;
                continue;
            }
            if !peer.close.is_cancelled() {
                tracing::warn!("closed a connection: its client does not read {what}");
                peer.close.cancel();
            }
            return;
        }
    });
    unread
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt, stream};
    use http_body_util::{BodyExt, Full};

    use super::*;
    use crate::admission::{
        call_metrics::CallMetrics,
        pool::{Pool, Resource},
    };

    /// Opens the only stream of the pool; it ends in ten seconds.
    fn open(pool: &Pool, peer: &PeerInfo) -> Response<Body> {
        let mut permit = pool.permit(Vec::new());
        permit.try_add(1).unwrap();
        let end = Instant::now() + Duration::from_secs(10);
        let deadlines = CallDeadlines { answer: end, stream: end, stream_end: StreamEndReason::MaxAge };
        let response = Response::new(Body::new(Full::new(Bytes::from_static(b"message"))));
        hold_stream_permit(response, permit, deadlines, Some(peer.clone()), CallMetrics::new().begin(None))
    }

    #[tokio::test(start_paused = true)]
    async fn s4_a_stream_holds_its_permit_until_it_is_read_or_dropped() {
        let (pool, peer) = (Pool::new(Resource::Streams, 1), PeerInfo::default());
        let stream = open(&pool, &peer);
        assert!(pool.is_full());
        assert_eq!(stream.into_body().collect().await.unwrap().to_bytes(), "message");
        tokio::task::yield_now().await;
        drop(open(&pool, &peer));
        tokio::task::yield_now().await;
        assert!(!pool.is_full());
        assert!(!peer.close.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn s4_the_connection_of_a_stream_whose_end_is_not_read_is_closed_where_it_carries_one_call() {
        let (pool, peer) = (Pool::new(Resource::Streams, 1), PeerInfo::default());
        let (_unread, opened) = (open(&pool, &peer), Instant::now());
        peer.close.cancelled().await;
        assert_eq!(opened.elapsed(), Duration::from_secs(10) + READ_TIMEOUT);
    }

    /// A stream of two messages that ends after 30 minutes.
    fn open_long(pool: &Pool, peer: &PeerInfo) -> Body {
        let mut permit = pool.permit(Vec::new());
        permit.try_add(1).unwrap();
        let end = Instant::now() + Duration::from_secs(30 * 60);
        let deadlines = CallDeadlines { answer: end, stream: end, stream_end: StreamEndReason::MaxAge };
        let messages = stream::iter([Bytes::from_static(b"one"), Bytes::from_static(b"two")]);
        let frames = messages.map(|message| Ok::<_, Status>(Frame::data(message))).chain(stream::pending());
        let response = Response::new(Body::new(http_body_util::StreamBody::new(frames)));
        let timer = CallMetrics::new().begin(None);
        hold_stream_permit(response, permit, deadlines, Some(peer.clone()), timer).into_body()
    }

    #[tokio::test(start_paused = true)]
    async fn s4_a_part_of_a_stream_that_is_not_read_ends_it_after_a_time() {
        let (pool, peer) = (Pool::new(Resource::Streams, 1), PeerInfo::default());
        let mut body = open_long(&pool, &peer);
        tokio::time::sleep(Duration::from_secs(7)).await;
        let _part = body.frame().await.unwrap().unwrap();
        let sent = Instant::now();
        peer.close.cancelled().await;
        assert_eq!(sent.elapsed(), UNREAD_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn s4_a_stream_that_is_silent_or_read_late_stays_open() {
        let (pool, peer) = (Pool::new(Resource::Streams, 1), PeerInfo::default());
        let mut body = open_long(&pool, &peer);
        for _ in 0..2 {
            let _part = body.frame().await.unwrap().unwrap();
            tokio::time::sleep(UNREAD_TIMEOUT - Duration::from_secs(1)).await;
        }
        assert!(futures::poll!(body.frame()).is_pending());
        tokio::time::sleep(3 * UNREAD_TIMEOUT).await;
        assert!(!peer.close.is_cancelled(), "nothing waits for the client");
    }

    #[tokio::test(start_paused = true)]
    async fn s4_the_end_of_a_stream_waits_for_a_client_that_has_a_part_to_read() {
        let (pool, peer) = (Pool::new(Resource::Streams, 1), PeerInfo::default());
        let mut body = open(&pool, &peer).into_body();
        tokio::time::sleep(Duration::from_secs(9)).await;
        let _part = body.frame().await.unwrap().unwrap();
        let sent = Instant::now();
        peer.close.cancelled().await;
        assert_eq!(sent.elapsed(), UNREAD_TIMEOUT, "and not ten seconds after the end");
    }
}
