//! Reads the one message of a unary request or of a request that opens a stream.

use bytes::{Bytes, BytesMut};
use frontdesk_api::{ApiError, FieldError};
use http_body_util::BodyExt;
use tonic::body::Body;

use super::{
    limiter::{Limiter, SMALL_MESSAGE},
    pool::Permit,
};

/// Maximum size of a request message in bytes: far more than the longest message with every field.
const MAX_REQUEST_SIZE: usize = 1024 * 1024;
/// Size of the prefix of a gRPC message in bytes: whether it is compressed, and its length.
pub(super) const PREFIX_SIZE: usize = 5;

/// How large a request may be.
pub(super) enum RequestLimit<'a> {
    /// This number of bytes.
    Size(usize),
    /// 1 MiB, and what its callers may be sending; the permit counts the bytes that arrived.
    Memory(&'a Limiter, Permit),
}

/// A request that has arrived.
#[derive(Debug)]
pub(super) struct RequestBody {
    /// The message with its prefix.
    pub(super) bytes: Bytes,
    /// The room that a large one takes until it has a permit.
    pub(super) _memory: Option<Permit>,
}

impl RequestLimit<'_> {
    fn max_size(&self) -> usize {
        match self {
            Self::Size(size) => *size,
            Self::Memory(..) => MAX_REQUEST_SIZE,
        }
    }

    fn max_size_text(&self) -> String {
        match self {
            Self::Size(size) => format!("{size} bytes"),
            Self::Memory(..) => "1 MiB".to_owned(),
        }
    }

    /// Counts the bytes that arrived, once they are many.
    fn hold(&mut self, arrived: usize) -> Result<(), ApiError> {
        match self {
            Self::Memory(limiter, permit) if arrived > SMALL_MESSAGE => {
                limiter.hold(permit, arrived.saturating_sub(permit.units()))
            }
            _ => Ok(()),
        }
    }

    fn into_permit(self) -> Option<Permit> {
        match self {
            Self::Size(_) => None,
            Self::Memory(_, permit) => Some(permit),
        }
    }
}

/// Reads the message. Fails with INVALID_ARGUMENT as soon as it is too large, not one message, or broken off, and with
/// RESOURCE_EXHAUSTED when large messages take too much memory.
pub(super) async fn read_unary_body(mut body: Body, mut limit: RequestLimit<'_>) -> Result<RequestBody, ApiError> {
    let invalid = |description: &str| Err(ApiError::fields(vec![FieldError::new("request", description)]));
    let mut bytes = BytesMut::new();
    loop {
        let prefix = bytes.first_chunk::<PREFIX_SIZE>();
        let length = prefix.map_or(0, |&[_, a, b, c, d]| u32::from_be_bytes([a, b, c, d]) as usize);
        if length > limit.max_size() {
            return invalid(&format!("must be at most {}", limit.max_size_text()));
        }
        // The audit record of a request must be of the message that the handler decodes.
        if bytes.len() >= PREFIX_SIZE && bytes.len() > PREFIX_SIZE + length {
            return invalid("must be one message");
        }
        match body.frame().await {
            None => return Ok(RequestBody { bytes: bytes.freeze(), _memory: limit.into_permit() }),
            Some(Err(_)) => return invalid("must be whole"),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    limit.hold(bytes.len() + data.len())?;
                    bytes.extend_from_slice(&data);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use frontdesk_auth::{Caller, CallerKind};
    use futures::{StreamExt, stream};
    use http_body_util::{Full, StreamBody};
    use tonic::Status;

    use super::*;
    use crate::{LimitSettings, PeerInfo};

    /// A body that arrives in these pieces, and then breaks off or, with None, does not end.
    async fn body(pieces: &[&'static [u8]], end: Option<Status>) -> Body {
        let mut frames = Vec::new();
        for piece in pieces {
            let frame = Full::new(Bytes::from_static(piece)).frame().await.unwrap();
            frames.push(frame.map_err(|never| match never {}));
        }
        match end {
            Some(error) => Body::new(StreamBody::new(stream::iter(frames).chain(stream::iter([Err(error)])))),
            None => Body::new(StreamBody::new(stream::iter(frames).chain(stream::pending()))),
        }
    }

    fn visitor() -> Caller {
        Caller { kind: CallerKind::Visitor, ..Caller::service("") }
    }

    #[tokio::test]
    async fn a_request_is_one_message_of_at_most_1_mib() {
        let message = Bytes::from_static(b"\0\0\0\0\x03abc");
        let limiter = Limiter::new(&LimitSettings::default());
        let limit = || RequestLimit::Memory(&limiter, limiter.request_permit(&visitor(), None));
        assert_eq!(read_unary_body(Body::new(Full::new(message.clone())), limit()).await.unwrap().bytes, message);
        for (pieces, end, description) in [
            (&[&b"\0\0\x10"[..], b"\0\x01"][..], None, "must be at most 1 MiB"),
            (&[b"\0\0\0\0\x03ab", b"cd"], None, "must be one message"),
            (&[b"\0\0\0\0\x03ab"], Some(Status::cancelled("reset")), "must be whole"),
        ] {
            let error = Status::from(read_unary_body(body(pieces, end).await, limit()).await.unwrap_err());
            assert!(error.message().contains(description), "{error:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn s4_a_request_is_counted_by_what_has_arrived_of_it() {
        const LARGE: &[u8] = &[0; 100 * 1024];
        let limiter = Limiter::new(&LimitSettings::default());
        let mut unfinished = Vec::new();
        let mut send = async |pieces: &[&'static [u8]]| {
            let permit = limiter.request_permit(&visitor(), Some(&PeerInfo::default()));
            let read = read_unary_body(body(pieces, None).await, RequestLimit::Memory(&limiter, permit));
            let mut read = Box::pin(read);
            let refused = futures::poll!(&mut read);
            unfinished.push(read);
            match refused {
                Poll::Ready(refused) => Some(Status::from(refused.unwrap_err())),
                Poll::Pending => None,
            }
        };
        // They announce 1 MiB.
        for _ in 0..200 {
            assert!(send(&[b"\0\0\x10\0\0"]).await.is_none(), "nothing of it has arrived");
        }
        for _ in 0..20 {
            assert!(send(&[b"\0\0\x10\0\0", LARGE]).await.is_none());
        }
        let refused = send(&[b"\0\0\x10\0\0", LARGE]).await.unwrap();
        assert!(refused.message().starts_with("your maximum of 2097152 bytes of large requests"), "{refused:?}");
    }
}
