//! The driver: calls the public API as clients do and records every attempt. It has one connection to each replica, uses them
//! in turn, and repeats a call with the same request id.

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use frontdesk_auth::{CallerKind, Claims, DevelopmentKey};
use frontdesk_db::AccountId;
use frontdesk_proto::dev::v1::{AdvanceTimeRequest, clock_service_client::ClockServiceClient};
use serde_json::{Value, json};
use tonic::{
    Code, Request, Response, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::{
    cluster::{Cluster, Failure, Service},
    history::{Details, Kind, Operation, Recorder},
};

/// A connection that sends a caller's token.
pub type CallerChannel = InterceptedService<Channel, Token>;

/// Adds a bearer token and a deadline to each call.
#[derive(Clone)]
pub struct Token {
    bearer: MetadataValue<Ascii>,
    deadline: Duration,
}

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.bearer.clone());
        if !self.deadline.is_zero() {
            request.set_timeout(self.deadline);
        }
        Ok(request)
    }
}

/// A caller with a token.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Id of the caller's account.
    pub account: String,
    /// Kind and id: `visitor:…`, `agent:…` or `admin:…`.
    pub actor: String,
    bearer: MetadataValue<Ascii>,
}

impl Caller {
    /// The value of the caller's `authorization` metadata.
    pub fn bearer(&self) -> &MetadataValue<Ascii> {
        &self.bearer
    }

    /// Whether the caller is a visitor.
    pub fn is_visitor(&self) -> bool {
        self.actor.starts_with("visitor:")
    }
}

/// Deadline of one attempt.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a call is repeated before it counts as unknown.
pub(crate) const RETRY_FOR: Duration = Duration::from_secs(90);

/// The connections to all replicas. Clones share them.
#[derive(Clone)]
pub struct Driver {
    channels: Arc<HashMap<Service, Vec<Channel>>>,
    web_ports: Arc<[u16]>,
    next_replica: Arc<AtomicUsize>,
    keys: DevelopmentKey,
    /// The recorder of the history.
    pub recorder: Recorder,
}

/// Outcome of a call.
#[derive(Debug)]
pub enum Outcome<T> {
    /// Acknowledged.
    Ok(T),
    /// Refused: certainly without effect.
    Refused(Status),
    /// No definite response: it may have taken effect, or may still do so.
    Unknown,
}

impl<T> Outcome<T> {
    /// The response of an acknowledged call.
    pub fn ok(self) -> Option<T> {
        match self {
            Self::Ok(response) => Some(response),
            Self::Refused(_) | Self::Unknown => None,
        }
    }
}

impl Driver {
    /// A driver for the replicas of a cluster.
    pub fn new(cluster: &Cluster, recorder: Recorder) -> Result<Self, Failure> {
        let addresses = cluster.replicas.iter().map(|replica| (replica.service, replica.address()));
        Self::to(addresses, &cluster.web_ports, cluster.keys()?, recorder)
    }

    /// A driver for processes at these addresses. Connections are made at their first use.
    pub fn to(
        addresses: impl IntoIterator<Item = (Service, String)>,
        web_ports: &[u16],
        keys: DevelopmentKey,
        recorder: Recorder,
    ) -> Result<Self, Failure> {
        let mut channels: HashMap<Service, Vec<Channel>> = HashMap::new();
        for (service, address) in addresses {
            let endpoint = Endpoint::from_shared(address)?
                .connect_timeout(Duration::from_secs(1))
                .tcp_nodelay(true)
                .http2_keep_alive_interval(Duration::from_secs(2))
                .keep_alive_timeout(Duration::from_secs(2));
            channels.entry(service).or_default().push(endpoint.connect_lazy());
        }
        let (channels, web_ports) = (Arc::new(channels), web_ports.into());
        Ok(Self { channels, web_ports, next_replica: Arc::default(), keys, recorder })
    }

    /// A caller whose token has the default claims, modified by `change`.
    pub fn caller(&self, account: Uuid, kind: CallerKind, id: &str, change: impl FnOnce(&mut Claims)) -> Caller {
        let mut claims = self.keys.claims(AccountId(account), kind, id, Duration::from_secs(25 * 24 * 3600));
        // Also valid at replicas whose clock is an hour behind.
        claims.nbf -= 2 * 3600;
        claims.iat -= 2 * 3600;
        change(&mut claims);
        let token = self.keys.mint(&claims).expect("a token");
        let bearer = format!("Bearer {token}").parse().expect("a token that is metadata");
        Caller { account: account.to_string(), actor: format!("{}:{id}", kind.as_str()), bearer }
    }

    /// A caller with a token that Frontdesk made. `actor`: kind and name, for the history.
    pub fn caller_with_token(&self, account: Uuid, actor: &str, token: &str) -> Caller {
        let bearer = format!("Bearer {token}").parse().expect("a token that is metadata");
        Caller { account: account.to_string(), actor: actor.to_owned(), bearer }
    }

    /// The caller's connection to the next replica, round-robin.
    pub fn next(&self, caller: &Caller, service: Service) -> CallerChannel {
        self.at(caller, service, self.next_replica(), ATTEMPT_TIMEOUT)
    }

    /// Number of the next replica, round-robin.
    pub fn next_replica(&self) -> usize {
        self.next_replica.fetch_add(1, Ordering::Relaxed)
    }

    /// The caller's connection to one replica. A deadline of zero means none.
    pub fn at(&self, caller: &Caller, service: Service, replica: usize, deadline: Duration) -> CallerChannel {
        let channels = &self.channels[&service];
        let token = Token { bearer: caller.bearer.clone(), deadline };
        InterceptedService::new(channels[replica % channels.len()].clone(), token)
    }

    /// Port of the listener for browsers of one conversation replica.
    pub fn web_port(&self, replica: usize) -> u16 {
        self.web_ports[replica % self.web_ports.len()]
    }

    /// A new operation of the history.
    pub fn operation(&self, caller: &Caller, call: &str, key: &str, request_id: &str) -> Operation {
        Operation {
            op: self.recorder.next_op(),
            call: call.to_owned(),
            account: caller.account.clone(),
            actor: caller.actor.clone(),
            key: key.to_owned(),
            request_id: request_id.to_owned(),
        }
    }

    /// Makes one attempt and records it. `summarize` gives what the history holds of the response.
    pub async fn attempt<T, F>(
        &self,
        operation: &Operation,
        attempt: u32,
        arguments: &Value,
        summarize: impl Fn(&T) -> Value,
        call: F,
    ) -> Outcome<T>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        self.recorder.write(
            operation,
            attempt,
            Kind::Invoke,
            Details { arguments: arguments.clone(), ..Details::default() },
        );
        let answered = tokio::time::timeout(ATTEMPT_TIMEOUT + Duration::from_secs(1), call).await;
        let (kind, details, outcome) = match answered {
            Ok(Ok(response)) => {
                let response = response.into_inner();
                let details = Details { response: summarize(&response), code: "OK".into(), ..Details::default() };
                (Kind::Ok, details, Outcome::Ok(response))
            }
            Ok(Err(status)) => {
                let (kind, details) = classify(&status);
                let outcome = if kind == Kind::Fail { Outcome::Refused(status) } else { Outcome::Unknown };
                (kind, Details { arguments: kept_arguments(arguments), ..details }, outcome)
            }
            Err(_) => {
                (Kind::Unknown, Details { code: "DEADLINE_EXCEEDED".into(), ..Details::default() }, Outcome::Unknown)
            }
        };
        self.recorder.write(operation, attempt, kind, details);
        outcome
    }

    /// Repeats a call with the same request id, at one replica after another, until its outcome is known. Gives up after
    /// `RETRY_FOR`.
    pub async fn call_until_answered<T, F, C>(
        &self,
        caller: &Caller,
        service: Service,
        (call, key, request_id): (&str, &str, &str),
        arguments: Value,
        summarize: impl Fn(&T) -> Value,
        send: C,
    ) -> Outcome<T>
    where
        C: Fn(CallerChannel) -> F,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let operation = self.operation(caller, call, key, request_id);
        let until = Instant::now() + RETRY_FOR;
        let (mut attempt, mut replica) = (1, self.next_replica());
        loop {
            let channel = self.at(caller, service, replica, ATTEMPT_TIMEOUT);
            match self.attempt(&operation, attempt, &arguments, &summarize, send(channel)).await {
                Outcome::Unknown if Instant::now() < until => {}
                outcome => return outcome,
            }
            attempt += 1;
            // Another replica may be healthy.
            replica += 1;
            tokio::time::sleep(Duration::from_millis(20 * u64::from(attempt.min(10)))).await;
        }
    }
}

impl Driver {
    /// Advances the installation's clock; returns its new time in microseconds.
    pub async fn advance(&self, admin: &Caller, by: Duration) -> Option<i64> {
        let request = AdvanceTimeRequest {
            by: Some(prost_types::Duration { seconds: by.as_secs() as i64, nanos: by.subsec_nanos() as i32 }),
        };
        // Not repeated: the call has no request id, so that a repeat would advance the clock twice.
        let operation = self.operation(admin, "AdvanceTime", "", "");
        let arguments = json!({ "seconds": by.as_secs_f64() });
        let mut client = ClockServiceClient::new(self.next(admin, Service::Conversation));
        let response =
            self.attempt(&operation, 1, &arguments, |_| Value::Null, client.advance_time(request)).await.ok()?;
        response.time.map(|time| frontdesk_clock::Time::from_proto(&time).0)
    }
}

/// The arguments that the record of a refusal repeats: those of a request id that is reused on purpose (rule I4).
fn kept_arguments(arguments: &Value) -> Value {
    if arguments.get("reused").is_some() { arguments.clone() } else { Value::Null }
}

/// Classifies a status: [`Kind::Fail`] where the call certainly had no effect, else [`Kind::Unknown`]; with its code and reason.
pub fn classify(status: &Status) -> (Kind, Details) {
    let info = status.get_details_error_info();
    let retry = status.get_details_retry_info().and_then(|retry| retry.retry_delay);
    let response = match retry {
        Some(retry) => json!({ "retry_after": retry.as_secs_f64() }),
        None => Value::Null,
    };
    let details = Details {
        arguments: Value::Null,
        response,
        code: name(status.code()).to_owned(),
        reason: info.map(|info| info.reason).unwrap_or_default(),
    };
    let certain = matches!(
        status.code(),
        Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::ResourceExhausted
            | Code::Unimplemented
    );
    (if certain && !details.reason.is_empty() { Kind::Fail } else { Kind::Unknown }, details)
}

fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// A new request id.
pub fn request_id() -> String {
    frontdesk_clock::testing::new_id().to_string()
}
