//! P1b: events per second from the outbox to JetStream. Baseline: the same messages published directly.

use std::{collections::VecDeque, time::Instant};

use async_nats::{HeaderMap, jetstream};
use futures::TryStreamExt;
use prost::bytes::Bytes;
use sea_orm::sqlx::{self, Connection as _};
use uuid::Uuid;

use super::{Plan, print_round};
use crate::{
    deployment::Deployment,
    fixture::{ACCOUNT, message_posted, sample_event},
    report::{Goal, Round, Row},
};

/// Number of published messages of the baseline that wait for their acknowledgement.
const IN_FLIGHT: usize = 256;
/// Number of aggregates that have events.
const AGGREGATES: u64 = 1_000;
/// Name of the stream of the baseline.
const BASELINE_STREAM: &str = "bench";

/// Number of events of a round for each second of its length.
const EVENTS_PER_SECOND: u64 = 15_000;
/// Number of events of the warm-up.
const WARM_UP_EVENTS: u64 = 5_000;

/// Measures the row.
pub async fn run(deployment: &Deployment, plan: Plan) -> Row {
    let events = EVENTS_PER_SECOND * plan.length.as_secs().max(1);
    let mut first_version = 1;
    relay_rate(deployment, WARM_UP_EVENTS, &mut first_version).await;
    publish_rate(deployment, WARM_UP_EVENTS).await;
    let mut rounds = Vec::new();
    for number in 0..plan.rounds {
        let baseline = publish_rate(deployment, events).await;
        let value = relay_rate(deployment, events, &mut first_version).await;
        let round = Round { value, baseline, more: Vec::new() };
        print_round("P1b", number, &round);
        rounds.push(round);
    }
    Row {
        name: "P1b",
        what: "events from the outbox to the bus; direct publish with message ids, 256 in flight",
        unit: "events/s",
        goal: Goal::AtLeast(0.5),
        rounds,
    }
}

/// Events per second that the relay publishes. The events become visible with one commit, and a posted message wakes the relay.
async fn relay_rate(deployment: &Deployment, events: u64, first_version: &mut i32) -> f64 {
    let (client, mut database) = (deployment.client().await, deployment.database().await);
    deployment.drain_outbox(&mut database).await;
    let mut tx = database.begin().await.unwrap();
    let mut left = events;
    while left > 0 {
        let count = left.min(AGGREGATES);
        insert(&mut tx, count, *first_version).await;
        *first_version += 1;
        left -= count;
    }
    let began = Instant::now();
    tx.commit().await.unwrap();
    client.connection(0).post(deployment.messages.next().1).await.unwrap();
    deployment.drain_outbox(&mut database).await;
    rate(events, began)
}

/// Inserts one event for each of the first `aggregates` aggregates.
async fn insert(database: &mut sqlx::PgConnection, aggregates: u64, version: i32) {
    let (mut ids, mut aggregate_ids, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    for aggregate in 0..aggregates {
        // No conversation has this id, so that the versions do not collide.
        let aggregate = Uuid::from_u128(0x0000_0000_0000_7000_8000_0B00_0000_0000 + u128::from(aggregate));
        let id = frontdesk_clock::testing::new_id();
        ids.push(id);
        aggregate_ids.push(aggregate);
        bytes.push(message_posted(id, &aggregate.to_string(), version));
    }
    let rows = "INSERT INTO outbox_events (event_id, account_id, aggregate_id, version, event, created_at, published_at)
        SELECT id, $1, aggregate, $2, bytes, now, now FROM unnest($3::uuid[], $4::uuid[], $5::bytea[]) AS event (id, aggregate, bytes),
            (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) AS time (now)";
    let insert = sqlx::query(rows).bind(ACCOUNT).bind(i64::from(version)).bind(ids).bind(aggregate_ids).bind(bytes);
    insert.execute(database).await.unwrap();
}

/// Events per second of a direct publish, with the headers and payload of the last message that the relay published and new
/// message ids.
async fn publish_rate(deployment: &Deployment, events: u64) -> f64 {
    let client = async_nats::connect(deployment.nats.url()).await.unwrap();
    let jetstream = jetstream::new(client);
    let (headers, payload) = sample_message(&jetstream).await;
    let config = jetstream::stream::Config {
        name: BASELINE_STREAM.into(),
        subjects: vec!["bench.>".into()],
        duplicate_window: std::time::Duration::from_secs(120),
        ..Default::default()
    };
    jetstream.get_or_create_stream(config).await.unwrap();
    let began = Instant::now();
    let mut waiting: VecDeque<jetstream::context::PublishAckFuture> = VecDeque::with_capacity(IN_FLIGHT);
    for number in 0..events {
        if waiting.len() == IN_FLIGHT
            && let Some(oldest) = waiting.pop_front()
        {
            oldest.await.unwrap();
        }
        let mut headers = headers.clone();
        headers.insert("Nats-Msg-Id", frontdesk_clock::testing::new_id().to_string());
        let subject = format!("bench.v1.conversation.MessagePosted.{}.{}", ACCOUNT.simple(), number % 64);
        waiting.push_back(jetstream.publish_with_headers(subject, headers, payload.clone()).await.unwrap());
    }
    for publish in waiting {
        publish.await.unwrap();
    }
    rate(events, began)
}

/// The last message that the relay published, or one like it with the in-process bus.
async fn sample_message(jetstream: &jetstream::Context) -> (HeaderMap, Bytes) {
    let streams: Vec<_> = jetstream.streams().try_collect().await.unwrap();
    for info in streams.into_iter().filter(|info| info.config.name != BASELINE_STREAM && info.state.messages > 0) {
        let stream = jetstream.get_stream(&info.config.name).await.unwrap();
        if let Ok(message) = stream.get_raw_message(info.state.last_sequence).await {
            return (message.headers, message.payload);
        }
    }
    (HeaderMap::new(), sample_event().into())
}

fn rate(events: u64, began: Instant) -> f64 {
    events as f64 / began.elapsed().as_secs_f64()
}
