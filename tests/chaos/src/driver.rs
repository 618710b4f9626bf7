//! The driver: calls the public API as clients do, one connection to each replica, taken in turn, the same request id at each
//! repeat; and writes down every attempt.

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use frontdesk_auth::{CallerKind as Caller, Claims, DevelopmentKey};
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
    history::{Kind, Operation, Recorder, Tells},
};

/// A connection that sends somebody's token.
pub type As = InterceptedService<Channel, Token>;

/// Adds a token and a deadline to each call.
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

/// Somebody who calls.
#[derive(Clone, Debug)]
pub struct Somebody {
    /// Their account.
    pub account: String,
    /// `visitor:…`, `agent:…`, `admin:…`
    pub actor: String,
    bearer: MetadataValue<Ascii>,
}

impl Somebody {
    /// Their token, as the metadata holds it.
    pub fn bearer(&self) -> &MetadataValue<Ascii> {
        &self.bearer
    }
}

/// How long one attempt may take.
pub const ATTEMPT: Duration = Duration::from_secs(5);
/// How long a caller tries.
const PATIENCE: Duration = Duration::from_secs(90);

/// The connections to all replicas. Clones share them.
#[derive(Clone)]
pub struct Driver {
    channels: Arc<HashMap<Service, Vec<Channel>>>,
    turn: Arc<AtomicUsize>,
    keys: DevelopmentKey,
    /// Where everything is written down.
    pub recorder: Recorder,
}

/// How a call ended that was repeated until somebody knew.
#[derive(Debug)]
pub enum Outcome<T> {
    /// Acknowledged.
    Ok(T),
    /// Refused.
    Refused(Status),
    /// Nobody answered for as long as a caller waits.
    Unknown,
}

impl<T> Outcome<T> {
    /// The answer, if there was one.
    pub fn ok(self) -> Option<T> {
        match self {
            Self::Ok(answer) => Some(answer),
            Self::Refused(_) | Self::Unknown => None,
        }
    }
}

impl Driver {
    /// Connections to the replicas of a cluster, made when they are first used.
    pub fn new(cluster: &Cluster, recorder: Recorder) -> Result<Self, Failure> {
        let mut channels: HashMap<Service, Vec<Channel>> = HashMap::new();
        for replica in &cluster.replicas {
            let endpoint = Endpoint::from_shared(replica.address())?
                .connect_timeout(Duration::from_secs(1))
                .tcp_nodelay(true)
                .http2_keep_alive_interval(Duration::from_secs(2))
                .keep_alive_timeout(Duration::from_secs(2));
            channels.entry(replica.service).or_default().push(endpoint.connect_lazy());
        }
        Ok(Self { channels: Arc::new(channels), turn: Arc::default(), keys: cluster.keys()?, recorder })
    }

    /// Somebody with a token that says what `change` makes of the usual claims.
    pub fn somebody(&self, account: Uuid, kind: Caller, id: &str, change: impl FnOnce(&mut Claims)) -> Somebody {
        let mut claims = self.keys.claims(AccountId(account), kind, id, Duration::from_secs(25 * 24 * 3600));
        // Valid also where a clock is an hour behind.
        claims.nbf -= 2 * 3600;
        claims.iat -= 2 * 3600;
        change(&mut claims);
        let token = self.keys.mint(&claims).expect("a token");
        let bearer = format!("Bearer {token}").parse().expect("a token that is metadata");
        Somebody { account: account.to_string(), actor: format!("{}:{id}", kind.as_str()), bearer }
    }

    /// A connection for somebody to the replica whose turn it is.
    pub fn next(&self, who: &Somebody, service: Service) -> As {
        self.at(who, service, self.turn(), ATTEMPT)
    }

    /// The replica whose turn it is.
    pub fn turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// A connection for somebody to one replica. A deadline of zero: none.
    pub fn at(&self, who: &Somebody, service: Service, replica: usize, deadline: Duration) -> As {
        let channels = &self.channels[&service];
        let token = Token { bearer: who.bearer.clone(), deadline };
        InterceptedService::new(channels[replica % channels.len()].clone(), token)
    }

    /// Begins an operation.
    pub fn operation(&self, who: &Somebody, call: &str, key: &str, request_id: &str) -> Operation {
        Operation {
            op: self.recorder.next_op(),
            call: call.to_owned(),
            account: who.account.clone(),
            actor: who.actor.clone(),
            key: key.to_owned(),
            request_id: request_id.to_owned(),
        }
    }

    /// One attempt, written down.
    pub async fn attempt<T, F>(
        &self,
        operation: &Operation,
        attempt: u32,
        given: &Value,
        tell: impl Fn(&T) -> Value,
        call: F,
    ) -> Outcome<T>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        self.recorder.write(operation, attempt, Kind::Invoke, Tells { given: given.clone(), ..Tells::default() });
        let answered = tokio::time::timeout(ATTEMPT + Duration::from_secs(1), call).await;
        let (kind, tells, outcome) = match answered {
            Ok(Ok(answer)) => {
                let answer = answer.into_inner();
                let tells = Tells { answer: tell(&answer), code: "OK".into(), ..Tells::default() };
                (Kind::Ok, tells, Outcome::Ok(answer))
            }
            Ok(Err(status)) => {
                let (kind, tells) = read(&status);
                let outcome = if kind == Kind::Fail { Outcome::Refused(status) } else { Outcome::Unknown };
                (kind, Tells { given: flagged(given), ..tells }, outcome)
            }
            Err(_) => (Kind::Unknown, Tells { code: "DEADLINE_EXCEEDED".into(), ..Tells::default() }, Outcome::Unknown),
        };
        self.recorder.write(operation, attempt, kind, tells);
        outcome
    }

    /// Repeats a call with its one request id, at one replica after another, until somebody knows.
    pub async fn insist<T, F, C>(
        &self,
        who: &Somebody,
        service: Service,
        (call, key, request_id): (&str, &str, &str),
        given: Value,
        tell: impl Fn(&T) -> Value,
        send: C,
    ) -> Outcome<T>
    where
        C: Fn(As) -> F,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let operation = self.operation(who, call, key, request_id);
        let until = Instant::now() + PATIENCE;
        let (mut attempt, mut replica) = (1, self.turn());
        loop {
            let to = self.at(who, service, replica, ATTEMPT);
            match self.attempt(&operation, attempt, &given, &tell, send(to)).await {
                Outcome::Unknown if Instant::now() < until => {}
                outcome => return outcome,
            }
            attempt += 1;
            // Another one may be well.
            replica += 1;
            tokio::time::sleep(Duration::from_millis(20 * u64::from(attempt.min(10)))).await;
        }
    }
}

impl Driver {
    /// Moves the installation's clock; gives what it shows then, in microseconds.
    pub async fn advance(&self, who: &Somebody, by: Duration) -> Option<i64> {
        let request = AdvanceTimeRequest {
            by: Some(prost_types::Duration { seconds: by.as_secs() as i64, nanos: by.subsec_nanos() as i32 }),
        };
        // Not insisted on: a repeat would move it twice.
        let operation = self.operation(who, "AdvanceTime", "", "");
        let given = json!({ "seconds": by.as_secs_f64() });
        let mut client = ClockServiceClient::new(self.next(who, Service::Conversation));
        let answer = self.attempt(&operation, 1, &given, |_| Value::Null, client.advance_time(request)).await.ok()?;
        answer.time.map(|time| frontdesk_clock::Time::from_proto(&time).0)
    }
}

/// The mark of a repeat with other content stays on the line of its refusal.
fn flagged(given: &Value) -> Value {
    if given.get("reused").is_some() { given.clone() } else { Value::Null }
}

/// What a status tells: whether certainly nothing happened, and the reason that a service gave.
pub fn read(status: &Status) -> (Kind, Tells) {
    let info = status.get_details_error_info();
    let retry = status.get_details_retry_info().and_then(|retry| retry.retry_delay);
    let answer = match retry {
        Some(retry) => json!({ "retry_after": retry.as_secs_f64() }),
        None => Value::Null,
    };
    let tells = Tells {
        given: Value::Null,
        answer,
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
    (if certain && !tells.reason.is_empty() { Kind::Fail } else { Kind::Unknown }, tells)
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

/// A request id of its own.
pub fn request_id() -> String {
    frontdesk_clock::testing::new_id().to_string()
}
