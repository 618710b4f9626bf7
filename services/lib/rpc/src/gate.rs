//! The gate: what happens to every call before a handler sees it, in this order: is there room, span and trace, who calls, how
//! often, may they, by when, the whole request, a place, and then the handler in a task of its own.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use frontdesk_auth::{
    ACCOUNT_HEADER, ACTOR_HEADER, Access, AccessMap, AccountId, Actor, Caller, Identity, Kind, TokenError,
};
use frontdesk_clock::Clock;
use frontdesk_proto::auth::v1::Reason;
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use percent_encoding::percent_decode_str;
use tokio::time::Instant;
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    Audited, ConnectedBy, Field, LimitSettings, Refusal,
    deadline::{self, Bounds},
    limits::{Limits, Place},
    open_stream::held,
    request::whole,
};

/// A request has so long to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(5);

/// What the gate knows.
pub struct Gate {
    identity: Identity,
    access: AccessMap,
    audited: Audited,
    clock: Clock,
    pub(crate) limits: Limits,
}

/// A call that is not let through; and who may not make it, where the method's calls are recorded.
struct Refused {
    status: Status,
    recorded: Option<Caller>,
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        Self { status, recorded: None }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Status::from(refusal).into()
    }
}

impl Gate {
    /// A gate that accepts whom `identity` knows, lets through what `access` declares and no more than `limits` allow, and records
    /// in `audited` what is to be recorded.
    pub fn new(identity: Identity, access: AccessMap, audited: Audited, limits: &LimitSettings, clock: &Clock) -> Self {
        Self { identity, access, audited, clock: clock.clone(), limits: Limits::new(limits) }
    }

    /// What the method declares. None: anybody may call it, or there is no such method, which the router says.
    fn access(&self, path: &str) -> Option<&Access> {
        if path.starts_with("/grpc.health.v1.") || path.starts_with("/grpc.reflection.") {
            return None;
        }
        self.access.of(path)
    }

    async fn admit(
        &self,
        access: &Access,
        headers: &HeaderMap,
        connected: Option<&ConnectedBy>,
    ) -> Result<Caller, Refused> {
        let mut caller = self.authenticate(headers, connected).await?;
        // Before the refusal that may be recorded: nobody fills the audit trail.
        self.limits.rate(&caller)?;
        access.check(&caller).map_err(|error| {
            let refusal = Refusal::shared(Code::PermissionDenied, Reason::NotPermitted, error)
                .with("kind", caller.kind.as_str())
                .with("permission", access.permission());
            Refused { status: refusal.into(), recorded: access.audited().then(|| caller.clone()) }
        })?;
        if caller.kind == Kind::Service {
            on_behalf(&mut caller, headers).map_err(unauthenticated)?;
        }
        Ok(caller)
    }

    /// The places that a call takes: one while it is worked on, and one while a stream that it opens is open.
    fn places(&self, access: &Access, caller: &Caller) -> Result<(Place, Option<Place>), Refusal> {
        let call = if caller.kind == Kind::Service { self.limits.nested_call() } else { self.limits.call()? };
        Ok((call, access.streams().then(|| self.limits.stream(caller)).transpose()?))
    }

    async fn authenticate(&self, headers: &HeaderMap, connected: Option<&ConnectedBy>) -> Result<Caller, Status> {
        let Some(token) = headers.get(http::header::AUTHORIZATION) else {
            let service = connected.and_then(|connected| connected.service.as_deref());
            return service
                .map(Caller::service)
                .ok_or_else(|| unauthenticated("send a token in the metadata: authorization: Bearer <token>"));
        };
        let token = token
            .to_str()
            .ok()
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .ok_or_else(|| unauthenticated("the authorization metadata must be: Bearer <token>"))?
            .1;
        self.identity.authenticate(token.trim()).await.map_err(|error| match error {
            TokenError::Invalid(_) => unauthenticated(&error.to_string()),
            TokenError::Unavailable(_) => {
                tracing::warn!(%error, "a token cannot be checked");
                Refusal::unavailable("who you are cannot be checked now; try again").into()
            }
        })
    }

    /// By when the caller must be answered, and until when a stream that they open may stay open.
    fn bounds(&self, headers: &HeaderMap, caller: &Caller) -> Bounds {
        let left = caller.ends.map(|ends| ends.0.saturating_sub(self.clock.now().0));
        Bounds::of(headers, left.map(|left| Duration::from_micros(u64::try_from(left).unwrap_or(0))))
    }

    /// The refusal; recorded first, where it is to be.
    async fn refuse(self: Arc<Self>, refused: Refused, path: String, span: tracing::Span) -> Response<Body> {
        let Refused { status, recorded } = refused;
        if let Some(caller) = recorded {
            let kept = status.clone();
            let kept = async move { self.audited.refused(&caller, &path, &kept).await };
            // Also of a caller who hangs up at once.
            let _ = tokio::spawn(kept.instrument(span)).await;
        }
        status.into_http()
    }
}

fn unauthenticated(message: &str) -> Status {
    Refusal::shared(Code::Unauthenticated, Reason::NotAuthenticated, message).into()
}

/// A service says for whom it acts; what anybody else says there is not read (rule S5).
fn on_behalf(caller: &mut Caller, headers: &HeaderMap) -> Result<(), &'static str> {
    if let Some(account) = headers.get(ACCOUNT_HEADER) {
        let account = account.to_str().ok().and_then(|text| text.parse::<Uuid>().ok());
        caller.account = AccountId(account.ok_or("x-frontdesk-account must be a UUID")?);
    }
    if let Some(actor) = headers.get(ACTOR_HEADER) {
        let actor =
            actor.to_str().ok().and_then(|text| percent_decode_str(text).decode_utf8().ok()?.parse::<Actor>().ok());
        caller.actor = actor.ok_or("x-frontdesk-actor must be kind:id")?;
    }
    Ok(())
}

/// Bytes that are no message are the caller's fault; the transport calls that INTERNAL, without details, which ours always
/// have.
pub(crate) fn blame(response: Response<Body>) -> Response<Body> {
    let headers = response.headers();
    let internal = headers.get("grpc-status").is_some_and(|status| status == "13");
    if !internal || headers.contains_key("grpc-status-details-bin") {
        return response;
    }
    let remedy = "must be one message of the method's request type; make your stubs anew from the protos";
    Status::from(Refusal::fields(vec![Field::new("request", remedy)])).into_http()
}

/// Puts the gate before every service of a server.
#[derive(Clone)]
pub struct GateLayer(pub Arc<Gate>);

impl<S> Layer<S> for GateLayer {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Gated { gate: self.0.clone(), inner }
    }
}

/// A service behind the gate.
#[derive(Clone)]
pub struct Gated<S> {
    gate: Arc<Gate>,
    inner: S,
}

impl<S> Service<Request<Body>> for Gated<S>
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
        // The one that was polled ready is used, a fresh clone takes its place.
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        let path = request.uri().path().to_owned();
        // Before anything else is done: a refusal must cost next to nothing. Who says that others wait for the call is believed
        // once they are known as a service.
        if self.gate.limits.is_full()
            && !request.headers().contains_key(ACCOUNT_HEADER)
            && self.gate.access(&path).is_some()
        {
            return Box::pin(std::future::ready(Ok(self.gate.limits.full())));
        }
        let span = tracing::info_span!("rpc", rpc.system.name = "grpc", rpc.method = %path.trim_start_matches('/'));
        if let Some(parent) = request.headers().get("traceparent").and_then(|value| value.to_str().ok()) {
            frontdesk_telemetry::continue_trace(&span, parent);
        }
        let gate = self.gate.clone();
        Box::pin(async move {
            let Some(access) = gate.access(&path) else {
                let bounds = Bounds::of(request.headers(), None);
                return Ok(answered(bounds, inner.call(request), span).await);
            };
            let connected = request.extensions().get::<ConnectedBy>().cloned();
            let caller = match gate.admit(access, request.headers(), connected.as_ref()).await {
                Ok(caller) => caller,
                Err(refused) => return Ok(gate.clone().refuse(refused, path, span).await),
            };
            let recorded = access.audited().then(|| caller.clone());
            let bounds = gate.bounds(request.headers(), &caller);
            // No place is taken, and nothing begins, before all of the request is there: who sends it slowly keeps nobody waiting.
            let (head, body) = request.into_parts();
            let arrives_by = bounds.answer_by.min(Instant::now() + ARRIVES_WITHIN);
            let body = match tokio::time::timeout_at(arrives_by, whole(body)).await.unwrap_or_else(|_| Err(late())) {
                Ok(body) => body,
                Err(refusal) => {
                    let refused = Refused { status: refusal.into(), recorded };
                    return Ok(gate.clone().refuse(refused, path, span).await);
                }
            };
            let (place, stream) = match gate.places(access, &caller) {
                Ok(places) => places,
                Err(refusal) => return Ok(Status::from(refusal).into_http()),
            };
            let mut request = Request::from_parts(head, body);
            request.extensions_mut().insert(caller);
            let (audit, path) = (gate.clone(), path.clone());
            let call = async move {
                let response = match recorded {
                    None => inner.call(request.map(|body| Body::new(Full::new(body)))).await,
                    Some(caller) => {
                        Ok(audit.audited.record(&caller, &path, request, |request| inner.call(request)).await)
                    }
                };
                drop(place);
                response
            };
            let response = answered(bounds, call, span).await;
            Ok(held(response, stream, bounds, connected))
        })
    }
}

/// Answers within the bounds. A caller who hangs up drops this future, but not the call: a write that began comes to its end.
async fn answered(
    bounds: Bounds,
    call: impl Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
    span: tracing::Span,
) -> Response<Body> {
    let handler = tokio::spawn(deadline::within(bounds, call).instrument(span));
    match tokio::time::timeout_at(bounds.answer_by, handler).await {
        Ok(Ok(Ok(response))) => blame(response),
        Ok(Ok(Err(never))) => match never {},
        Ok(Err(panic)) => Status::from(Refusal::internal(&panic)).into_http(),
        Err(_) => Status::from(late()).into_http(),
    }
}

/// The deadline passed: the caller's, ours, or that of a request's arrival.
fn late() -> Refusal {
    let why =
        "the deadline passed before the answer; the call may still take effect, so repeat it with the same request_id";
    Refusal::shared(Code::DeadlineExceeded, Reason::DeadlineExceeded, why)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use frontdesk_audit::Trail;
    use frontdesk_auth::Keys;

    use super::*;

    fn gate(folder: &tempfile::TempDir) -> GateLayer {
        let clock = Clock::system();
        let keys = Keys::development(&folder.path().join("key"), &clock).unwrap();
        let access = AccessMap::try_new(frontdesk_proto::DESCRIPTORS).unwrap();
        let audited = Audited::try_new(Trail::default(), frontdesk_proto::DESCRIPTORS).unwrap();
        GateLayer(Arc::new(Gate::new(Identity::development(&keys), access, audited, &LimitSettings::default(), &clock)))
    }

    /// A call of a method that declares nothing, so that only what the gate does to every call is seen.
    fn call() -> Request<Body> {
        Request::builder().uri("/test.Service/Method").header("grpc-timeout", "200m").body(Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn r3_a_handler_outlives_a_caller_who_hangs_up() {
        let folder = tempfile::tempdir().unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let handler = done.clone();
        let mut service = gate(&folder).layer(tower::service_fn(move |_: Request<Body>| {
            let done = handler.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(50)).await;
                done.store(true, Ordering::SeqCst);
                Ok::<_, Infallible>(Response::new(Body::empty()))
            }
        }));
        let hung_up = tokio::time::timeout(Duration::from_millis(5), service.call(call())).await;
        assert!(hung_up.is_err() && !done.load(Ordering::SeqCst));
        tokio::time::sleep(Duration::from_millis(150)).await;
        assert!(done.load(Ordering::SeqCst), "what began comes to its end");
    }

    #[tokio::test]
    async fn i22_lateness_and_panics_are_answered_as_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let late = tower::service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Body>, Infallible>>());
        let answer = gate(&folder).layer(late).call(call()).await.unwrap();
        assert_eq!(answer.headers()["grpc-status"], "4", "DEADLINE_EXCEEDED");
        async fn bug(_: Request<Body>) -> Result<Response<Body>, Infallible> {
            panic!("a bug")
        }
        let answer = gate(&folder).layer(tower::service_fn(bug)).call(call()).await.unwrap();
        assert_eq!(answer.headers()["grpc-status"], "13", "INTERNAL");
        assert!(!format!("{:?}", answer.headers()).contains("a bug"), "the caller is not told our insides");
    }
}
