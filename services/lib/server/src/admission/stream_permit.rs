//! Holds the permit of an open stream until the stream has ended, and ends a stream that is not read.

use std::time::Duration;

use frontdesk_api::deadlines::CallDeadlines;
use http::Response;
use http_body_util::BodyExt;
use tokio::{sync::oneshot, time::Instant};
use tonic::body::Body;

use super::pool::Permit;
use crate::{PeerInfo, listener::reset_at};

/// How long after a stream's end, or after an answer, the client may take to read it.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Releases the permit when the last message of the stream is sent, the client stops reading, or the client has not read the end of
/// the stream in time.
pub(super) fn hold_stream_permit(
    response: Response<Body>,
    permit: Option<Permit>,
    deadlines: CallDeadlines,
    peer: Option<PeerInfo>,
) -> Response<Body> {
    let Some(permit) = permit else { return response };
    let open = (permit, ReadDeadline::new(deadlines.stream + READ_TIMEOUT, peer, "the end of a stream"));
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            // Dropped with the body.
            let _open = &open;
            frame
        }))
    })
}

/// The time that a client has to read an answer. It is dropped with the answer's body: read by the client, or not.
pub(super) struct ReadDeadline {
    /// Its drop keeps a connection open that carries one call at a time.
    _read: Option<oneshot::Sender<()>>,
}

impl ReadDeadline {
    /// At the deadline a call of HTTP/2 is reset, and the connection of a call of HTTP/1.1 is closed.
    pub(super) fn new(deadline: Instant, peer: Option<PeerInfo>, what: &'static str) -> Self {
        let is_reset = reset_at(deadline, what);
        Self { _read: peer.filter(|_| !is_reset).map(|peer| close_unless_read(deadline, peer, what)) }
    }
}

/// Closes the connection at the deadline, unless what is returned is dropped before.
fn close_unless_read(deadline: Instant, peer: PeerInfo, what: &'static str) -> oneshot::Sender<()> {
    let (unread, read) = oneshot::channel();
    tokio::spawn(async move {
        if tokio::time::timeout_at(deadline, read).await.is_err() && !peer.close.is_cancelled() {
            tracing::warn!("closed a connection: its client does not read {what}");
            peer.close.cancel();
        }
    });
    unread
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use frontdesk_api::deadlines::StreamEndReason;
    use http_body_util::Full;

    use super::*;
    use crate::admission::pool::{Pool, Resource};

    /// Opens the only stream of the pool; it ends in ten seconds.
    fn open(pool: &Pool, peer: &PeerInfo) -> Response<Body> {
        let mut permit = pool.permit(Vec::new());
        permit.try_add(1).unwrap();
        let end = Instant::now() + Duration::from_secs(10);
        let deadlines = CallDeadlines { answer: end, stream: end, stream_end: StreamEndReason::MaxAge };
        let response = Response::new(Body::new(Full::new(Bytes::from_static(b"message"))));
        hold_stream_permit(response, Some(permit), deadlines, Some(peer.clone()))
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
}
