//! P4: latency at a fixed rate, half of P1's. `P4` measures a posted message; its baseline is an echo with one committed row.
//! `P4_watch` measures the time from the post to a watch on another replica; its baseline adds a hop through NATS.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use frontdesk_bench::{
    messages::{Messages, number_in, watch_request},
    raw::{Client, Connection},
};
use prost::bytes::Bytes;
use tokio::task::JoinSet;
use tonic::Code;

use super::{Plan, p3_fan_out::last_sequence, print_round};
use crate::{
    baseline_server,
    deployment::{BASELINE_DATABASE, CONNECTIONS, Deployment},
    load::{self, LoadResult, nanoseconds_since},
    process::Process,
    report::{Goal, Round, Row},
};

/// Number of conversations that are watched, by one watch each: a tenth of all.
const WATCHED: u64 = 100;
/// Number of messages whose due times are kept. The oldest are overwritten.
const DUE_TIMES: usize = 1 << 20;
/// Delay before a refused message is posted again: the least that an overloaded replica asks for.
const RETRY_DELAY: Duration = Duration::from_millis(250);
/// How long the watches may take to receive the last message.
const WATCH_TIMEOUT: Duration = Duration::from_secs(30);

/// The rate in calls per second: half of P1's, and at most half of what the baseline server can do. An overloaded baseline would
/// make the ratio look better than it is.
async fn rate(deployment: &Deployment, baseline: &Client, p1_rate: f64, plan: Plan) -> f64 {
    load::closed_loop(baseline, &deployment.messages, 64, plan.warm_up).await;
    let baseline_rate = load::closed_loop(baseline, &deployment.messages, 64, plan.length).await.rate();
    println!("P4: the baseline server answers {baseline_rate:.0}/s, P1 is {p1_rate:.0}/s");
    (p1_rate / 2.0).min(baseline_rate / 2.0)
}

async fn start_baseline(deployment: &Deployment, with_nats: bool) -> Process {
    let is_absent = "SELECT to_regclass('baseline_messages') IS NULL";
    if deployment.postgres.psql(BASELINE_DATABASE, is_absent).await == "t" {
        deployment.postgres.psql(BASELINE_DATABASE, baseline_server::CREATE_TABLE).await;
    }
    let (postgres, nats) = (deployment.postgres.url(BASELINE_DATABASE), deployment.nats.url());
    let arguments = ["--postgres", &postgres, "--nats", &nats];
    let arguments = if with_nats { &arguments } else { &arguments[..2] };
    Process::baseline(deployment.folder.path(), arguments).await
}

/// Measures the latency of a posted message.
pub async fn run(deployment: &Deployment, plan: Plan, p1_rate: f64) -> Row {
    let server = start_baseline(deployment, false).await;
    let baseline = deployment.client_of(&server.address, CONNECTIONS).await;
    let frontdesk = deployment.client().await;
    let rate = rate(deployment, &baseline, p1_rate, plan).await;
    for client in [&frontdesk, &baseline] {
        post_at_rate(deployment, client, rate, plan.warm_up).await;
    }
    let mut database = deployment.database().await;
    let mut rounds = Vec::new();
    for number in 0..plan.rounds {
        deployment.drain_outbox(&mut database).await;
        let baseline_result = post_at_rate(deployment, &baseline, rate, plan.length).await;
        let result = post_at_rate(deployment, &frontdesk, rate, plan.length).await;
        let round = round(rate, &result, &baseline_result);
        print_round("P4", number, &round);
        rounds.push(round);
    }
    Row {
        name: "P4",
        what: "PostMessage at half of P1's rate, p99; echo with one committed row, p99",
        unit: "ms",
        goal: Goal::AtMost(3.0),
        rounds,
    }
}

fn round(rate: f64, result: &LoadResult, baseline: &LoadResult) -> Round {
    Round {
        value: result.latency(990),
        baseline: baseline.latency(990),
        more: vec![
            ("rate", rate),
            ("p50_ms", result.latency(500)),
            ("baseline_p50_ms", baseline.latency(500)),
            ("p999_ms", result.latency(999)),
            ("baseline_p999_ms", baseline.latency(999)),
        ],
    }
}

async fn post_at_rate(deployment: &Deployment, client: &Client, rate: f64, length: Duration) -> LoadResult {
    let (client, messages) = (client.clone(), deployment.messages.clone());
    let call = move |number: u64, _: Instant| {
        let mut connection = client.connection(usize::try_from(number).unwrap());
        let message = messages.next().1;
        async move { post(&mut connection, message).await }
    };
    load::open_loop(rate, length, call).await
}

/// Posts a message, again after each refusal of an overloaded replica. The latency counts from the first attempt.
async fn post(connection: &mut Connection, message: Bytes) {
    while let Err(status) = connection.post(message.clone()).await {
        assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
        tokio::time::sleep(RETRY_DELAY).await;
    }
}

/// Measures the time from the post to the watch.
pub async fn run_watch(deployment: &mut Deployment, plan: Plan, p1_rate: f64) -> Row {
    let second_replica = deployment.second_replica().await;
    let (first, second) = (start_baseline(deployment, true).await, start_baseline(deployment, true).await);
    let baseline = deployment.client_of(&first.address, CONNECTIONS).await;
    let frontdesk = deployment.client().await;
    let mut database = deployment.database().await;
    deployment.drain_outbox(&mut database).await;
    let client = deployment.client_of(&second_replica, CONNECTIONS).await;
    let watches = Watches::open(deployment, &client, true).await;
    let client = deployment.client_of(&second.address, CONNECTIONS).await;
    let baseline_watches = Watches::open(deployment, &client, false).await;
    let rate = rate(deployment, &baseline, p1_rate, plan).await;
    for (client, watches) in [(&frontdesk, &watches), (&baseline, &baseline_watches)] {
        watches.post_at_rate(deployment, client, rate, plan.warm_up).await;
    }
    let mut rounds = Vec::new();
    for number in 0..plan.rounds {
        deployment.drain_outbox(&mut database).await;
        let baseline_result = baseline_watches.post_at_rate(deployment, &baseline, rate, plan.length).await;
        let result = watches.post_at_rate(deployment, &frontdesk, rate, plan.length).await;
        let round = round(rate, &result, &baseline_result);
        print_round("P4_watch", number, &round);
        rounds.push(round);
    }
    Row {
        name: "P4_watch",
        what: "from PostMessage to a watch on another replica, p99; echo, one committed row, one hop over NATS, p99",
        unit: "ms",
        goal: Goal::AtMost(3.0),
        rounds,
    }
}

/// When messages were due, by their number, and the latencies from then until the watch received them.
struct DueTimes {
    zero: Instant,
    /// Nanoseconds since `zero`.
    due: Vec<AtomicU64>,
    latencies: Mutex<Vec<u64>>,
}

impl DueTimes {
    fn of(&self, number: u64) -> &AtomicU64 {
        &self.due[usize::try_from(number).unwrap() % self.due.len()]
    }

    fn received(&self, number: u64) {
        let latency = nanoseconds_since(self.zero).saturating_sub(self.of(number).load(Ordering::Acquire));
        self.latencies.lock().unwrap().push(latency);
    }
}

/// Open watches of the first [`WATCHED`] conversations. They end when it is dropped.
struct Watches {
    due_times: Arc<DueTimes>,
    _open: JoinSet<()>,
}

impl Watches {
    async fn open(deployment: &Deployment, client: &Client, after_last_entry: bool) -> Self {
        let due = (0..DUE_TIMES).map(|_| AtomicU64::new(0)).collect();
        let due_times = Arc::new(DueTimes { zero: Instant::now(), due, latencies: Mutex::default() });
        let mut open = JoinSet::new();
        for conversation in 0..WATCHED {
            let after = if after_last_entry { last_sequence(deployment, conversation).await } else { 0 };
            let mut connection = client.connection(usize::try_from(conversation).unwrap());
            let mut stream = connection.watch(watch_request(conversation, after)).await.unwrap();
            let due_times = due_times.clone();
            open.spawn(async move {
                while let Some(bytes) = stream.message().await.unwrap() {
                    due_times.received(number_in(&bytes).unwrap());
                }
            });
        }
        Self { due_times, _open: open }
    }

    /// Posts messages at this rate; returns the latencies at the watches.
    async fn post_at_rate(&self, deployment: &Deployment, client: &Client, rate: f64, length: Duration) -> LoadResult {
        self.due_times.latencies.lock().unwrap().clear();
        let expected = Arc::new(AtomicU64::new(0));
        let (client, messages) = (client.clone(), deployment.messages.clone());
        let (due_times, counted) = (self.due_times.clone(), expected.clone());
        let call = move |number: u64, due: Instant| {
            let mut connection = client.connection(usize::try_from(number).unwrap());
            let (number, message) = messages.next();
            let nanoseconds = due.duration_since(due_times.zero).as_nanos();
            due_times.of(number).store(u64::try_from(nanoseconds).unwrap(), Ordering::Release);
            if Messages::conversation_of(number) < WATCHED {
                counted.fetch_add(1, Ordering::Relaxed);
            }
            async move { post(&mut connection, message).await }
        };
        let duration = load::open_loop(rate, length, call).await.duration;
        let expected = usize::try_from(expected.load(Ordering::Relaxed)).unwrap();
        let until = Instant::now() + WATCH_TIMEOUT;
        while self.due_times.latencies.lock().unwrap().len() < expected && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let latencies = self.due_times.latencies.lock().unwrap().clone();
        assert_eq!(latencies.len(), expected, "each message arrives once at its watch");
        LoadResult::new(duration, latencies)
    }
}
