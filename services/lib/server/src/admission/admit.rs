//! Admits a call or refuses it: authentication, rates, permission, deadlines, the whole request, permits.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use frontdesk_api::{ApiError, deadlines::CallDeadlines};
use frontdesk_auth::{Access, Caller, CallerKind};
use frontdesk_db::AccountState;
use frontdesk_proto::error::v1::Reason;
use http::{HeaderMap, Request, Response, request::Parts};
use tokio::time::Instant;
use tonic::{Code, Status, body::Body};
use tracing::Instrument;

use super::{
    Admission,
    authentication::{apply_on_behalf_of, authenticate},
    concurrency::CallPermit,
    deadlines::deadlines,
    pool::Permit,
    request_body::{RequestLimit, read_unary_body},
};
use crate::PeerInfo;

/// How long a request may take to arrive.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum time until it is known whether the account of a call is in use; the database answers in less, or is away.
const ACCOUNT_TIMEOUT: Duration = Duration::from_secs(1);

/// A refused call.
pub(super) struct Rejection {
    pub(super) error: ApiError,
    /// The caller, when the refusal belongs in the audit log.
    audited: Option<Caller>,
}

impl From<ApiError> for Rejection {
    fn from(error: ApiError) -> Self {
        Self { error, audited: None }
    }
}

/// A call that its handler may answer.
pub(super) struct AdmittedCall {
    pub(super) request: Request<Bytes>,
    /// The caller, when the method is audited.
    pub(super) audited: Option<Caller>,
    pub(super) deadlines: CallDeadlines,
    pub(super) permit: CallPermit,
    /// For a method that streams.
    pub(super) stream: Option<Permit>,
    /// Counts what its client has not read of the answer. None: that is not bounded.
    pub(super) unread: Option<Permit>,
    pub(super) peer: Option<PeerInfo>,
}

impl Admission {
    /// Everything that comes before the handler.
    pub(super) async fn admit(&self, access: &Access, request: Request<Body>) -> Result<AdmittedCall, Rejection> {
        let (mut head, body) = request.into_parts();
        let peer = head.extensions.get::<PeerInfo>().cloned();
        let caller = self.authorize(access, &head, peer.as_ref()).await?;
        let audited = access.audited().then(|| caller.clone());
        let deadlines = self.deadlines(&head.headers, &caller);
        if !access.serves_ended_accounts() {
            let in_use = self.check_account(&caller, head.uri.path(), deadlines.answer).await;
            in_use.map_err(|error| Rejection { error, audited: audited.clone() })?;
        }
        let unread = match &peer {
            Some(peer) if !access.streams() => self.limiter.answer_permit(&caller, peer)?,
            _ => None,
        };
        // The whole body is read before a permit is taken, so that slow senders hold none.
        let body_deadline = deadlines.answer.min(Instant::now() + REQUEST_TIMEOUT);
        let limit = RequestLimit::Memory(&self.limiter, self.limiter.request_permit(&caller, peer.as_ref()));
        let body = tokio::time::timeout_at(body_deadline, read_unary_body(body, limit)).await;
        let body = match body.unwrap_or_else(|_| Err(deadline_exceeded())) {
            Ok(body) => body,
            Err(error) => return Err(Rejection { error, audited }),
        };
        let (permit, stream) = match access.streams() {
            false => (self.limiter.acquire_call(&caller)?, None),
            true => {
                let stream = self.limiter.acquire_stream(&caller)?;
                let opening = tokio::time::timeout_at(deadlines.answer, self.limiter.acquire_opening(&caller)).await;
                (opening.map_err(|_| deadline_exceeded())??, Some(stream))
            }
        };
        head.extensions.insert(caller);
        let request = Request::from_parts(head, body.bytes);
        Ok(AdmittedCall { request, audited, deadlines, permit, stream, unread, peer })
    }

    /// The caller, once it is authenticated, within its rates, and has the method's permission.
    async fn authorize(&self, access: &Access, head: &Parts, peer: Option<&PeerInfo>) -> Result<Caller, Rejection> {
        let mut caller = authenticate(&self.identity, &self.limiter, &head.headers, peer).await?;
        // Before the permission, whose refusal may be recorded: callers must not fill the audit log.
        self.limiter.check_rate(&caller)?;
        if access.limited_by_address(&caller) {
            self.limiter.check_anonymous_visitor(peer)?;
        }
        access.check(&caller).map_err(|error| {
            let mut error = ApiError::shared(Code::PermissionDenied, Reason::NotPermitted, error)
                .with("kind", caller.kind.as_str());
            if access.lacks_permission(&caller) {
                error = error.with("permission", access.permission());
            }
            Rejection { error, audited: access.audited().then(|| caller.clone()) }
        })?;
        apply_on_behalf_of(&mut caller, &head.headers)?;
        Ok(caller)
    }

    /// Refuses a caller of an account that is suspended or has ended. Services may act for a suspended one: what began before ends, and its
    /// data is read. A database that is away delays no call beyond its deadline, nor beyond [`ACCOUNT_TIMEOUT`].
    async fn check_account(&self, caller: &Caller, path: &str, answer_by: Instant) -> Result<(), ApiError> {
        let service = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        let Some((_, db)) = self.accounts.iter().find(|(name, _)| *name == service) else { return Ok(()) };
        let until = answer_by.min(Instant::now() + ACCOUNT_TIMEOUT);
        let state = match tokio::time::timeout_at(until, db.account_state(caller.account)).await {
            Ok(state) => state.map_err(|error| ApiError::database(&error))?,
            Err(_) if until == answer_by => return Err(deadline_exceeded()),
            Err(_) => return Err(ApiError::unavailable("the database cannot be reached now; try again")),
        };
        match state {
            AccountState::Active => Ok(()),
            AccountState::Suspended if caller.kind == CallerKind::Service => Ok(()),
            AccountState::Suspended | AccountState::Ended => {
                let message = "the account is ending or has ended; an administrator finds the job with ListAccountJobs";
                Err(ApiError::shared(Code::FailedPrecondition, Reason::AccountEnded, message))
            }
        }
    }

    fn deadlines(&self, headers: &HeaderMap, caller: &Caller) -> CallDeadlines {
        let token_ttl = caller.ends.map(|ends| ends.0.saturating_sub(self.clock.now().0));
        deadlines(headers, token_ttl.map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0))))
    }

    /// Answers a refused call, and records it first if the audit log requires that.
    pub(super) async fn reject(
        self: Arc<Self>,
        rejection: Rejection,
        path: String,
        span: tracing::Span,
    ) -> Response<Body> {
        let Rejection { error, audited } = rejection;
        let status = Status::from(error);
        if let Some(caller) = audited {
            let recorded = status.clone();
            let record = async move { self.audit.record_rejection(&caller, &path, &recorded).await };
            // In a task of its own: a caller that disconnects does not prevent the record.
            let _ = tokio::spawn(record.instrument(span)).await;
        }
        status.into_http()
    }
}

/// The caller's deadline passed, or ours, or that of the request's arrival.
pub(super) fn deadline_exceeded() -> ApiError {
    let message =
        "the deadline passed before the answer; the call may still take effect, so repeat it with the same request_id";
    ApiError::shared(Code::DeadlineExceeded, Reason::DeadlineExceeded, message)
}

#[cfg(test)]
mod tests {
    use frontdesk_api::has_reason;
    use frontdesk_audit::AuditLog;
    use frontdesk_auth::{ACCOUNT_HEADER, AccessMap, Claims, DevelopmentKey, Identity};
    use frontdesk_clock::Clock;
    use frontdesk_db::{AccountId, DatabaseUrl, Db, DbSettings};
    use frontdesk_proto::conversation::v1::conversation_service_server;
    use futures::{FutureExt, StreamExt, stream};
    use http_body_util::{BodyExt, Full, StreamBody};
    use tonic_types::StatusExt;
    use tower::{Layer, Service};
    use uuid::Uuid;

    use super::*;
    use crate::{AuditLayer, CallLayer, LimitSettings};

    struct Server {
        admission: Arc<Admission>,
        key: DevelopmentKey,
        /// A method that agents may call, and that is neither audited nor a stream.
        method: String,
        /// The connection of its calls.
        peer: PeerInfo,
    }

    impl Server {
        fn new(limits: &LimitSettings) -> Self {
            let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::system());
            let key = DevelopmentKey::load_or_create(&folder.path().join("key"), &clock).unwrap();
            let access = AccessMap::try_new(frontdesk_proto::DESCRIPTORS).unwrap();
            let agent = key.verify(&token(&key, CallerKind::Agent)).unwrap();
            let is_plain = |access: &Access| !access.audited() && !access.streams() && access.check(&agent).is_ok();
            let method = access.iter().find(|(_, access)| is_plain(access)).unwrap().0.to_owned();
            let audit = AuditLayer::try_new(AuditLog::default(), frontdesk_proto::DESCRIPTORS).unwrap();
            let identity = Identity::from_development_key(&key);
            let peer = PeerInfo { address: Some([192, 0, 2, 1].into()), ..PeerInfo::default() };
            Self { admission: Arc::new(Admission::new(identity, access, audit, limits, &clock)), key, method, peer }
        }

        fn agent(&self) -> String {
            format!("Bearer {}", token(&self.key, CallerKind::Agent))
        }

        /// The status of a call with these headers; a call that is admitted is answered UNIMPLEMENTED.
        async fn call(&self, headers: &[(&str, &str)], body: Body) -> Status {
            let mut request = Request::post(self.method.as_str()).header("content-type", "application/grpc");
            request = request.extension(self.peer.clone());
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let handler = tower::service_fn(async |_: Request<Body>| Ok(Status::unimplemented("admitted").into_http()));
            let mut service = CallLayer(self.admission.clone()).layer(handler);
            let response = service.call(request.body(body).unwrap()).await.unwrap();
            Status::from_header_map(response.headers()).unwrap()
        }
    }

    fn token(key: &DevelopmentKey, kind: CallerKind) -> String {
        let account = AccountId(Uuid::from_u128(1));
        key.mint(&key.claims(account, kind, &Uuid::from_u128(2).to_string(), Duration::from_secs(60))).unwrap()
    }

    fn empty_message() -> Body {
        Body::new(Full::new(Bytes::from_static(&[0; 5])))
    }

    #[tokio::test]
    async fn s1_a_call_needs_a_caller_with_the_permission() {
        let server = Server::new(&LimitSettings::default());
        let visitor = format!("Bearer {}", token(&server.key, CallerKind::Visitor));
        for (authorization, code, reason) in [
            (None, Code::Unauthenticated, "NOT_AUTHENTICATED"),
            (Some("Basic abc"), Code::Unauthenticated, "NOT_AUTHENTICATED"),
            (Some("Bearer abc"), Code::Unauthenticated, "NOT_AUTHENTICATED"),
            (Some(visitor.as_str()), Code::PermissionDenied, "NOT_PERMITTED"),
        ] {
            let headers: Vec<_> = authorization.iter().map(|value| ("authorization", *value)).collect();
            let status = server.call(&headers, empty_message()).await;
            assert!(status.code() == code && has_reason(&status, reason), "{authorization:?}: {status:?}");
        }
        let status = server.call(&[("authorization", &server.agent())], empty_message()).await;
        assert_eq!(status.message(), "admitted");
    }

    #[tokio::test]
    async fn a_database_that_is_away_delays_a_call_by_a_second_at_most() {
        // It accepts connections and answers nothing.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = DatabaseUrl(format!("postgres://frontdesk@{}/frontdesk", silent.local_addr().unwrap()));
        let db = Db::connect(&DbSettings { url, max_connections: None }, &Clock::system()).await.unwrap();
        let mut server = Server::new(&LimitSettings::default());
        let service = conversation_service_server::SERVICE_NAME;
        let admission = Arc::into_inner(server.admission).unwrap().with_accounts(vec![(service, db)]);
        server.admission = Arc::new(admission);
        let access = AccessMap::try_new(frontdesk_proto::DESCRIPTORS).unwrap();
        let agent = server.key.verify(&token(&server.key, CallerKind::Agent)).unwrap();
        let asks = |access: &Access| {
            !access.audited() && !access.streams() && !access.serves_ended_accounts() && access.check(&agent).is_ok()
        };
        let mut methods = access.iter().filter(|(path, _)| path.trim_start_matches('/').starts_with(service));
        server.method = methods.find(|(_, access)| asks(access)).unwrap().0.to_owned();
        let authorization = server.agent();
        let began = Instant::now();
        let headers = [("authorization", authorization.as_str())];
        let away = server.call(&headers, empty_message()).await;
        assert_eq!(away.code(), Code::Unavailable, "{away:?}");
        assert!(away.get_details_retry_info().is_some(), "{away:?}");
        let late = server.call(&[headers[0], ("grpc-timeout", "200m")], empty_message()).await;
        assert_eq!(late.code(), Code::DeadlineExceeded, "{late:?}");
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn s1_two_tokens_in_one_call_are_refused() {
        let server = Server::new(&LimitSettings::default());
        let agent = server.agent();
        let status = server.call(&[("authorization", &agent), ("authorization", "Bearer abc")], empty_message()).await;
        assert!(status.code() == Code::Unauthenticated && status.message().contains("more than once"), "{status:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn s4_callers_go_on_while_their_connection_carries_tokens_that_are_not_valid() {
        let server = Server::new(&LimitSettings { invalid_token_rate: 10, ..LimitSettings::default() });
        let call = async |token: &str| {
            let authorization = format!("Bearer {token}");
            server.call(&[("authorization", &authorization)], empty_message()).await
        };
        let (known, new) = (token(&server.key, CallerKind::Agent), token(&server.key, CallerKind::Admin));
        let expired = server.key.claims(AccountId(Uuid::nil()), CallerKind::Agent, "1", Duration::from_secs(60));
        let expired = server.key.mint(&Claims { nbf: 0, exp: 1, ..expired }).unwrap();
        assert_eq!(call(&known).await.message(), "admitted");
        for _ in 0..100 {
            assert!(call(&expired).await.message().contains("expired"), "those that have expired are not counted");
        }
        let refused = async |token: &str| has_reason(&call(token).await, "RATE_LIMITED");
        let mut verified = 0;
        while !refused("invalid").await {
            verified += 1;
        }
        assert!((31..100).contains(&verified), "{verified}: a burst of three seconds, and the one that exceeds it");
        assert!(refused(&new).await, "a new token is not verified now");
        assert_eq!(call(&known).await.message(), "admitted");
        assert!(!server.peer.close.is_cancelled());
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!refused(&new).await, "it is verified now");
    }

    #[tokio::test]
    async fn s1_a_refusal_of_the_kind_names_no_permission() {
        let mut server = Server::new(&LimitSettings::default());
        let access = AccessMap::try_new(frontdesk_proto::DESCRIPTORS).unwrap();
        let visitor = server.key.verify(&token(&server.key, CallerKind::Visitor)).unwrap();
        let authorization = format!("Bearer {}", token(&server.key, CallerKind::Visitor));
        let is_refused =
            |access: &Access| !access.audited() && access.check(&visitor).is_err() && !access.permission().is_empty();
        server.method = access.iter().find(|(_, access)| is_refused(access)).unwrap().0.to_owned();
        let status = server.call(&[("authorization", &authorization)], empty_message()).await;
        let metadata = status.get_details_error_info().unwrap().metadata;
        assert_eq!(metadata.get("kind").map(String::as_str), Some("visitor"), "{status:?}");
        assert!(!metadata.contains_key("permission"), "{status:?}");
    }

    #[tokio::test]
    async fn s4_an_overloaded_process_refuses_before_authentication() {
        let server = Server::new(&LimitSettings { in_flight: 1, ..LimitSettings::default() });
        let _call = server.admission.limiter.acquire_call(&Caller::service("any")).unwrap();
        let agent = server.agent();
        let refused_first = server.call(&[], empty_message()).await;
        assert!(has_reason(&refused_first, "OVERLOADED"), "{refused_first:?}");
        let claim = (ACCOUNT_HEADER, "00000000-0000-0000-0000-000000000001");
        assert_eq!(server.call(&[claim], empty_message()).await.code(), Code::Unauthenticated);
        let not_a_service = server.call(&[claim, ("authorization", &agent)], empty_message()).await;
        assert!(has_reason(&not_a_service, "OVERLOADED"), "{not_a_service:?}");
    }

    #[tokio::test]
    async fn r17_of_calls_that_arrive_together_those_beyond_the_limit_are_refused_before_any_work() {
        let server = Server::new(&LimitSettings { in_flight: 2, ..LimitSettings::default() });
        let _call = server.admission.limiter.acquire_call(&Caller::service("any")).unwrap();
        let agent = server.agent();
        let headers = [("authorization", agent.as_str())];
        {
            let mut without_token = std::pin::pin!(server.call(&[], empty_message()));
            assert!(futures::poll!(&mut without_token).is_pending());
            assert_eq!(server.call(&headers, empty_message()).await.message(), "admitted", "it does not count");
        }
        let mut first = std::pin::pin!(server.call(&headers, empty_message()));
        assert!(futures::poll!(&mut first).is_pending(), "it waits for its turn");
        let second = server.call(&headers, empty_message()).now_or_never().expect("refused at the first poll");
        assert!(has_reason(&second, "OVERLOADED"), "{second:?}");
        assert_eq!(first.await.message(), "admitted");
    }

    #[tokio::test(start_paused = true)]
    async fn s4_a_request_that_does_not_arrive_holds_no_permit_and_ends_in_five_seconds() {
        let server = Server::new(&LimitSettings { in_flight: 1, ..LimitSettings::default() });
        let agent = server.agent();
        let byte = Full::new(Bytes::from_static(&[0])).frame().await.unwrap();
        let byte = byte.map_err(|never| -> Status { match never {} });
        let endless = Body::new(StreamBody::new(stream::iter([byte]).chain(stream::pending())));
        let began = Instant::now();
        let headers = [("authorization", agent.as_str())];
        let mut slow = std::pin::pin!(server.call(&headers, endless));
        // It gets its turn, and waits for the rest of the request.
        for _ in 0..2 {
            assert!(futures::poll!(&mut slow).is_pending());
        }
        assert_eq!(server.call(&headers, empty_message()).await.message(), "admitted");
        assert_eq!(slow.await.code(), Code::DeadlineExceeded);
        assert_eq!(began.elapsed(), REQUEST_TIMEOUT);
    }
}
