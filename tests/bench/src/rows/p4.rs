//! P4: latency at half of P1's rate: of a post, beside a bare echo with one committed row; and from a post to a watch on
//! another replica, beside that and a hop over NATS.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::{Plan, done, p3::last_sequence};
use crate::{
    bare, load,
    load::{Seen, since},
    messages::{self, Messages, number_in},
    process::Process,
    raw::Client,
    report::{Goal, Round, Row},
    servers::{CONNECTIONS, LIMITS, Suite},
};

/// So many conversations are watched, a tenth of all, by one watch each.
const WATCHED: u64 = 100;

/// The rate of both: half of P1's, and no more than half of what the bare server can do, which would flatter us.
async fn rate(suite: &Suite, bare: &Client, p1: f64, plan: Plan) -> f64 {
    load::closed(bare, &suite.messages, 64, plan.warm_up).await;
    let bare = load::closed(bare, &suite.messages, 64, plan.length).await.rate();
    println!("P4: the bare server answers {bare:.0}/s, P1 is {p1:.0}/s");
    (p1 / 2.0).min(bare / 2.0)
}

async fn bare_server(suite: &Suite, nats: bool) -> Process {
    if suite.postgres.psql(LIMITS, "SELECT to_regclass('bare_commits') IS NULL").await == "t" {
        suite.postgres.psql(LIMITS, bare::COMMITS).await;
    }
    let (postgres, bus) = (suite.postgres.url(LIMITS), suite.nats.url());
    let arguments = ["--postgres", &postgres, "--nats", &bus];
    Process::bare(suite.folder.path(), if nats { &arguments } else { &arguments[..2] }).await
}

/// Measures the post.
pub async fn run(suite: &Suite, plan: Plan, p1: f64) -> Row {
    let server = bare_server(suite, false).await;
    let (ours, bare) = (suite.client().await, suite.client_of(&server.address, CONNECTIONS).await);
    let rate = rate(suite, &bare, p1, plan).await;
    for client in [&ours, &bare] {
        post_at(suite, client, rate, plan.warm_up).await;
    }
    let mut database = suite.database().await;
    let mut rounds = Vec::new();
    for number in 0..plan.rounds {
        suite.drained(&mut database).await;
        let limit = post_at(suite, &bare, rate, plan.length).await;
        let value = post_at(suite, &ours, rate, plan.length).await;
        let round = compare(rate, &value, &limit);
        done("P4", number, &round);
        rounds.push(round);
    }
    Row {
        name: "P4",
        what: "PostMessage at half of P1's rate, p99; bare echo with one committed row, p99",
        unit: "ms",
        goal: Goal::AtMost(3.0),
        rounds,
    }
}

fn compare(rate: f64, value: &Seen, limit: &Seen) -> Round {
    Round {
        value: value.latency(990),
        limit: limit.latency(990),
        more: vec![
            ("rate", rate),
            ("p50_ms", value.latency(500)),
            ("limit_p50_ms", limit.latency(500)),
            ("p999_ms", value.latency(999)),
            ("limit_p999_ms", limit.latency(999)),
        ],
    }
}

async fn post_at(suite: &Suite, client: &Client, rate: f64, length: Duration) -> Seen {
    let (client, messages) = (client.clone(), suite.messages.clone());
    let call = move |number: u64, _: Instant| {
        let mut connection = client.connection(usize::try_from(number).unwrap());
        let message = messages.next().1;
        async move {
            connection.post(message).await.unwrap();
        }
    };
    load::open(rate, length, call).await
}

/// Measures from the post to the watch.
pub async fn run_watch(suite: &mut Suite, plan: Plan, p1: f64) -> Row {
    let other = suite.second_replica().await;
    let (first, second) = (bare_server(suite, true).await, bare_server(suite, true).await);
    let (ours, bare) = (suite.client().await, suite.client_of(&first.address, CONNECTIONS).await);
    let mut database = suite.database().await;
    suite.drained(&mut database).await;
    let our_watches = Watches::open(suite, &suite.client_of(&other, CONNECTIONS).await, true).await;
    let bare_watches = Watches::open(suite, &suite.client_of(&second.address, CONNECTIONS).await, false).await;
    let rate = rate(suite, &bare, p1, plan).await;
    for (client, watches) in [(&ours, &our_watches), (&bare, &bare_watches)] {
        watches.post_at(suite, client, rate, plan.warm_up).await;
    }
    let mut rounds = Vec::new();
    for number in 0..plan.rounds {
        suite.drained(&mut database).await;
        let limit = bare_watches.post_at(suite, &bare, rate, plan.length).await;
        let value = our_watches.post_at(suite, &ours, rate, plan.length).await;
        let round = compare(rate, &value, &limit);
        done("P4_watch", number, &round);
        rounds.push(round);
    }
    Row {
        name: "P4_watch",
        what: "from PostMessage to a watch on another replica, p99; the bare echo, one committed row, one NATS hop, p99",
        unit: "ms",
        goal: Goal::AtMost(3.0),
        rounds,
    }
}

/// When messages were due, by number, and how long they took to their watches. Old numbers make room for new ones.
struct Due {
    zero: Instant,
    due: Vec<AtomicU64>,
    latencies: Mutex<Vec<u64>>,
}

impl Due {
    fn of(&self, number: u64) -> &AtomicU64 {
        &self.due[usize::try_from(number).unwrap() % self.due.len()]
    }

    fn arrived(&self, number: u64) {
        let latency = since(self.zero).saturating_sub(self.of(number).load(Ordering::Acquire));
        self.latencies.lock().unwrap().push(latency);
    }
}

/// Open watches of some of the conversations. They end with it.
struct Watches {
    due: Arc<Due>,
    _open: JoinSet<()>,
}

impl Watches {
    async fn open(suite: &Suite, client: &Client, from_the_last: bool) -> Self {
        let due = (0..1 << 20).map(|_| AtomicU64::new(0)).collect();
        let due = Arc::new(Due { zero: Instant::now(), due, latencies: Mutex::default() });
        let mut open = JoinSet::new();
        for conversation in 0..WATCHED {
            let after = if from_the_last { last_sequence(suite, conversation).await } else { 0 };
            let mut connection = client.connection(usize::try_from(conversation).unwrap());
            let mut stream = connection.watch(messages::watch(conversation, after)).await.unwrap();
            let due = due.clone();
            open.spawn(async move {
                while let Some(bytes) = stream.message().await.unwrap() {
                    due.arrived(number_in(&bytes).unwrap());
                }
            });
        }
        Self { due, _open: open }
    }

    /// Posts at this rate; gives what the watches saw of it.
    async fn post_at(&self, suite: &Suite, client: &Client, rate: f64, length: Duration) -> Seen {
        self.due.latencies.lock().unwrap().clear();
        let expected = Arc::new(AtomicU64::new(0));
        let (client, messages) = (client.clone(), suite.messages.clone());
        let (due, counted) = (self.due.clone(), expected.clone());
        let call = move |number: u64, at: Instant| {
            let mut connection = client.connection(usize::try_from(number).unwrap());
            let (number, message) = messages.next();
            let nanoseconds = at.duration_since(due.zero).as_nanos();
            due.of(number).store(u64::try_from(nanoseconds).unwrap(), Ordering::Release);
            if Messages::picked(number) < WATCHED {
                counted.fetch_add(1, Ordering::Relaxed);
            }
            async move {
                connection.post(message).await.unwrap();
            }
        };
        let took = load::open(rate, length, call).await.took;
        let expected = usize::try_from(expected.load(Ordering::Relaxed)).unwrap();
        for _ in 0..3_000 {
            if self.due.latencies.lock().unwrap().len() >= expected {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let latencies = self.due.latencies.lock().unwrap().clone();
        assert_eq!(latencies.len(), expected, "each message arrives once at its watch");
        Seen::new(took, latencies)
    }
}
