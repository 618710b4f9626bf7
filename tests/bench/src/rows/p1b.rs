//! P1b: the outbox to JetStream alone, beside a bare pipelined publish of what the outbox published.

use std::{collections::VecDeque, time::Instant};

use async_nats::{HeaderMap, jetstream};
use futures::TryStreamExt;
use prost::bytes::Bytes;
use sea_orm::sqlx::{self, Connection as _};
use uuid::Uuid;

use super::{Plan, done};
use crate::{
    fixture::{ACCOUNT, an_event, posted},
    report::{Goal, Round, Row},
    servers::Suite,
};

/// So many publishes wait for their acknowledgement.
const IN_FLIGHT: usize = 256;
/// So many aggregates have events.
const AGGREGATES: u64 = 1_000;
const BARE: &str = "bench";

/// Measures.
pub async fn run(suite: &Suite, plan: Plan) -> Row {
    // As many as keep it busy for about the length of a round.
    let events = 15_000 * plan.length.as_secs().max(1);
    let mut first_version = 1;
    relayed(suite, 5_000, &mut first_version).await;
    published(suite, 5_000).await;
    let mut rounds = Vec::new();
    for number in 0..plan.rounds {
        let limit = published(suite, events).await;
        let value = relayed(suite, events, &mut first_version).await;
        let round = Round { value, limit, more: Vec::new() };
        done("P1b", number, &round);
        rounds.push(round);
    }
    Row {
        name: "P1b",
        what: "the outbox alone, to the bus; bare publish with message ids, 256 in flight",
        unit: "events/s",
        goal: Goal::AtLeast(0.5),
        rounds,
    }
}

/// Events per second from the outbox. They become visible with one commit, and a post wakes the relay.
async fn relayed(suite: &Suite, events: u64, first_version: &mut i64) -> f64 {
    let (client, mut database) = (suite.client().await, suite.database().await);
    suite.drained(&mut database).await;
    let mut tx = database.begin().await.unwrap();
    let mut left = events;
    while left > 0 {
        let now = left.min(AGGREGATES);
        insert(&mut tx, now, *first_version).await;
        *first_version += 1;
        left -= now;
    }
    let began = Instant::now();
    tx.commit().await.unwrap();
    client.connection(0).post(suite.messages.next().1).await.unwrap();
    suite.drained(&mut database).await;
    rate(events, began)
}

/// One event for each of the first aggregates.
async fn insert(database: &mut sqlx::PgConnection, aggregates: u64, version: i64) {
    let (mut ids, mut aggregate_ids, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    for aggregate in 0..aggregates {
        // None of these is a conversation: nobody else gives them versions.
        let aggregate = Uuid::from_u128(0x0000_0000_0000_7000_8000_0B00_0000_0000 + u128::from(aggregate));
        let id = frontdesk_clock::testing::new_id();
        ids.push(id);
        aggregate_ids.push(aggregate);
        bytes.push(posted(id, &aggregate.to_string(), version));
    }
    let rows = "INSERT INTO outbox_events (event_id, account_id, aggregate_id, version, event, created_at)
        SELECT id, $1, aggregate, $2, bytes, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
        FROM unnest($3::uuid[], $4::uuid[], $5::bytea[]) AS event (id, aggregate, bytes)";
    let insert = sqlx::query(rows).bind(ACCOUNT).bind(version).bind(ids).bind(aggregate_ids).bind(bytes);
    insert.execute(database).await.unwrap();
}

/// Events per second published bare: the headers and bytes of the last one that the outbox published, with an id of its own.
async fn published(suite: &Suite, events: u64) -> f64 {
    let client = async_nats::connect(suite.nats.url()).await.unwrap();
    let jetstream = jetstream::new(client);
    let (headers, payload) = example(&jetstream).await;
    let config = jetstream::stream::Config {
        name: BARE.into(),
        subjects: vec!["bench.>".into()],
        duplicate_window: std::time::Duration::from_secs(120),
        ..Default::default()
    };
    jetstream.get_or_create_stream(config).await.unwrap();
    let began = Instant::now();
    let mut waiting = VecDeque::with_capacity(IN_FLIGHT);
    for number in 0..events {
        if waiting.len() == IN_FLIGHT
            && let Some(oldest) = waiting.pop_front()
        {
            acknowledged(oldest).await;
        }
        let mut headers = headers.clone();
        headers.insert("Nats-Msg-Id", frontdesk_clock::testing::new_id().to_string());
        let subject = format!("bench.v1.conversation.MessagePosted.{}.{}", ACCOUNT.simple(), number % 64);
        waiting.push_back(jetstream.publish_with_headers(subject, headers, payload.clone()).await.unwrap());
    }
    for left in waiting {
        acknowledged(left).await;
    }
    rate(events, began)
}

async fn acknowledged(publish: jetstream::context::PublishAckFuture) {
    publish.await.unwrap();
}

/// A message as the outbox's relay published it; as it would be, while the bus is within the process.
async fn example(jetstream: &jetstream::Context) -> (HeaderMap, Bytes) {
    let streams: Vec<_> = jetstream.streams().try_collect().await.unwrap();
    for info in streams.into_iter().filter(|info| info.config.name != BARE && info.state.messages > 0) {
        let stream = jetstream.get_stream(&info.config.name).await.unwrap();
        if let Ok(message) = stream.get_raw_message(info.state.last_sequence).await {
            return (message.headers, message.payload);
        }
    }
    (HeaderMap::new(), an_event().into())
}

fn rate(events: u64, began: Instant) -> f64 {
    events as f64 / began.elapsed().as_secs_f64()
}
