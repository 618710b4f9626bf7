//! The middleware before every method, in this order: overload, span and trace, authentication, rates, permission, deadlines, the
//! whole request, permits; then the handler, which is completed also when its caller disconnects.

use std::{
    convert::Infallible,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use frontdesk_api::{
    ApiError, FieldError,
    deadlines::{self, CallDeadlines},
};
use frontdesk_auth::ACCOUNT_HEADER;
use futures::FutureExt;
use http::{Request, Response};
use http_body_util::Full;
use tonic::{Status, body::Body};
use tower::{Layer, Service};
use tracing::Instrument;

use super::{
    Admission, Method,
    admit::{AdmittedCall, deadline_exceeded},
    answer_body::bound_answer,
    call_metrics::CallTimer,
    complete_on_drop::CompleteOnDrop,
    concurrency::CallPermit,
    deadlines::deadlines,
    open_methods::OpenMethod,
    stream_permit::hold_stream_permit,
    transport_errors::refuse_other_protocols,
};
use crate::PeerInfo;

/// The reason of calls that are refused before authentication.
const OVERLOADED: &str = "OVERLOADED";

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
        if let Some(response) = refuse_other_protocols(&request) {
            return Box::pin(std::future::ready(Ok(response)));
        }
        let path = request.uri().path().to_owned();
        let (limiter, metrics) = (&self.admission.limiter, &self.admission.metrics);
        let (takes_permit, is_refused) = match self.admission.method(&path) {
            Some(Method::Declared(access)) if access.streams() => (false, false),
            Some(Method::Declared(_)) => (true, limiter.is_overloaded()),
            Some(Method::Open(method)) => (false, !limiter.has_permit(method)),
            None => {
                let response = self.admission.unimplemented(&path).into_http();
                metrics.begin(None).end(response.headers());
                return Box::pin(std::future::ready(Ok(response)));
            }
        };
        let timer = metrics.begin(Some(path.as_str()));
        // An overloaded process refuses before any other work. Calls with the header of services pass: whether the caller is a
        // service is verified below, and if it is not, acquiring a permit refuses the call.
        let may_be_nested = request.headers().contains_key(ACCOUNT_HEADER);
        if is_refused && !may_be_nested {
            let response = limiter.overloaded_response();
            metrics.count_rejection(OVERLOADED);
            timer.end(response.headers());
            return Box::pin(std::future::ready(Ok(response)));
        }
        let span = tracing::info_span!("rpc", rpc.system.name = "grpc", rpc.method = %path.trim_start_matches('/'));
        if let Some(parent) = request.headers().get("traceparent").and_then(|value| value.to_str().ok()) {
            frontdesk_telemetry::continue_trace(&span, parent);
        }
        // Openings of streams take no permit of calls, nested calls are not refused, and connections without a valid token must not
        // have the calls of others refused.
        let peer = request.extensions().get::<PeerInfo>();
        let is_authenticated = peer.is_some_and(|peer| peer.is_authenticated.load(Ordering::Relaxed));
        let is_counted = takes_permit && is_authenticated && !may_be_nested;
        let arriving = is_counted.then(|| limiter.count_arriving_call());
        let call = admit_and_answer(self.admission.clone(), inner, request, path, span, timer);
        Box::pin(run_in_turn(call, arriving))
    }
}

/// Runs a call when its task is scheduled, and not at the first poll, which the task of the connection makes. Until then it counts as
/// arriving: of calls that arrive together, those beyond the limit are refused at once and not after the work of the others.
async fn run_in_turn<T>(call: impl Future<Output = T>, arriving: Option<CallPermit>) -> T {
    tokio::task::yield_now().await;
    drop(arriving);
    call.await
}

async fn admit_and_answer<S>(
    admission: Arc<Admission>,
    mut inner: S,
    request: Request<Body>,
    path: String,
    span: tracing::Span,
    timer: CallTimer,
) -> Result<Response<Body>, Infallible>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Send + 'static,
    S::Future: Send + 'static,
{
    let access = match admission.method(&path) {
        Some(Method::Declared(access)) => access,
        Some(Method::Open(method)) => return Ok(answer_open(&admission, method, inner, request, span, timer).await),
        None => return Ok(admission.unimplemented(&path).into_http()),
    };
    let call = match admission.admit(access, request).await {
        Ok(call) => call,
        Err(rejection) => {
            admission.metrics.count_rejection(rejection.error.reason());
            let response = admission.clone().reject(rejection, path, span).await;
            timer.end(response.headers());
            return Ok(response);
        }
    };
    let AdmittedCall { request, audited, deadlines, permit, stream, unread, peer } = call;
    let audit = admission.clone();
    let handler = async move {
        let Ok(response) = match audited {
            None => inner.call(request.map(|body| Body::new(Full::new(body)))).await,
            Some(caller) => Ok(audit.audit.record(&caller, &path, request, |request| inner.call(request)).await),
        };
        drop(permit);
        Ok(audit.explain_unimplemented(response, &path))
    };
    let response = answer(deadlines, handler, span).await;
    Ok(match stream {
        None => {
            let response = bound_answer(response, &admission.limiter, unread, peer);
            timer.end(response.headers());
            response
        }
        Some(permit) => hold_stream_permit(response, permit, deadlines, peer, timer),
    })
}

/// Answers a call of a method that needs no caller.
async fn answer_open<S>(
    admission: &Admission,
    method: OpenMethod,
    mut inner: S,
    request: Request<Body>,
    span: tracing::Span,
    timer: CallTimer,
) -> Response<Body>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Send + 'static,
    S::Future: Send + 'static,
{
    let deadlines = deadlines(request.headers(), None);
    let response = match admission.admit_open(method, request, deadlines).await {
        Ok(call) => {
            let (request, held) = call.split();
            match held {
                None => answer(deadlines, inner.call(request), span).await,
                // Streams write nothing, so that they need no task that completes when their client disconnects.
                Some(held) => {
                    match tokio::time::timeout_at(deadlines.answer, inner.call(request).instrument(span)).await {
                        Ok(Ok(response)) => return held.hold(response, timer),
                        Err(_) => Status::from(deadline_exceeded()).into_http(),
                    }
                }
            }
        }
        Err(error) => {
            admission.metrics.count_rejection(error.reason());
            Status::from(error).into_http()
        }
    };
    timer.end(response.headers());
    response
}

/// The handler's response, or DEADLINE_EXCEEDED. A caller that disconnects drops this future but not the handler: a write that has
/// begun is completed.
async fn answer(
    deadlines: CallDeadlines,
    handler: impl Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
    span: tracing::Span,
) -> Response<Body> {
    let handler = AssertUnwindSafe(deadlines::scope(deadlines, handler).instrument(span)).catch_unwind();
    match tokio::time::timeout_at(deadlines.answer, CompleteOnDrop::new(handler)).await {
        Ok(Ok(Ok(response))) => undecodable_as_invalid_argument(response),
        Ok(Ok(Err(never))) => match never {},
        Ok(Err(panic)) => {
            let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
            let error = format!("the handler panicked: {}", text.unwrap_or_default());
            Status::from(ApiError::internal(&error)).into_http()
        }
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
    let status = Status::from_header_map(headers);
    let error = status.and_then(|status| text_not_utf8(status.message())).unwrap_or_else(|| {
        let remedy = "must be one message of the method's request type; generate your stubs again from the protos";
        FieldError::new("request", remedy)
    });
    Status::from(ApiError::fields(vec![error])).into_http()
}

/// The field that prost could not decode because its text is not UTF-8, from prost's own words: `Message.field: Message.field: …`.
/// None: the message is another one.
fn text_not_utf8(message: &str) -> Option<FieldError> {
    let (fields, _) = message.split_once("invalid string value")?;
    let fields = fields.split(": ").filter(|part| !part.contains(' ')).filter_map(|part| part.split_once('.'));
    let path: Vec<&str> = fields.map(|(_, field)| field).collect();
    let path = if path.is_empty() { "request".to_owned() } else { path.join(".") };
    Some(FieldError::new(path, "must be text in UTF-8; encode it as such before you send it"))
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        time::Duration,
    };

    use frontdesk_audit::AuditLog;
    use frontdesk_auth::{AccessMap, DevelopmentKey, Identity};
    use frontdesk_clock::Clock;
    use http_body_util::BodyExt;

    use super::*;
    use crate::{AuditLayer, LimitSettings};

    fn layer(folder: &tempfile::TempDir) -> CallLayer {
        layer_with(folder, &LimitSettings::default())
    }

    fn layer_with(folder: &tempfile::TempDir, limits: &LimitSettings) -> CallLayer {
        let clock = Clock::system();
        let keys = DevelopmentKey::load_or_create(&folder.path().join("key"), &clock).unwrap();
        let access = AccessMap::try_new(frontdesk_proto::DESCRIPTORS).unwrap();
        let audit = AuditLayer::try_new(AuditLog::default(), frontdesk_proto::DESCRIPTORS).unwrap();
        CallLayer(Arc::new(Admission::new(Identity::from_development_key(&keys), access, audit, limits, &clock)))
    }

    /// A call of a method that needs no caller: it passes only what applies to every call.
    fn call() -> Request<Body> {
        let call = Request::post("/grpc.health.v1.Health/Check").header("content-type", "application/grpc");
        call.header("grpc-timeout", "200m").body(Body::empty()).unwrap()
    }

    #[tokio::test(start_paused = true)]
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

    #[tokio::test(start_paused = true)]
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

    const REFLECT: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    const WATCH: &str = "/grpc.health.v1.Health/Watch";

    fn request(path: &str, body: Body) -> Request<Body> {
        Request::post(path).header("content-type", "application/grpc").body(body).unwrap()
    }

    /// A stream that has sent nothing yet.
    async fn silent(_: Request<Body>) -> Result<Response<Body>, Infallible> {
        Ok(Response::new(Body::new(http_body_util::StreamBody::new(futures::stream::pending::<
            Result<http_body::Frame<bytes::Bytes>, Status>,
        >()))))
    }

    #[tokio::test(start_paused = true)]
    async fn s4_streams_of_health_and_reflection_have_permits_and_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let limits = LimitSettings { health_watches: 1, reflection_streams: 1, ..LimitSettings::default() };
        let mut service = layer_with(&folder, &limits).layer(tower::service_fn(silent));
        for (path, ends_within) in [(REFLECT, 60), (WATCH, 36 * 60)] {
            let began = tokio::time::Instant::now();
            let mut open = service.call(request(path, Body::empty())).await.unwrap().into_body();
            let refused = service.call(request(path, Body::empty())).await.unwrap();
            assert_eq!(refused.headers()["grpc-status"], "8", "{path}: RESOURCE_EXHAUSTED");
            let end = open.frame().await.unwrap().unwrap().into_trailers().unwrap();
            assert_eq!(end["grpc-status"], "14", "{path}: UNAVAILABLE");
            assert!(began.elapsed() <= Duration::from_secs(ends_within), "{path}: {:?}", began.elapsed());
            drop(open);
            tokio::task::yield_now().await;
            let next = service.call(request(path, Body::empty())).await.unwrap();
            assert!(!next.headers().contains_key("grpc-status"), "{path}: its permit is free");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn s4_requests_of_health_are_small_and_arrive_in_time() {
        let folder = tempfile::tempdir().unwrap();
        let mut service = layer(&folder).layer(tower::service_fn(silent));
        let large = [&[0, 0, 0, 0x10, 1][..], &[7; 100]].concat();
        let endless = Body::new(http_body_util::StreamBody::new(futures::stream::pending::<
            Result<http_body::Frame<bytes::Bytes>, Status>,
        >()));
        for (body, code) in [(Body::new(Full::new(large.into())), "3"), (endless, "4")] {
            let answer = service.call(request(WATCH, body)).await.unwrap();
            assert_eq!(answer.headers()["grpc-status"], code);
        }
    }

    #[test]
    fn i22_a_text_that_is_not_utf8_is_named_as_such() {
        use frontdesk_proto::conversation::v1::{SendMessageRequest, StartChatRequest};
        use prost_reflect::prost::Message;
        let message = SendMessageRequest { text: "xx".into(), ..SendMessageRequest::default() }.encode_to_vec();
        let message: Vec<u8> = message.into_iter().map(|byte| if byte == b'x' { 0xff } else { byte }).collect();
        let error = SendMessageRequest::decode(message.as_slice()).unwrap_err();
        assert_eq!(text_not_utf8(&error.to_string()).unwrap().path, "text", "{error}");
        let other = StartChatRequest::decode(&b"\xff\xff"[..]).unwrap_err();
        assert_eq!(text_not_utf8(&other.to_string()), None);
    }

    #[tokio::test]
    async fn i22_a_request_that_is_no_call_of_a_method_learns_what_is() {
        let folder = tempfile::tempdir().unwrap();
        let router = tower::service_fn(async |_: Request<Body>| Ok(Status::unimplemented("").into_http()));
        let mut service = layer(&folder).layer(router);
        for (path, words) in [
            ("/acme.v1.Shop/Buy", "there is no service \"acme.v1.Shop\" here"),
            ("/frontdesk.conversation.v1.VisitorService/Nothing", "has no method \"Nothing\"; it has "),
        ] {
            let answer = service.call(request(path, Body::empty())).await.unwrap();
            let status = Status::from_header_map(answer.headers()).unwrap();
            assert!(
                status.code() == tonic::Code::Unimplemented && status.message().contains(words),
                "{path}: {status:?}"
            );
        }
        for (method, content_type, code) in [
            ("POST", "application/json", 415),
            ("POST", "application/grpc-web-text", 415),
            ("POST", "application/grpcx", 415),
            ("GET", "application/grpc", 405),
        ] {
            let call = Request::builder().method(method).uri(WATCH).header("content-type", content_type);
            let answer = service.call(call.body(Body::empty()).unwrap()).await.unwrap();
            assert_eq!(answer.status(), code, "{method} {content_type}");
        }
    }
}
