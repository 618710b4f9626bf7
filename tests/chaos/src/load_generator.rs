//! The load generator of R17: many callers on one thread, with one token and requests that are encoded beforehand, because it
//! shares the processors with the servers under test. Its calls are written into the history when the load has ended.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    error::Error as _,
    rc::Rc,
    time::Duration,
};

use bytes::Bytes;
use frontdesk_bench::{
    messages::{DIGITS, PostTemplate},
    raw::Client,
};
use frontdesk_proto::conversation::v1::PostMessageResponse;
use prost::Message;
use serde_json::json;
use tokio::task::spawn_local;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    cluster::Failure,
    driver::{Caller, Driver, classify},
    history::{Details, Kind, Recorder},
};

/// Number of connections to each replica; enough that calls do not wait for a free stream.
const CONNECTIONS: usize = 32;
/// Deadline of a call.
const DEADLINE: Duration = Duration::from_secs(2);
/// How long a caller waits for a response. The server itself answers DEADLINE_EXCEEDED after [`DEADLINE`].
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(2_500);
/// Interval between two looks of the open loop at the calls that are due.
const TICK: Duration = Duration::from_millis(1);

/// Outcome of a call.
#[derive(Clone, Debug)]
pub enum CallOutcome {
    /// Acknowledged, with the sequence of the entry.
    Acknowledged(i32),
    /// RESOURCE_EXHAUSTED.
    Refused {
        /// Retry delay; `None` if the response lacks a reason or a retry delay.
        retry_delay: Option<Duration>,
    },
    /// Another status of the server.
    Failed(Box<Status>),
    /// The connection was lost, or there was no response in time.
    Lost,
}

/// One call. Times are nanoseconds of the driver's clock.
#[derive(Clone, Debug)]
pub struct Call {
    number: u64,
    /// When the call was due.
    pub due: u64,
    sent: u64,
    /// When its outcome was known.
    pub ended_at: u64,
    /// Its outcome.
    pub outcome: CallOutcome,
}

impl Call {
    /// Time from when the call was due to its outcome, in milliseconds.
    pub fn latency_ms(&self) -> f64 {
        self.ended_at.saturating_sub(self.due) as f64 / 1e6
    }

    /// Time from sending the request to the outcome, in milliseconds.
    pub fn response_time_ms(&self) -> f64 {
        self.ended_at.saturating_sub(self.sent) as f64 / 1e6
    }

    /// How late the load generator sent the request, in milliseconds.
    pub fn send_delay_ms(&self) -> f64 {
        self.sent.saturating_sub(self.due) as f64 / 1e6
    }

    /// Whether the call was acknowledged within its deadline.
    pub fn is_acknowledged_in_time(&self) -> bool {
        matches!(self.outcome, CallOutcome::Acknowledged(_)) && self.latency_ms() <= DEADLINE.as_secs_f64() * 1e3
    }

    /// The record of the outcome.
    fn record(&self) -> (Kind, Details) {
        match &self.outcome {
            CallOutcome::Acknowledged(sequence) => {
                let response = json!({ "sequence": sequence });
                (Kind::Ok, Details { response, code: "OK".into(), ..Details::default() })
            }
            CallOutcome::Failed(status) => classify(status),
            CallOutcome::Lost | CallOutcome::Refused { .. } => {
                (Kind::Unknown, Details { code: "UNAVAILABLE".into(), ..Details::default() })
            }
        }
    }
}

/// The load generator. It lives on one thread, within a `LocalSet`.
#[derive(Clone)]
pub struct LoadGenerator(Rc<Inner>);

struct Inner {
    client: Client,
    chats: Vec<String>,
    messages: Messages,
    next_number: Cell<u64>,
    recorder: Recorder,
    calls: RefCell<Vec<Call>>,
    /// Retry delay by the encoded details of a refusal: the server sends few different ones, and decoding costs time.
    retry_delays: RefCell<HashMap<Bytes, Option<Duration>>>,
}

impl LoadGenerator {
    /// A load generator that posts into these conversations with the caller's token, on connections to these addresses.
    pub async fn new(
        caller: &Caller,
        addresses: &[String],
        chats: Vec<String>,
        canary: &str,
        recorder: Recorder,
    ) -> Result<Self, Failure> {
        Ok(Self(Rc::new(Inner {
            client: Client::connect(addresses, CONNECTIONS, caller.bearer().to_str()?).await?,
            chats,
            messages: Messages::new(canary),
            next_number: Cell::new(0),
            recorder,
            calls: RefCell::default(),
            retry_delays: RefCell::default(),
        })))
    }

    /// A closed loop: each of `callers` makes its next call as soon as the previous one has ended, for `duration`. Returns the
    /// number of calls that were acknowledged in time.
    pub async fn closed_loop(&self, callers: usize, duration: Duration) -> usize {
        let before = self.0.calls.borrow().len();
        self.run_callers(callers, duration, |_| None).await;
        self.0.calls.borrow()[before..].iter().filter(|call| call.is_acknowledged_in_time()).count()
    }

    /// A closed loop whose callers wait for the retry delay of each refusal.
    pub async fn closed_loop_with_retry_delay(&self, callers: usize, duration: Duration) {
        self.run_callers(callers, duration, |retry_delay| retry_delay).await;
    }

    async fn run_callers(&self, callers: usize, duration: Duration, pause: fn(Option<Duration>) -> Option<Duration>) {
        let until = self.0.recorder.now() + nanoseconds(duration);
        let running = (0..callers).map(|_| {
            let generator = self.clone();
            spawn_local(async move {
                while generator.0.recorder.now() < until {
                    let retry_delay = generator.call(generator.0.recorder.now()).await;
                    if let Some(pause) = pause(retry_delay) {
                        tokio::time::sleep(pause).await;
                    }
                }
            })
        });
        futures::future::join_all(running.collect::<Vec<_>>()).await;
    }

    /// An open loop: `rate` calls per second for `duration`, whatever their outcome. Returns when the last call is sent, not
    /// when it has ended.
    pub async fn open_loop(&self, rate: f64, duration: Duration) {
        let began = self.0.recorder.now();
        let mut sent = 0_u64;
        loop {
            let passed = self.0.recorder.now() - began;
            let due = (rate * passed.min(nanoseconds(duration)) as f64 / 1e9) as u64;
            while sent < due {
                let generator = self.clone();
                let due_at = began + (sent as f64 / rate * 1e9) as u64;
                spawn_local(async move { generator.call(due_at).await });
                sent += 1;
            }
            if passed >= nanoseconds(duration) {
                return;
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// Waits for the last response and returns all calls, in the order of their ends.
    pub async fn calls(&self) -> Vec<Call> {
        tokio::time::sleep(RESPONSE_TIMEOUT + Duration::from_millis(500)).await;
        self.0.calls.take()
    }

    /// Makes a call; returns the retry delay of a refusal.
    async fn call(&self, due: u64) -> Option<Duration> {
        let number = self.0.next_number.get();
        self.0.next_number.set(number + 1);
        let sent = self.0.recorder.now();
        let outcome = tokio::time::timeout(RESPONSE_TIMEOUT, self.post(number)).await.unwrap_or(CallOutcome::Lost);
        let ended_at = self.0.recorder.now();
        let retry_delay = match outcome {
            CallOutcome::Refused { retry_delay } => retry_delay,
            _ => None,
        };
        self.0.calls.borrow_mut().push(Call { number, due, sent, ended_at, outcome });
        retry_delay
    }

    async fn post(&self, number: u64) -> CallOutcome {
        let message = self.0.messages.template.encode(number, self.chat(number));
        let mut connection = self.0.client.connection(number as usize);
        match connection.post_with_deadline(message, DEADLINE).await {
            Ok(response) => {
                let entry = PostMessageResponse::decode(response).ok().and_then(|response| response.entry);
                entry.map_or(CallOutcome::Lost, |entry| CallOutcome::Acknowledged(entry.sequence))
            }
            Err(status) if status.code() == Code::ResourceExhausted => {
                CallOutcome::Refused { retry_delay: self.retry_delay(&status) }
            }
            // A status with a source was made by the transport, not by the server.
            Err(status) if status.source().is_some() => CallOutcome::Lost,
            Err(status) => CallOutcome::Failed(Box::new(status)),
        }
    }

    fn chat(&self, number: u64) -> &str {
        &self.0.chats[number as usize % self.0.chats.len()]
    }

    fn retry_delay(&self, status: &Status) -> Option<Duration> {
        if let Some(known) = self.0.retry_delays.borrow().get(status.details()) {
            return *known;
        }
        let has_reason = status.get_details_error_info().is_some_and(|info| !info.reason.is_empty());
        let retry_delay = status.get_details_retry_info().and_then(|retry| retry.retry_delay);
        let retry_delay = retry_delay.filter(|_| has_reason);
        self.0.retry_delays.borrow_mut().insert(Bytes::copy_from_slice(status.details()), retry_delay);
        retry_delay
    }

    /// Writes the calls into the history, except the refused ones. If a refused call took effect all the same, the checker finds
    /// an entry without a call (I1).
    pub fn write_history(&self, driver: &Driver, caller: &Caller, calls: &[Call]) {
        let operations: Vec<_> = calls
            .iter()
            .filter(|call| !matches!(call.outcome, CallOutcome::Refused { .. }))
            .map(|call| {
                let request_id = Messages::request_id(call.number);
                (call, driver.operation(caller, "PostMessage", self.chat(call.number), &request_id))
            })
            .collect();
        let mut records: Vec<_> = operations
            .iter()
            .flat_map(|operation| [(operation.0.sent, operation, false), (operation.0.ended_at, operation, true)])
            .collect();
        records.sort_by_key(|(at, ..)| *at);
        for (at, (call, operation), has_ended) in records {
            let (kind, details) = if has_ended { call.record() } else { self.invocation(call) };
            self.0.recorder.write_at(at, operation, kind, details);
        }
    }

    fn invocation(&self, call: &Call) -> (Kind, Details) {
        let arguments = json!({ "text": Messages::text(&self.0.messages.canary, call.number) });
        (Kind::Invoke, Details { arguments, ..Details::default() })
    }
}

/// The messages of the load generator: they differ in a number and in the conversation.
struct Messages {
    template: PostTemplate,
    canary: String,
}

impl Messages {
    fn new(canary: &str) -> Self {
        let template = PostTemplate::new(|number| (Self::text(canary, number), Self::request_id(number)));
        Self { template, canary: canary.to_owned() }
    }

    fn text(canary: &str, number: u64) -> String {
        format!("m~{number:0DIGITS$} says {canary}")
    }

    fn request_id(number: u64) -> String {
        format!("r17:{number:0DIGITS$}")
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
