//! The methods that need no caller: health and reflection. Anyone may call them, so they have permits and ends of their own.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use frontdesk_api::{
    ApiError,
    deadlines::{CallDeadlines, StreamEndReason},
};
use frontdesk_proto::error::v1::Reason;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{Full, Limited};
use tokio::time::{Instant, Sleep};
use tonic::{Code, Status, body::Body};

use super::{
    Admission,
    admit::{REQUEST_TIMEOUT, deadline_exceeded},
    call_metrics::CallTimer,
    pool::Permit,
    request_body::{RequestLimit, read_unary_body},
    stream_permit::hold_stream_permit,
};
use crate::PeerInfo;

/// Maximum size of a request of the health service in bytes.
const MAX_HEALTH_REQUEST: usize = 4 * 1024;
/// Maximum number of bytes of all requests of one reflection stream.
const MAX_REFLECTION_REQUESTS: usize = 256 * 1024;
/// Maximum age of a reflection stream: tools ask for what they need in one go.
const MAX_REFLECTION_AGE: Duration = Duration::from_secs(60);

/// A method that needs no caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpenMethod {
    /// `Check` of the health service.
    CheckHealth,
    /// `Watch` of the health service.
    WatchHealth,
    /// Reflection, in each version of its protocol.
    Reflect,
}

impl OpenMethod {
    /// The method at this path. None: it is none of these.
    pub(super) fn find(path: &str) -> Option<Self> {
        match path {
            "/grpc.health.v1.Health/Check" => Some(Self::CheckHealth),
            "/grpc.health.v1.Health/Watch" => Some(Self::WatchHealth),
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
            | "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo" => Some(Self::Reflect),
            _ => None,
        }
    }
}

/// A call of an open method that its handler may answer.
pub(super) struct OpenCall {
    pub(super) request: Request<Body>,
    pub(super) deadlines: CallDeadlines,
    stream: Option<Permit>,
    peer: Option<PeerInfo>,
}

impl Admission {
    /// Reads the request, and takes a permit for a stream.
    pub(super) async fn admit_open(
        &self,
        method: OpenMethod,
        request: Request<Body>,
        mut deadlines: CallDeadlines,
    ) -> Result<OpenCall, ApiError> {
        let (head, body) = request.into_parts();
        let peer = head.extensions.get::<PeerInfo>().cloned();
        let (body, stream) = match method {
            OpenMethod::CheckHealth => (read_health_request(body, &deadlines).await?, None),
            OpenMethod::WatchHealth => {
                let body = read_health_request(body, &deadlines).await?;
                (body, Some(self.limiter.acquire_health_watch(peer.as_ref())?))
            }
            OpenMethod::Reflect => {
                let permit = self.limiter.acquire_reflection_stream(peer.as_ref())?;
                let end = Instant::now() + MAX_REFLECTION_AGE;
                if end < deadlines.stream {
                    (deadlines.stream, deadlines.stream_end) = (end, StreamEndReason::MaxAge);
                }
                // The handler reads as long as the client sends.
                let body =
                    EndingBody::new(Body::new(Limited::new(body, MAX_REFLECTION_REQUESTS)), deadlines.stream, None);
                (Body::new(body), Some(permit))
            }
        };
        Ok(OpenCall { request: Request::from_parts(head, body), deadlines, stream, peer })
    }
}

async fn read_health_request(body: Body, deadlines: &CallDeadlines) -> Result<Body, ApiError> {
    let deadline = deadlines.answer.min(Instant::now() + REQUEST_TIMEOUT);
    let read = read_unary_body(body, RequestLimit::Size(MAX_HEALTH_REQUEST));
    let read = tokio::time::timeout_at(deadline, read).await.unwrap_or_else(|_| Err(deadline_exceeded()))?;
    Ok(Body::new(Full::new(read.bytes)))
}

/// What the stream of an open call holds until it has ended.
pub(super) struct OpenStream {
    permit: Permit,
    deadlines: CallDeadlines,
    peer: Option<PeerInfo>,
}

impl OpenCall {
    /// The request, and what its stream holds. None: its answer is no stream.
    pub(super) fn split(self) -> (Request<Body>, Option<OpenStream>) {
        let Self { request, deadlines, stream, peer } = self;
        (request, stream.map(|permit| OpenStream { permit, deadlines, peer }))
    }
}

impl OpenStream {
    /// Ends the stream at its deadline, and holds its permit until then.
    pub(super) fn hold(self, response: Response<Body>, timer: CallTimer) -> Response<Body> {
        let Self { permit, deadlines, peer } = self;
        let (end, reason) = (deadlines.stream, deadlines.stream_end);
        let response = response.map(|body| Body::new(EndingBody::new(body, end, Some(reason))));
        hold_stream_permit(response, permit, deadlines, peer, timer)
    }
}

/// The trailers of a stream that ends for this reason.
fn trailers(reason: StreamEndReason) -> HeaderMap {
    let error = match reason {
        StreamEndReason::Deadline | StreamEndReason::TokenExpired => deadline_exceeded(),
        StreamEndReason::MaxAge => {
            ApiError::shared(Code::Unavailable, Reason::StreamAged, "the stream reached its maximum age; call again")
        }
    };
    let mut trailers = HeaderMap::new();
    // It fits into headers: the texts are ours.
    let _ = Status::from(error).add_header(&mut trailers);
    trailers
}

/// A body that ends at a deadline.
struct EndingBody {
    /// None: it has ended.
    body: Option<Body>,
    end: Pin<Box<Sleep>>,
    /// Why a response ends then. None: it is a request.
    reason: Option<StreamEndReason>,
}

impl EndingBody {
    fn new(body: Body, end: Instant, reason: Option<StreamEndReason>) -> Self {
        Self { body: Some(body), end: Box::pin(tokio::time::sleep_until(end)), reason }
    }
}

impl http_body::Body for EndingBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        if this.end.as_mut().poll(context).is_ready() {
            this.body = None;
            return Poll::Ready(this.reason.map(|reason| Ok(Frame::trailers(trailers(reason)))));
        }
        Pin::new(body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }
}
