//! What only a broker can do to us: die, forget, stand still; and what other replicas add.

use std::{collections::HashMap, time::Duration};

use frontdesk_bus::Bus;
use frontdesk_test_servers::Nats;
use futures::StreamExt;
use uuid::Uuid;

use crate::{
    outbox::{Once, start_relay, waiting, write},
    rig::{Rig, ready, until},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i17_events_survive_a_broker_that_restarts_and_one_that_lost_its_store() {
    let mut nats = Nats::start().await;
    let rig = Rig::with_broker(nats.url()).await;
    let (db, bus) = (rig.db().await, rig.bus().await);
    let once = Once::on(&db);
    bus.subscribe(once.clone(), &db);
    let _running = ready(&bus).await;
    let _relay = start_relay(&db, &bus);
    let things: Vec<Uuid> = (0..10).map(|_| frontdesk_clock::testing::new_id()).collect();
    let mut version = 0;
    let mut write_some = async |more: usize| {
        for _ in 0..more {
            version += 1;
            write(&db, things[version as usize % 10], version, true).await;
        }
        version
    };
    once.until(write_some(40).await).await;

    nats.kill().await;
    let last = write_some(40).await;
    assert!(waiting(&db).await > 0, "the outbox keeps what the broker cannot take");
    nats.start_again().await;
    once.until(last).await;

    nats.kill().await;
    nats.lose_store();
    nats.start_again().await;
    let last = write_some(40).await;
    once.until(last).await;
    until("everything to be marked", || async { waiting(&db).await == 0 }).await;
    let stored = versions_in_stream(&nats.url()).await;
    assert_eq!(stored.values().map(Vec::len).sum::<usize>() as i64, last, "the new stream holds everything again");

    // The stream alone is deleted, by hand.
    let context = async_nats::jetstream::new(async_nats::connect(nats.url()).await.unwrap());
    let name = stream_name(&context).await;
    context.delete_stream(&name).await.unwrap();
    let last = write_some(10).await;
    once.until(last).await;
    let stored = versions_in_stream(&nats.url()).await;
    for versions in stored.values() {
        assert!(versions.is_sorted(), "in order for each aggregate: {versions:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_stands_still_delays_and_loses_nothing() {
    let nats = Nats::start().await;
    let rig = Rig::with_broker(nats.url()).await;
    let (db, bus) = (rig.db().await, rig.bus().await);
    let once = Once::on(&db);
    bus.subscribe(once.clone(), &db);
    let _running = ready(&bus).await;
    let _relay = start_relay(&db, &bus);
    let id = frontdesk_clock::testing::new_id();
    for version in 1..=60 {
        if version == 20 {
            nats.process().pause();
        }
        write(&db, id, version, true).await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    nats.process().resume();
    once.until(60).await;
    let stored = versions_in_stream(&nats.url()).await;
    assert_eq!(stored.into_values().collect::<Vec<_>>(), [(1..=60).collect::<Vec<i64>>()], "once, and in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hints_reach_other_replicas_and_after_a_cut_everybody_reads_again() {
    let mut nats = Nats::start().await;
    let rig = Rig::with_broker(nats.url()).await;
    let (here, there) = (rig.bus().await, rig.bus().await);
    let (hints, elsewhere) = (here.change_notifier("things"), there.change_notifier("things"));
    let (_one, _two) = (ready(&here).await, ready(&there).await);
    let (id, other) = (frontdesk_clock::testing::new_id(), frontdesk_clock::testing::new_id());
    let (mut followed, mut not_meant) = (elsewhere.subscribe(id), elsewhere.subscribe(other));
    // The other may not listen yet.
    until("the hint", || async {
        hints.notify(id);
        tokio::time::timeout(Duration::from_millis(50), followed.clone().changed()).await.is_ok()
    })
    .await;
    assert!(!not_meant.has_changed().unwrap());
    followed.borrow_and_update();
    nats.kill().await;
    nats.start_again().await;
    tokio::time::timeout(Duration::from_secs(20), followed.changed()).await.expect("a reason to read").unwrap();
    not_meant.changed().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operators_streams_are_checked_and_not_made() {
    let rig = Rig::distributed().await;
    let settings = frontdesk_bus::BusSettings { manage_streams: false, ..rig.bus_settings() };
    let checking = Bus::jet_stream(settings, &frontdesk_clock::Clock::system()).await.unwrap();
    until("a connection", || async {
        let refused = checking.prepare(&["test"]).await.unwrap_err().to_string();
        refused.contains("stream not found")
    })
    .await;
    // The operator makes it, here with our own hands.
    let making = rig.bus().await;
    ready(&making).await;
    checking.prepare(&["test"]).await.unwrap();
}

async fn stream_name(context: &async_nats::jetstream::Context) -> String {
    context.stream_names().next().await.unwrap().unwrap()
}

/// The versions of each aggregate, in the order of the stream.
async fn versions_in_stream(url: &str) -> HashMap<String, Vec<i64>> {
    let context = async_nats::jetstream::new(async_nats::connect(url).await.unwrap());
    let stream = context.get_stream(stream_name(&context).await).await.unwrap();
    let mut found: HashMap<String, Vec<i64>> = HashMap::new();
    for sequence in 1..=stream.cached_info().state.last_sequence {
        let message = stream.get_raw_message(sequence).await.unwrap();
        let header = |name: &str| message.headers.get(name).map(|value| value.as_str().to_owned()).unwrap();
        found.entry(header("ce-aggregateid")).or_default().push(header("ce-aggregateversion").parse().unwrap());
    }
    found
}
