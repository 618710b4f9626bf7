//! What only a broker can do: restart, lose its store, stand still; and what other replicas add.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use async_nats::jetstream::{self, consumer::pull};
use frontdesk_bus::Bus;
use frontdesk_db::{AccountId, Db};
use frontdesk_outbox::{Aggregate, append};
use frontdesk_proto::auth::v1::Access;
use frontdesk_test_servers::Nats;
use frontdesk_testkit::{Mode, new_id, wait_until};
use futures::StreamExt;
use sea_orm::{ConnectionTrait, Statement};
use uuid::Uuid;

use crate::{
    backend::{Backend, Recorder, SOURCE, Stuck, event, execute, prepare, publish, run},
    outbox::{HandledOnce, start_relay, unpublished, write, write_many},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i17_events_survive_a_restart_of_nats_and_the_loss_of_its_store() {
    let mut nats = Nats::start().await;
    let backend = Backend::with_nats(nats.url()).await;
    let (db, bus) = (backend.db().await, backend.bus().await);
    let once = HandledOnce::on(&db);
    bus.subscribe(once.clone(), &db);
    let _running = run(&bus).await;
    let _relay = start_relay(&db, &bus);
    let things: Vec<Uuid> = (0..10).map(|_| new_id()).collect();
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
    assert!(unpublished(&db).await > 0, "the outbox keeps what NATS cannot take");
    nats.restart().await;
    once.until(last).await;

    nats.kill().await;
    nats.lose_store();
    nats.restart().await;
    let last = write_some(40).await;
    once.until(last).await;
    wait_until("every event to be marked as published", || async { unpublished(&db).await == 0 }).await;
    let stored = versions_in_stream(&nats.url()).await;
    assert_eq!(stored.values().map(Vec::len).sum::<usize>() as i64, last, "the new stream holds every event again");

    // Now the stream alone is deleted, as an operator could do by mistake.
    let context = connect(&nats.url()).await;
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
async fn i17_a_lost_stream_is_published_again_in_parts_by_one_replica_and_new_events_do_not_wait() {
    const EVENTS: i64 = 12_000;
    let backend = Backend::new(Mode::Distributed).await;
    let (db, bus, other) = (backend.db().await, backend.bus().await, backend.bus().await);
    prepare(&bus).await;
    write_many(&db, EVENTS as usize).await;
    let (_one, _two) = (start_relay(&db, &bus), start_relay(&backend.db().await, &other));
    wait_until("every event to be published", || async { unpublished(&db).await == 0 }).await;

    let context = connect(&backend.bus_settings().url).await;
    let name = format!("{}_TEST", backend.bus_settings().prefix.to_uppercase());
    context.delete_stream(&name).await.unwrap();
    let new = new_id();
    write(&db, new, 1, true).await;
    // The broker takes each event once, however often it is published.
    wait_until("every event to be in the new stream", || async {
        let Ok(mut stream) = context.get_stream(&name).await else { return false };
        stream.info().await.unwrap().state.messages as i64 == EVENTS + 1
    })
    .await;
    let stream = context.get_stream(&name).await.unwrap();
    let has_new = async |sequence: u64| {
        let message = stream.get_raw_message(sequence).await.unwrap();
        message.headers.get("ce-aggregateid").is_some_and(|id| id.as_str() == new.to_string())
    };
    let mut sequence = 1;
    while !has_new(sequence).await {
        sequence += 1;
        assert!(sequence <= 5_001, "the new event waited behind one part at most");
    }
    let left = "SELECT count(*) AS number FROM outbox_streams WHERE republish_to IS NOT NULL";
    wait_until("the end of publishing again", || async { number(&db, left).await == 0 }).await;
    assert_eq!(unpublished(&db).await, 0);
}

/// The events of a transaction that ends after one that got later positions, and positions of one that is rolled back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i17_an_event_is_published_whose_transaction_ended_after_one_with_later_positions() {
    let backend = Backend::new(Mode::Distributed).await;
    let (db, bus) = (backend.db().await, backend.bus().await);
    let once = HandledOnce::on(&db);
    bus.subscribe(once.clone(), &db);
    let _running = run(&bus).await;
    let relay = start_relay(&db, &bus);
    let aggregate = |id| Aggregate { source: SOURCE, account: AccountId(Uuid::nil()), kind: "thing", id, version: 1 };
    write(&db, new_id(), 1, true).await;
    wait_until("the first event to be settled", || async { once.sorted() == [1] && unpublished(&db).await == 0 }).await;
    // A transaction with a lower number appends after it: the snapshot of the relay's next read does not count the slow one as in progress.
    let mut older = db.begin().await.unwrap();
    older.conn().execute_unprepared("SELECT pg_current_xact_id()").await.unwrap();
    let (mut slow, mut never) = (db.begin().await.unwrap(), db.begin().await.unwrap());
    append(&mut never, aggregate(new_id()), &Access::default()).await.unwrap();
    append(&mut slow, Aggregate { version: 7, ..aggregate(new_id()) }, &Access::default()).await.unwrap();
    append(&mut older, Aggregate { version: 2, ..aggregate(new_id()) }, &Access::default()).await.unwrap();
    older.commit().await.unwrap();
    once.until(2).await;
    assert!(unpublished(&db).await > 0, "what follows a gap is not settled while its transaction is in progress");
    drop(never);
    // Another leader goes on with the gaps that are stored.
    relay.0.cancel();
    relay.1.await.unwrap();
    let _relay = start_relay(&db, &bus);
    write(&db, new_id(), 3, true).await;
    once.until(3).await;
    slow.commit().await.unwrap();
    write(&db, new_id(), 4, true).await;
    wait_until("the late event", || async { once.sorted() == [1, 2, 3, 4, 7] }).await;
    wait_until("every event to be settled", || async { unpublished(&db).await == 0 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i17_a_stream_that_gives_numbers_again_is_noticed_at_the_next_event() {
    let backend = Backend::new(Mode::Distributed).await;
    let (db, bus) = (backend.db().await, backend.bus().await);
    prepare(&bus).await;
    let _relay = start_relay(&db, &bus);
    write_many(&db, 40).await;
    wait_until("every event to be published", || async { unpublished(&db).await == 0 }).await;

    // The marks of this event may be forgotten: it is not published again.
    let old = "UPDATE outbox_events SET created_at = created_at - 1123200000000 WHERE position = 1";
    execute(&db, old).await;
    // The relay's connection does not break, and its next event is taken.
    let context = connect(&backend.bus_settings().url).await;
    let name = format!("{}_TEST", backend.bus_settings().prefix.to_uppercase());
    let config = context.get_stream(&name).await.unwrap().cached_info().config.clone();
    context.delete_stream(&name).await.unwrap();
    context.create_stream(config).await.unwrap();
    let lost = Instant::now();
    write(&db, new_id(), 1, true).await;
    wait_until("every event but that to be in the new stream", || async {
        context.get_stream(&name).await.unwrap().cached_info().state.messages == 40
    })
    .await;
    assert!(lost.elapsed() < Duration::from_secs(10), "noticed by the acknowledgement, not by the next check");
}

async fn number(db: &Db, sql: &str) -> i64 {
    let statement = Statement::from_string(db.read().get_database_backend(), sql);
    db.read().query_one_raw(statement).await.unwrap().unwrap().try_get("", "number").unwrap()
}

/// The server is back after a different time in each round, at other moments of the clients' attempts to connect.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r14_after_each_restart_of_nats_the_first_event_comes_within_two_seconds() {
    const RESTARTS: u32 = 20;
    let mut nats = Nats::start().await;
    let backend = Backend::with_nats(nats.url()).await;
    let (db, bus) = (backend.db().await, backend.bus().await);
    let once = HandledOnce::on(&db);
    bus.subscribe(once.clone(), &db);
    let _running = run(&bus).await;
    let _relay = start_relay(&db, &bus);
    let mut recoveries = Vec::new();
    for restart in 1..=RESTARTS {
        nats.kill().await;
        write(&db, new_id(), restart.into(), true).await;
        tokio::time::sleep(Duration::from_millis(u64::from(restart * 37 % 500))).await;
        nats.restart().await;
        let ready = Instant::now();
        once.until(restart.into()).await;
        recoveries.push(ready.elapsed());
    }
    let worst = recoveries.iter().max().unwrap();
    println!("{RESTARTS} restarts, the longest recovery {worst:?}");
    // A request whose answer was lost with the connection would wait for two seconds.
    assert!(*worst < Duration::from_millis(1_500), "{recoveries:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i17_a_paused_nats_server_delays_events_and_loses_none() {
    let nats = Nats::start().await;
    let backend = Backend::with_nats(nats.url()).await;
    let (db, bus) = (backend.db().await, backend.bus().await);
    let once = HandledOnce::on(&db);
    bus.subscribe(once.clone(), &db);
    let _running = run(&bus).await;
    let _relay = start_relay(&db, &bus);
    let id = new_id();
    for version in 1..=60 {
        if version == 20 {
            nats.process().pause();
        }
        write(&db, id, version, true).await;
    }
    // Longer than the client waits for an acknowledgement.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(unpublished(&db).await > 0, "nothing is acknowledged while the server stands still");
    nats.process().resume();
    once.until(60).await;
    let stored = versions_in_stream(&nats.url()).await;
    assert_eq!(stored.into_values().collect::<Vec<_>>(), [(1..=60).collect::<Vec<i64>>()], "once, and in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn change_notifications_reach_other_replicas_and_a_reconnect_notifies_every_subscriber() {
    let mut nats = Nats::start().await;
    let backend = Backend::with_nats(nats.url()).await;
    let (here, there) = (backend.bus().await, backend.bus().await);
    let (local, remote) = (here.change_notifier("things"), there.change_notifier("things"));
    let (_one, _two) = (run(&here).await, run(&there).await);
    let (id, other) = (new_id(), new_id());
    let (mut changed, mut unchanged) = (remote.subscribe(id), remote.subscribe(other));
    // The other replica may not have subscribed at the server yet.
    wait_until("the notification", || async {
        local.notify(id);
        tokio::time::timeout(Duration::from_millis(50), changed.clone().changed()).await.is_ok()
    })
    .await;
    assert!(!unchanged.has_changed().unwrap());
    changed.borrow_and_update();
    nats.kill().await;
    nats.restart().await;
    tokio::time::timeout(Duration::from_secs(20), changed.changed()).await.expect("a notification").unwrap();
    unchanged.changed().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_in_progress_is_not_delivered_to_another_replica() {
    const EVENTS: usize = 8;
    let backend = Backend::new(Mode::Distributed).await;
    let (db, one, other) = (backend.db().await, backend.bus().await, backend.bus().await);
    let (slow, idle) = (Stuck::new("slow"), Recorder::acknowledging("slow"));
    one.subscribe(slow.clone(), &db);
    other.subscribe(idle.clone(), &db);
    let _one = run(&one).await;
    publish(&one, &(0..EVENTS).map(|_| event("test.Thing")).collect::<Vec<_>>()).await;
    wait_until("the handlers", || async { slow.started() == EVENTS }).await;
    let _other = run(&other).await;
    // A delivery that is not acknowledged in time is repeated, unless its replica reports that the handler still works.
    wait_for_a_redelivery(&backend, "slow").await;
    assert!(idle.deliveries.lock().unwrap().is_empty(), "the handlers are still working");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_the_operator_manages_are_checked_and_not_created() {
    let backend = Backend::new(Mode::Distributed).await;
    let settings = frontdesk_bus::BusSettings { manage_streams: false, ..backend.bus_settings() };
    let checking = Bus::jet_stream(settings, &backend.clock).await.unwrap();
    wait_until("a connection", || async {
        let error = checking.prepare(&["test"]).await.unwrap_err().to_string();
        error.contains("stream not found")
    })
    .await;
    // A bus with the default setting creates it in the place of the operator.
    prepare(&backend.bus().await).await;
    checking.prepare(&["test"]).await.unwrap();
}

/// Waits until the server has redelivered an event that a consumer of the test does not acknowledge. That consumer
/// waits as long for an acknowledgement as `durable` does, so every unreported delivery of `durable` from before the
/// call was redelivered too.
async fn wait_for_a_redelivery(backend: &Backend, durable: &str) {
    let settings = backend.bus_settings();
    let context = connect(&settings.url).await;
    let name = format!("{}_TEST", settings.prefix.to_uppercase());
    let stream = context.get_stream(name).await.unwrap();
    let ack_wait = stream.consumer_info(durable).await.unwrap().config.ack_wait;
    let config = pull::Config { ack_wait, ..pull::Config::default() };
    let silent = stream.create_consumer(config).await.unwrap();
    let mut messages = silent.stream().max_messages_per_batch(1).messages().await.unwrap();
    let waiting = async { while messages.next().await.unwrap().unwrap().info().unwrap().delivered < 2 {} };
    tokio::time::timeout(ack_wait * 4, waiting).await.expect("a redelivery");
}

async fn connect(url: &str) -> jetstream::Context {
    jetstream::new(async_nats::connect(url).await.unwrap())
}

async fn stream_name(context: &jetstream::Context) -> String {
    context.stream_names().next().await.unwrap().unwrap()
}

/// The versions of each aggregate, in the order of the stream.
async fn versions_in_stream(url: &str) -> HashMap<String, Vec<i64>> {
    let context = connect(url).await;
    let stream = context.get_stream(stream_name(&context).await).await.unwrap();
    let mut found: HashMap<String, Vec<i64>> = HashMap::new();
    for sequence in 1..=stream.cached_info().state.last_sequence {
        let message = stream.get_raw_message(sequence).await.unwrap();
        let header = |name: &str| message.headers.get(name).map(|value| value.as_str().to_owned()).unwrap();
        found.entry(header("ce-aggregateid")).or_default().push(header("ce-aggregateversion").parse().unwrap());
    }
    found
}
