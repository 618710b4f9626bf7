//! The answer of a unary call on its way to the client: bounded in memory, and cut when the client does not read it.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::FutureExt;
use http::Response;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use tonic::{Status, body::Body};

use super::{
    limiter::Limiter,
    pool::Permit,
    stream_permit::{READ_TIMEOUT, ReadDeadline},
};
use crate::PeerInfo;

/// Size of an answer in bytes that may stay unread while its connection lives: less than what the connection itself takes.
const TINY_ANSWER: usize = 1024;
/// Maximum number of bytes that the transport gets at a time: it buffers what it gets, also of an answer that is not read.
const PIECE: usize = 16 * 1024;
/// Number of bytes per second that a client must read, once [`READ_TIMEOUT`] has passed.
const MIN_BYTES_PER_SECOND: usize = 32 * 1024;

/// Bounds an answer that waits for its client: RESOURCE_EXHAUSTED when too much is unread already, and a call that is reset when the
/// client does not read it in time. `unread`: counts what the client has not read. None: the answer is not bounded.
pub(super) fn bound_answer(
    response: Response<Body>,
    limiter: &Limiter,
    unread: Option<Permit>,
    peer: Option<PeerInfo>,
) -> Response<Body> {
    let Some(permit) = unread.filter(|_| !response.body().is_end_stream()) else { return response };
    let (head, mut rest) = response.into_parts();
    // The message of a unary call is there: the first poll encodes it.
    let frame = match rest.frame().now_or_never() {
        Some(Some(Ok(frame))) => frame,
        Some(Some(Err(status))) => return status.into_http(),
        Some(None) => return Response::from_parts(head, Body::empty()),
        None => return Response::from_parts(head, rest),
    };
    let answer = match frame.into_data() {
        Ok(message) if message.len() <= TINY_ANSWER => AnswerBody { message, trailers: None, rest, unread: None },
        Ok(message) => match limiter.hold_answer(permit, message.len()) {
            Ok(permit) => {
                AnswerBody { unread: Some(unread_answer(&message, permit, peer)), message, trailers: None, rest }
            }
            Err(error) => return Status::from(error).into_http(),
        },
        Err(trailers) => AnswerBody { message: Bytes::new(), trailers: Some(trailers), rest, unread: None },
    };
    Response::from_parts(head, Body::new(answer))
}

/// Resets the call unless its client reads this message in time.
fn unread_answer(message: &Bytes, permit: Permit, peer: Option<PeerInfo>) -> UnreadAnswer {
    let time_to_read = READ_TIMEOUT + Duration::from_secs((message.len() / MIN_BYTES_PER_SECOND) as u64);
    let deadline = tokio::time::Instant::now() + time_to_read;
    UnreadAnswer { _permit: permit, _deadline: ReadDeadline::new(deadline, peer, "an answer") }
}

/// An answer that is not read yet; dropped with the body.
struct UnreadAnswer {
    _permit: Permit,
    _deadline: ReadDeadline,
}

/// A message in pieces, and then the rest of its body.
struct AnswerBody {
    message: Bytes,
    /// A frame that is no part of the message.
    trailers: Option<Frame<Bytes>>,
    rest: Body,
    unread: Option<UnreadAnswer>,
}

impl AnswerBody {
    /// The next piece. The last byte of an answer that is watched is a piece of its own: the transport takes it once the client has
    /// room for all that comes before it, and drops the body with it.
    fn next_piece(&mut self) -> Bytes {
        let length = match self.message.len() {
            length if length > PIECE => PIECE,
            length if length > 1 && self.unread.is_some() => length - 1,
            length => length,
        };
        self.message.split_to(length)
    }
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if !this.message.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(this.next_piece()))));
        }
        match this.trailers.take() {
            Some(trailers) => Poll::Ready(Some(Ok(trailers))),
            None => Pin::new(&mut this.rest).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.message.is_empty() && self.trailers.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http_body_util::Full;
    use tokio::time::Instant;

    use super::*;
    use frontdesk_auth::{Caller, CallerKind};

    use crate::LimitSettings;

    fn limiter(unread_bytes: usize) -> Limiter {
        Limiter::new(&LimitSettings { unread_bytes, ..LimitSettings::default() })
    }

    fn answer(size: usize, limiter: &Limiter, peer: &PeerInfo) -> Response<Body> {
        let trailers = HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), "0".parse().unwrap())]);
        let body = Full::new(Bytes::from(vec![7; size])).with_trailers(std::future::ready(Some(Ok(trailers))));
        let admin = Caller { kind: CallerKind::Admin, ..Caller::service("") };
        bound_answer(
            Response::new(Body::new(body)),
            limiter,
            limiter.answer_permit(&admin, peer).unwrap(),
            Some(peer.clone()),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn s4_an_answer_arrives_whole_in_pieces_and_then_its_trailers() {
        for size in [0, 1, TINY_ANSWER, TINY_ANSWER + 1, PIECE, PIECE + 1, 10 * PIECE] {
            let (limiter, peer) = (limiter(1024 * 1024), PeerInfo::default());
            let mut body = answer(size, &limiter, &peer).into_body();
            let (mut read, mut trailers) = (Vec::new(), None);
            while let Some(frame) = body.frame().await {
                match frame.unwrap().into_data() {
                    Ok(piece) => {
                        assert!(piece.len() <= PIECE);
                        read.extend_from_slice(&piece);
                    }
                    Err(frame) => trailers = frame.into_trailers().ok(),
                }
            }
            assert!(read == vec![7; size] && trailers.unwrap()["grpc-status"] == "0", "{size}");
            drop(body);
            tokio::time::sleep(2 * READ_TIMEOUT).await;
            assert!(!peer.close.is_cancelled(), "{size}: it was read");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn s4_the_connection_of_an_answer_that_is_not_read_to_its_last_byte_is_closed_where_it_carries_one_call() {
        let (limiter, peer, began) = (limiter(1024 * 1024), PeerInfo::default(), Instant::now());
        let mut body = answer(TINY_ANSWER + 1, &limiter, &peer).into_body();
        // All but the last byte.
        let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(piece.len(), TINY_ANSWER);
        peer.close.cancelled().await;
        assert_eq!(began.elapsed(), READ_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn s4_an_answer_is_refused_while_too_much_is_unread() {
        // The account may leave 2 MiB unread.
        let (limiter, peer) = (limiter(4 * 1024 * 1024), PeerInfo::default());
        let held = answer(2 * 1024 * 1024 - 50 * 1024, &limiter, &peer);
        let refused = answer(100 * 1024, &limiter, &PeerInfo::default());
        assert_eq!(refused.headers()["grpc-status"], "8", "RESOURCE_EXHAUSTED");
        assert!(!answer(10 * 1024, &limiter, &peer).headers().contains_key("grpc-status"), "a small one has room");
        drop(held);
        assert!(!answer(100 * 1024, &limiter, &peer).headers().contains_key("grpc-status"));
    }
}
