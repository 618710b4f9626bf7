//! P3: deliveries of one message to a thousand open watches. Baseline: the baseline server sends messages of the same size.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use frontdesk_bench::{
    messages::{conversation_id, watch_request},
    raw::{Client, Connection},
};
use prost::bytes::Bytes;
use sea_orm::sqlx;
use tokio::{sync::Notify, task::JoinSet};
use uuid::Uuid;

use super::{Plan, print_round};
use crate::{
    deployment::{CONNECTIONS, Deployment},
    process::Process,
    report::{Goal, Round, Row},
};

/// Number of open watches.
const WATCHES: u64 = 1_000;
/// Number of the conversation that is watched.
const CONVERSATION: u64 = 0;

/// Measures the row.
pub async fn run(deployment: &Deployment, plan: Plan) -> Row {
    let last_sequence = last_sequence(deployment, CONVERSATION).await;
    let mut frontdesk = WatchedConversation::open(&deployment.client().await, last_sequence).await;
    let next = || deployment.messages.next_to(CONVERSATION).1;
    frontdesk.delivery_rate(plan.warm_up, next).await;

    let server = Process::baseline(deployment.folder.path(), &[]).await;
    let client = deployment.client_of(&server.address, CONNECTIONS).await;
    let mut baseline = WatchedConversation::open(&client, 0).await;
    // The baseline server sends the posted bytes, so they are padded to the size of a response of Frontdesk's watches.
    let size = frontdesk.delivered.size.load(Ordering::Relaxed);
    let padded = || {
        let mut bytes = next().to_vec();
        bytes.resize(size, b' ');
        Bytes::from(bytes)
    };
    baseline.delivery_rate(plan.warm_up, padded).await;

    let mut rounds = Vec::new();
    for number in 0..plan.rounds {
        let baseline_rate = baseline.delivery_rate(plan.length, padded).await;
        let value = frontdesk.delivery_rate(plan.length, next).await;
        let round = Round { value, baseline: baseline_rate, more: vec![("bytes", size as f64)] };
        print_round("P3", number, &round);
        rounds.push(round);
    }
    Row {
        name: "P3",
        what: "one message to 1,000 open watches; the baseline server with as many bytes",
        unit: "deliveries/s",
        goal: Goal::AtLeast(0.7),
        rounds,
    }
}

/// The sequence of the last entry of a conversation.
pub async fn last_sequence(deployment: &Deployment, conversation: u64) -> i32 {
    let id: Uuid = conversation_id(conversation).parse().unwrap();
    let mut database = deployment.database().await;
    let last = sqlx::query_scalar::<_, i64>("SELECT last_sequence FROM conversations WHERE id = $1").bind(id);
    last.fetch_one(&mut database).await.unwrap().try_into().unwrap()
}

#[derive(Default)]
struct Delivered {
    /// Number of messages that the watches have received.
    count: AtomicU64,
    /// Number of messages that the watches will have received when all have the last posted one.
    expected: AtomicU64,
    /// Size of the last received message, in bytes.
    size: AtomicUsize,
    /// Notified when `count` reaches `expected`.
    all: Notify,
}

/// A conversation with open watches. They end when it is dropped.
struct WatchedConversation {
    connection: Connection,
    delivered: Arc<Delivered>,
    _watches: JoinSet<()>,
}

impl WatchedConversation {
    async fn open(client: &Client, after_sequence: i32) -> Self {
        let delivered = Arc::new(Delivered::default());
        let mut watches = JoinSet::new();
        for number in 0..WATCHES {
            let mut connection = client.connection(usize::try_from(number).unwrap());
            let mut stream = connection.watch(watch_request(CONVERSATION, after_sequence)).await.unwrap();
            let delivered = delivered.clone();
            watches.spawn(async move {
                while let Some(bytes) = stream.message().await.unwrap() {
                    delivered.size.store(bytes.len(), Ordering::Relaxed);
                    let count = delivered.count.fetch_add(1, Ordering::AcqRel) + 1;
                    if count == delivered.expected.load(Ordering::Acquire) {
                        delivered.all.notify_one();
                    }
                }
            });
        }
        Self { connection: client.connection(0), delivered, _watches: watches }
    }

    /// Posts a message, waits until every watch has received it, and posts the next. Returns deliveries per second.
    async fn delivery_rate(&mut self, length: Duration, next: impl Fn() -> Bytes) -> f64 {
        let began = Instant::now();
        let mut deliveries = 0_u32;
        while began.elapsed() < length {
            self.delivered.expected.fetch_add(WATCHES, Ordering::AcqRel);
            self.connection.post(next()).await.unwrap();
            let all = tokio::time::timeout(Duration::from_secs(30), self.delivered.all.notified()).await;
            let (count, expected) = (&self.delivered.count, &self.delivered.expected);
            assert!(all.is_ok(), "{count:?} of {expected:?} deliveries arrived within 30 s");
            deliveries += u32::try_from(WATCHES).unwrap();
        }
        f64::from(deliveries) / began.elapsed().as_secs_f64()
    }
}
