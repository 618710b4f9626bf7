//! P3: one message to a thousand open watches, beside a bare broadcast of as many bytes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use prost::bytes::Bytes;
use sea_orm::sqlx;
use tokio::{sync::Notify, task::JoinSet};
use uuid::Uuid;

use super::{Plan, done};
use crate::{
    messages::{self, conversation_id},
    process::Process,
    raw::{Client, Connection},
    report::{Goal, Round, Row},
    servers::{CONNECTIONS, Suite},
};

/// So many streams are open.
const WATCHES: u64 = 1_000;
/// The conversation that is watched.
const WATCHED: u64 = 0;

/// Measures.
pub async fn run(suite: &Suite, plan: Plan) -> Row {
    let mut ours = Watched::open(&suite.client().await, last_sequence(suite, WATCHED).await).await;
    let next = || suite.messages.next_to(WATCHED).1;
    ours.post_for(plan.warm_up, next).await;

    let bare = Process::bare(suite.folder.path(), &[]).await;
    let mut bare = (Watched::open(&suite.client_of(&bare.address, CONNECTIONS).await, 0).await, bare);
    // The bare server brings what is posted: as many bytes as the service's watches got.
    let size = ours.delivered.size.load(Ordering::Relaxed);
    let padded = || {
        let mut bytes = next().to_vec();
        bytes.resize(size, b' ');
        Bytes::from(bytes)
    };
    bare.0.post_for(plan.warm_up, padded).await;

    let mut rounds = Vec::new();
    for number in 0..plan.rounds {
        let limit = bare.0.post_for(plan.length, padded).await;
        let value = ours.post_for(plan.length, next).await;
        let round = Round { value, limit, more: vec![("bytes", size as f64)] };
        done("P3", number, &round);
        rounds.push(round);
    }
    Row {
        name: "P3",
        what: "one message to 1,000 open watches; bare broadcast of as many bytes",
        unit: "deliveries/s",
        goal: Goal::AtLeast(0.7),
        rounds,
    }
}

/// The last sequence of a conversation.
pub async fn last_sequence(suite: &Suite, conversation: u64) -> i64 {
    let id: Uuid = conversation_id(conversation).parse().unwrap();
    let mut database = suite.database().await;
    let last = sqlx::query_scalar("SELECT last_sequence FROM conversations WHERE id = $1").bind(id);
    last.fetch_one(&mut database).await.unwrap()
}

#[derive(Default)]
struct Delivered {
    number: AtomicU64,
    wanted: AtomicU64,
    size: AtomicUsize,
    all: Notify,
}

/// The conversation with its open watches. They end with it.
struct Watched {
    connection: Connection,
    delivered: Arc<Delivered>,
    _watches: JoinSet<()>,
}

impl Watched {
    async fn open(client: &Client, after_sequence: i64) -> Self {
        let delivered = Arc::new(Delivered::default());
        let mut watches = JoinSet::new();
        for number in 0..WATCHES {
            let mut connection = client.connection(usize::try_from(number).unwrap());
            let mut stream = connection.watch(messages::watch(WATCHED, after_sequence)).await.unwrap();
            let delivered = delivered.clone();
            watches.spawn(async move {
                while let Some(bytes) = stream.message().await.unwrap() {
                    delivered.size.store(bytes.len(), Ordering::Relaxed);
                    let number = delivered.number.fetch_add(1, Ordering::AcqRel) + 1;
                    if number == delivered.wanted.load(Ordering::Acquire) {
                        delivered.all.notify_one();
                    }
                }
            });
        }
        Self { connection: client.connection(0), delivered, _watches: watches }
    }

    /// Posts, waits until every watch has it, posts the next. Gives deliveries per second.
    async fn post_for(&mut self, length: Duration, next: impl Fn() -> Bytes) -> f64 {
        let began = Instant::now();
        let mut deliveries = 0_u32;
        while began.elapsed() < length {
            self.delivered.wanted.fetch_add(WATCHES, Ordering::AcqRel);
            self.connection.post(next()).await.unwrap();
            let all = tokio::time::timeout(Duration::from_secs(30), self.delivered.all.notified()).await;
            let (number, wanted) = (&self.delivered.number, &self.delivered.wanted);
            assert!(all.is_ok(), "{number:?} of {wanted:?} deliveries arrived within 30 s");
            deliveries += u32::try_from(WATCHES).unwrap();
        }
        f64::from(deliveries) / began.elapsed().as_secs_f64()
    }
}
