//! Waiting until no event is on its way: what a test waits for before it states that something did not happen.

use async_nats::jetstream;
use frontdesk_db::Db;
use futures::TryStreamExt;
use sea_orm::{ConnectionTrait, Statement};

use crate::wait_until;

/// Where events are kept between an outbox and the consumers.
#[derive(Clone)]
pub enum EventQueue {
    /// The database of the in-process bus.
    InProcess(Db),
    /// The NATS server at `url`, and the prefix of the streams.
    Nats {
        /// Address of the server.
        url: String,
        /// Prefix of the names of the streams.
        prefix: String,
    },
}

/// Waits until every event in the outboxes of `databases` is published and handled, also those that handlers appended
/// meanwhile. Timers and deliveries are no events: wait for their effect.
///
/// # Panics
/// After 60 seconds.
pub async fn settled(databases: &[Db], queue: &EventQueue) {
    wait_until("every event to be handled", || async {
        // The queue is read between two looks at the outboxes: a handler that appends an event commits before it
        // acknowledges, so an empty queue and unchanged outboxes mean that nothing is left.
        let Some(before) = last_positions(databases).await else { return false };
        queue.pending().await == 0 && last_positions(databases).await == Some(before)
    })
    .await;
}

/// The last position of each outbox. None: an event is not published yet.
async fn last_positions(databases: &[Db]) -> Option<Vec<i64>> {
    const SQL: &str = "SELECT coalesce(max(position), 0) AS last, \
        coalesce(sum(CASE WHEN position > (SELECT settled_to FROM outbox_progress) THEN 1 ELSE 0 END), 0) AS unpublished \
        FROM outbox_events";
    let mut positions = Vec::new();
    for db in databases {
        let row = query(db, SQL).await;
        if row.try_get::<i64>("", "unpublished").expect("a count") > 0 {
            return None;
        }
        positions.push(row.try_get("", "last").expect("a position"));
    }
    Some(positions)
}

async fn query(db: &Db, sql: &str) -> sea_orm::QueryResult {
    let statement = Statement::from_string(db.read().get_database_backend(), sql);
    db.read().query_one_raw(statement).await.expect("a query").expect("a row")
}

impl EventQueue {
    /// Number of events that a consumer has not handled, counted for each consumer.
    async fn pending(&self) -> u64 {
        match self {
            Self::InProcess(db) => {
                let row = query(db, "SELECT count(*) AS pending FROM pending").await;
                row.try_get::<i64>("", "pending").expect("a count").unsigned_abs()
            }
            Self::Nats { url, prefix } => {
                let client = async_nats::connect(url).await.expect("the NATS server");
                pending_at(&jetstream::new(client), prefix).await.unwrap_or(u64::MAX)
            }
        }
    }
}

/// None: the server did not answer.
async fn pending_at(context: &jetstream::Context, prefix: &str) -> Option<u64> {
    let begins = format!("{}_", prefix.to_uppercase().replace('-', "_"));
    let names: Vec<String> = context.stream_names().try_collect().await.ok()?;
    let mut pending = 0;
    for name in names.into_iter().filter(|name| name.starts_with(&begins)) {
        let stream = context.get_stream(name).await.ok()?;
        let consumers: Vec<jetstream::consumer::Info> = stream.consumers().try_collect().await.ok()?;
        pending += consumers.iter().map(|info| info.num_pending + info.num_ack_pending as u64).sum::<u64>();
    }
    Some(pending)
}
