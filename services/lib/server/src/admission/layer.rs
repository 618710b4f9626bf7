//! The middleware before every method, in this order: overload, span and trace, authentication, rates, permission, deadlines, the
//! whole request, permits; then the handler, in a task of its own.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use frontdesk_api::{
    ApiError, FieldError,
    deadlines::{self, CallDeadlines},
};
use frontdesk_auth::{ACCOUNT_HEADER, Access, Caller};
use frontdesk_proto::auth::v1::Reason;
use http::{HeaderMap, Request, Response, request::Parts};
use http_body_util::Full;
use tokio::time::Instant;
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};
use tracing::Instrument;

use super::{
    Admission,
    authentication::{apply_on_behalf_of, authenticate},
    concurrency::{CallPermit, StreamPermit},
    deadlines::deadlines,
    request_body::read_unary_body,
    stream_permit::hold_stream_permit,
};
use crate::PeerInfo;

/// How long a request may take to arrive.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Puts [`Admission`] before every service of a server.
#[derive(Clone)]
pub struct CallLayer(pub Arc<Admission>);

impl<S> Layer<S> for CallLayer {
    type Service = CallService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CallService { admission: self.0.clone(), inner }
    }
}

/// A service whose calls are admitted first.
#[derive(Clone)]
pub struct CallService<S> {
    admission: Arc<Admission>,
    inner: S,
}

/// A refused call.
struct Rejection {
    status: Status,
    /// The caller, when the refusal belongs in the audit log.
    audited: Option<Caller>,
}

impl From<ApiError> for Rejection {
    fn from(error: ApiError) -> Self {
        Self { status: error.into(), audited: None }
    }
}

/// A call that its handler may answer.
struct AdmittedCall {
    request: Request<Bytes>,
    /// The caller, when the method is audited.
    audited: Option<Caller>,
    deadlines: CallDeadlines,
    permit: CallPermit,
    /// For a method that streams.
    stream: Option<StreamPermit>,
    peer: Option<PeerInfo>,
}

impl Admission {
    /// Everything that comes before the handler.
    async fn admit(&self, access: &Access, request: Request<Body>) -> Result<AdmittedCall, Rejection> {
        let (mut head, body) = request.into_parts();
        let peer = head.extensions.get::<PeerInfo>().cloned();
        let caller = self.authorize(access, &head, peer.as_ref()).await?;
        let audited = access.audited().then(|| caller.clone());
        let deadlines = self.deadlines(&head.headers, &caller);
        // The whole body is read before a permit is taken, so that slow senders hold none.
        let body_deadline = deadlines.answer.min(Instant::now() + REQUEST_TIMEOUT);
        let body = tokio::time::timeout_at(body_deadline, read_unary_body(body)).await;
        let body = match body.unwrap_or_else(|_| Err(deadline_exceeded())) {
            Ok(body) => body,
            Err(error) => return Err(Rejection { status: error.into(), audited }),
        };
        let permit = self.limiter.acquire_call(&caller)?;
        let stream = access.streams().then(|| self.limiter.acquire_stream(&caller)).transpose()?;
        head.extensions.insert(caller);
        Ok(AdmittedCall { request: Request::from_parts(head, body), audited, deadlines, permit, stream, peer })
    }

    /// The caller, once it is authenticated, within its rates, and has the method's permission.
    async fn authorize(&self, access: &Access, head: &Parts, peer: Option<&PeerInfo>) -> Result<Caller, Rejection> {
        let mut caller = authenticate(&self.identity, &head.headers, peer).await?;
        // Before the permission, whose refusal may be recorded: callers must not fill the audit log.
        self.limiter.check_rate(&caller)?;
        access.check(&caller).map_err(|error| {
            let error = ApiError::shared(Code::PermissionDenied, Reason::NotPermitted, error)
                .with("kind", caller.kind.as_str())
                .with("permission", access.permission());
            Rejection { status: error.into(), audited: access.audited().then(|| caller.clone()) }
        })?;
        apply_on_behalf_of(&mut caller, &head.headers)?;
        Ok(caller)
    }

    fn deadlines(&self, headers: &HeaderMap, caller: &Caller) -> CallDeadlines {
        let token_ttl = caller.ends.map(|ends| ends.0.saturating_sub(self.clock.now().0));
        deadlines(headers, token_ttl.map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0))))
    }

    /// Answers a refused call, and records it first if the audit log requires that.
    async fn reject(self: Arc<Self>, rejection: Rejection, path: String, span: tracing::Span) -> Response<Body> {
        let Rejection { status, audited } = rejection;
        if let Some(caller) = audited {
            let recorded = status.clone();
            let record = async move { self.audit.record_rejection(&caller, &path, &recorded).await };
            // In a task of its own: a caller that disconnects does not prevent the record.
            let _ = tokio::spawn(record.instrument(span)).await;
        }
        status.into_http()
    }
}

impl<S> Service<Request<Body>> for CallService<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The instance that was polled ready handles the call; a clone takes its place.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        let path = request.uri().path().to_owned();
        // An overloaded process refuses before any other work. Calls with the header of services pass: whether the caller is a
        // service is verified below, and if it is not, acquiring a permit refuses the call.
        if self.admission.limiter.is_overloaded()
            && !request.headers().contains_key(ACCOUNT_HEADER)
            && self.admission.access(&path).is_some()
        {
            return Box::pin(std::future::ready(Ok(self.admission.limiter.overloaded_response())));
        }
        let span = tracing::info_span!("rpc", rpc.system.name = "grpc", rpc.method = %path.trim_start_matches('/'));
        if let Some(parent) = request.headers().get("traceparent").and_then(|value| value.to_str().ok()) {
            frontdesk_telemetry::continue_trace(&span, parent);
        }
        Box::pin(admit_and_answer(self.admission.clone(), inner, request, path, span))
    }
}

async fn admit_and_answer<S>(
    admission: Arc<Admission>,
    mut inner: S,
    request: Request<Body>,
    path: String,
    span: tracing::Span,
) -> Result<Response<Body>, Infallible>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Send + 'static,
    S::Future: Send + 'static,
{
    let Some(access) = admission.access(&path) else {
        let deadlines = deadlines(request.headers(), None);
        return Ok(answer(deadlines, inner.call(request), span).await);
    };
    let call = match admission.admit(access, request).await {
        Ok(call) => call,
        Err(rejection) => return Ok(admission.clone().reject(rejection, path, span).await),
    };
    let AdmittedCall { request, audited, deadlines, permit, stream, peer } = call;
    let audit = admission.clone();
    let handler = async move {
        let response = match audited {
            None => inner.call(request.map(|body| Body::new(Full::new(body)))).await,
            Some(caller) => Ok(audit.audit.record(&caller, &path, request, |request| inner.call(request)).await),
        };
        drop(permit);
        response
    };
    let response = answer(deadlines, handler, span).await;
    Ok(hold_stream_permit(response, stream, deadlines, peer))
}

/// The handler's response, or DEADLINE_EXCEEDED. A caller that disconnects drops this future but not the handler's task: a write
/// that has begun is completed.
async fn answer(
    deadlines: CallDeadlines,
    handler: impl Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
    span: tracing::Span,
) -> Response<Body> {
    let handler = tokio::spawn(deadlines::scope(deadlines, handler).instrument(span));
    match tokio::time::timeout_at(deadlines.answer, handler).await {
        Ok(Ok(Ok(response))) => undecodable_as_invalid_argument(response),
        Ok(Ok(Err(never))) => match never {},
        Ok(Err(panic)) => Status::from(ApiError::internal(&panic)).into_http(),
        Err(_) => Status::from(deadline_exceeded()).into_http(),
    }
}

/// tonic answers a message that it cannot decode with INTERNAL without details, but the caller has to correct it: it becomes
/// INVALID_ARGUMENT. Our own errors are INTERNAL with details.
pub(super) fn undecodable_as_invalid_argument(response: Response<Body>) -> Response<Body> {
    let headers = response.headers();
    let is_internal = headers.get("grpc-status").is_some_and(|status| status == "13");
    if !is_internal || headers.contains_key("grpc-status-details-bin") {
        return response;
    }
    let remedy = "must be one message of the method's request type; generate your stubs again from the protos";
    Status::from(ApiError::fields(vec![FieldError::new("request", remedy)])).into_http()
}

/// The caller's deadline passed, or ours, or that of the request's arrival.
fn deadline_exceeded() -> ApiError {
    let message =
        "the deadline passed before the answer; the call may still take effect, so repeat it with the same request_id";
    ApiError::shared(Code::DeadlineExceeded, Reason::DeadlineExceeded, message)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use frontdesk_audit::AuditLog;
    use frontdesk_auth::{AccessMap, DevelopmentKey, Identity};
    use frontdesk_clock::Clock;

    use super::*;
    use crate::{AuditLayer, LimitSettings};

    fn layer(folder: &tempfile::TempDir) -> CallLayer {
        let clock = Clock::system();
        let keys = DevelopmentKey::load_or_create(&folder.path().join("key"), &clock).unwrap();
        let access = AccessMap::try_new(frontdesk_proto::DESCRIPTORS).unwrap();
        let audit = AuditLayer::try_new(AuditLog::default(), frontdesk_proto::DESCRIPTORS).unwrap();
        let limits = LimitSettings::default();
        CallLayer(Arc::new(Admission::new(Identity::from_development_key(&keys), access, audit, &limits, &clock)))
    }

    /// A call of a method that declares no permission: it passes only what applies to every call.
    fn call() -> Request<Body> {
        Request::builder().uri("/test.Service/Method").header("grpc-timeout", "200m").body(Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn r3_a_handler_completes_when_its_caller_disconnects() {
        let folder = tempfile::tempdir().unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let handler = done.clone();
        let mut service = layer(&folder).layer(tower::service_fn(move |_: Request<Body>| {
            let done = handler.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(50)).await;
                done.store(true, Ordering::SeqCst);
                Ok::<_, Infallible>(Response::new(Body::empty()))
            }
        }));
        let disconnected = tokio::time::timeout(Duration::from_millis(5), service.call(call())).await;
        assert!(disconnected.is_err() && !done.load(Ordering::SeqCst));
        tokio::time::sleep(Duration::from_millis(150)).await;
        assert!(done.load(Ordering::SeqCst), "the handler completes");
    }

    #[tokio::test]
    async fn i22_late_handlers_and_panics_are_answered_with_their_codes() {
        let folder = tempfile::tempdir().unwrap();
        let late = tower::service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Body>, Infallible>>());
        let answer = layer(&folder).layer(late).call(call()).await.unwrap();
        assert_eq!(answer.headers()["grpc-status"], "4", "DEADLINE_EXCEEDED");
        async fn bug(_: Request<Body>) -> Result<Response<Body>, Infallible> {
            panic!("a bug")
        }
        let answer = layer(&folder).layer(tower::service_fn(bug)).call(call()).await.unwrap();
        assert_eq!(answer.headers()["grpc-status"], "13", "INTERNAL");
        assert!(!format!("{:?}", answer.headers()).contains("a bug"), "the panic's message does not reach the caller");
    }
}
