//! The gate: what happens to every call before a handler sees it, in this order: span and trace, who calls, may they, by
//! when, and then the handler in a task of its own.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use frontdesk_auth::{ACCOUNT_HEADER, ACTOR_HEADER, Access, AccessMap, AccountId, Actor, Caller, Keys, Kind};
use frontdesk_proto::auth::v1::Reason;
use http::{HeaderMap, Request, Response};
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};
use tracing::Instrument;
use uuid::Uuid;

use crate::{Audited, Field, Refusal};

/// A call without a deadline gets this one.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);
/// No call may take longer to begin its answer.
const LONGEST_DEADLINE: Duration = Duration::from_secs(60);
/// Our answer leaves before the transport gives up by itself, with a worse one.
const MARGIN: Duration = Duration::from_millis(20);

/// What the gate knows.
pub struct Gate {
    keys: Keys,
    access: AccessMap,
    audited: Audited,
}

/// A call that is not let through, and who made it, when that was known.
struct Refused {
    status: Status,
    caller: Option<Caller>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { status: refusal.into(), caller: None }
    }
}

impl Gate {
    /// A gate that accepts tokens of `keys`, lets through what `access` declares, and records in `audited` what it says.
    pub fn new(keys: Keys, access: AccessMap, audited: Audited) -> Self {
        Self { keys, access, audited }
    }

    fn admit(&self, path: &str, headers: &HeaderMap) -> Result<Option<Caller>, Refused> {
        if path.starts_with("/grpc.health.v1.") || path.starts_with("/grpc.reflection.") {
            return Ok(None);
        }
        // No such method: the router says so.
        let Some(access) = self.access.of(path) else { return Ok(None) };
        let unauthenticated =
            |message: String| Refusal::shared(Code::Unauthenticated, Reason::NotAuthenticated, message);
        let token = headers
            .get(http::header::AUTHORIZATION)
            .ok_or_else(|| unauthenticated("send a token in the metadata: authorization: Bearer <token>".into()))?;
        let token = token
            .to_str()
            .ok()
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .ok_or_else(|| unauthenticated("the authorization metadata must be: Bearer <token>".into()))?
            .1;
        let mut caller = self.keys.verify(token.trim()).map_err(|error| unauthenticated(error.to_string()))?;
        access.check(&caller).map_err(|error| {
            let refusal = Refusal::shared(Code::PermissionDenied, Reason::NotPermitted, error)
                .with("kind", caller.kind.as_str())
                .with("permission", access.permission());
            Refused { status: refusal.into(), caller: Some(caller.clone()) }
        })?;
        if caller.kind == Kind::Service {
            on_behalf(&mut caller, headers).map_err(|message| unauthenticated(message.to_owned()))?;
        }
        Ok(Some(caller))
    }
}

/// A service says for whom it acts; what anybody else says there is not read (rule S5).
fn on_behalf(caller: &mut Caller, headers: &HeaderMap) -> Result<(), &'static str> {
    if let Some(account) = headers.get(ACCOUNT_HEADER) {
        let account = account.to_str().ok().and_then(|text| text.parse::<Uuid>().ok());
        caller.account = AccountId(account.ok_or("x-frontdesk-account must be a UUID")?);
    }
    if let Some(actor) = headers.get(ACTOR_HEADER) {
        let actor = actor.to_str().ok().and_then(|text| text.parse::<Actor>().ok());
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

/// `grpc-timeout`: up to eight digits and a unit.
fn deadline(headers: &HeaderMap) -> Duration {
    let asked = headers.get("grpc-timeout").and_then(|value| value.to_str().ok()).and_then(|text| {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let number: u64 = number.parse().ok()?;
        Some(match unit {
            "H" => Duration::from_secs(number.saturating_mul(3600)),
            "M" => Duration::from_secs(number.saturating_mul(60)),
            "S" => Duration::from_secs(number),
            "m" => Duration::from_millis(number),
            "u" => Duration::from_micros(number),
            "n" => Duration::from_nanos(number),
            _ => return None,
        })
    });
    asked.map_or(DEFAULT_DEADLINE, |asked| asked.min(LONGEST_DEADLINE).saturating_sub(MARGIN))
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

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // The one that was polled ready is used, a fresh clone takes its place.
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        let path = request.uri().path().to_owned();
        let span = tracing::info_span!("rpc", rpc.system.name = "grpc", rpc.method = %path.trim_start_matches('/'));
        if let Some(parent) = request.headers().get("traceparent").and_then(|value| value.to_str().ok()) {
            frontdesk_telemetry::continue_trace(&span, parent);
        }
        let (gate, is_audited) = (self.gate.clone(), self.gate.access.of(&path).is_some_and(Access::audited));
        let caller = match gate.admit(&path, request.headers()) {
            Ok(caller) => caller,
            Err(Refused { status, caller }) => {
                let answer = status.clone().into_http();
                let Some(caller) = caller.filter(|_| is_audited) else { return Box::pin(async move { Ok(answer) }) };
                // Also of a caller who hangs up at once.
                let kept = async move { gate.audited.refused(&caller, &path, &status).await };
                let kept = tokio::spawn(kept.instrument(span));
                return Box::pin(async move {
                    let _ = kept.await;
                    Ok(answer)
                });
            }
        };
        let recorded = caller.as_ref().filter(|_| is_audited).cloned();
        if let Some(caller) = caller {
            request.extensions_mut().insert(caller);
        }
        let deadline = deadline(request.headers());
        let handler = async move {
            match recorded {
                Some(caller) => Ok(gate.audited.record(&caller, &path, request, |request| inner.call(request)).await),
                None => inner.call(request).await,
            }
        };
        // A caller who hangs up drops this future, but not the task: a write that began comes to its end.
        let handler = tokio::spawn(handler.instrument(span));
        Box::pin(async move {
            Ok(match tokio::time::timeout(deadline, handler).await {
                Ok(Ok(Ok(response))) => blame(response),
                Ok(Ok(Err(never))) => match never {},
                Ok(Err(panic)) => Status::from(Refusal::internal(&panic)).into_http(),
                Err(_) => Status::from(Refusal::shared(Code::DeadlineExceeded, Reason::DeadlineExceeded,
                    "the deadline passed before the answer; the call may still take effect, so repeat it with the same request_id",
                ))
                .into_http(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use frontdesk_clock::Clock;

    use super::*;

    fn gate(folder: &tempfile::TempDir) -> GateLayer {
        let keys = Keys::development(&folder.path().join("key"), &Clock::system()).unwrap();
        let access = AccessMap::try_new(frontdesk_proto::DESCRIPTORS).unwrap();
        let audited = Audited::try_new(frontdesk_audit::Trail::default(), frontdesk_proto::DESCRIPTORS).unwrap();
        GateLayer(Arc::new(Gate::new(keys, access, audited)))
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

    #[test]
    fn deadlines_are_read_clamped_and_defaulted() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            deadline(&headers)
        };
        assert_eq!(of("2S"), Duration::from_secs(2) - MARGIN);
        assert_eq!(of("99999999H"), LONGEST_DEADLINE - MARGIN);
        for nonsense in ["S", "xS", "5", "5Y", "-1S"] {
            assert_eq!(of(nonsense), DEFAULT_DEADLINE, "{nonsense}");
        }
        assert_eq!(deadline(&HeaderMap::new()), DEFAULT_DEADLINE);
    }
}
