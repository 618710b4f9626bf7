//! Consumers after their stream came back shorter, when they are far behind it, and in a cluster.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_nats::jetstream;
use frontdesk_bus::{Bus, BusSettings, Consumer, Outcome};
use frontdesk_proto::{auth::v1::Access, event::v1::Event};
use frontdesk_test_servers::Nats;
use frontdesk_testkit::{Mode, new_id, wait_until};
use prost::Name;

use crate::{
    backend::{Backend, Gate, Recorder, SOURCE, event, prepare, publish, run},
    outbox::{start_relay, unpublished, write, write_many},
};

/// Counts the deliveries of each version, without marks.
#[derive(Clone, Default)]
struct Versions(Arc<Mutex<HashMap<i64, usize>>>);

impl Versions {
    async fn until(&self, what: &str, versions: impl Iterator<Item = i64> + Clone, times: usize) {
        wait_until(what, || async {
            let seen = self.0.lock().unwrap();
            versions.clone().all(|version| seen.get(&version).is_some_and(|seen| *seen >= times))
        })
        .await;
    }
}

#[async_trait::async_trait]
impl Consumer for Versions {
    fn name(&self) -> &'static str {
        "test.versions"
    }

    fn source(&self) -> &'static str {
        SOURCE
    }

    fn types(&self) -> Vec<String> {
        vec![Access::full_name()]
    }

    async fn handle(&self, event: &Event) -> Outcome {
        *self.0.lock().unwrap().entry(event.version.into()).or_default() += 1;
        Outcome::Ack
    }
}

/// The consumers' files are newer than those of the stream, as after a power failure.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r4_events_of_a_stream_that_came_back_shorter_than_its_consumers_reach_them_again() {
    let mut nats = Nats::start().await;
    let backend = Backend::with_nats(nats.url()).await;
    let (db, bus) = (backend.db().await, backend.bus().await);
    let versions = Versions::default();
    bus.subscribe(versions.clone(), &db);
    let _running = run(&bus).await;
    let _relay = start_relay(&db, &bus);
    let id = new_id();
    for version in 1..=40 {
        write(&db, id, version, true).await;
    }
    versions.until("the first events", 1..=40, 1).await;
    backend.settled(&db).await;
    nats.kill().await;
    let older = tempfile::tempdir().unwrap();
    nats.copy_store(older.path());
    nats.restart().await;
    for version in 41..=80 {
        write(&db, id, version, true).await;
    }
    versions.until("the later events", 41..=80, 1).await;
    backend.settled(&db).await;
    // In order, so that the position of the consumer is stored.
    nats.process().terminate(Duration::from_secs(10)).await.expect("the end of the server");
    nats.kill().await;
    nats.restore_messages(older.path());
    for version in 81..=120 {
        write(&db, id, version, true).await;
    }
    nats.restart().await;
    versions.until("the new events", 81..=120, 1).await;
    versions.until("the lost events", 41..=80, 2).await;
    wait_until("every event to be marked as published", || async { unpublished(&db).await == 0 }).await;
}

/// Events that were sent before the connection was lost can arrive after it, and their acknowledgements be lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r4_events_that_a_shorter_stream_takes_before_it_is_checked_hide_no_lost_event() {
    let mut nats = Nats::start().await;
    let backend = Backend::with_nats(nats.url()).await;
    let (db, bus) = (backend.db().await, backend.bus().await);
    let versions = Versions::default();
    bus.subscribe(versions.clone(), &db);
    let _running = run(&bus).await;
    let (stop, relay) = start_relay(&db, &bus);
    write(&db, new_id(), 1, true).await;
    versions.until("the first event", 1..=1, 1).await;
    nats.kill().await;
    let older = tempfile::tempdir().unwrap();
    nats.copy_store(older.path());
    nats.restart().await;
    let id = new_id();
    for version in 1..=10 {
        write(&db, id, version, true).await;
    }
    versions.until("the later events", 2..=10, 1).await;
    wait_until("every event to be marked as published", || async { unpublished(&db).await == 0 }).await;
    stop.cancel();
    relay.await.unwrap();
    nats.kill().await;
    nats.restore_store(older.path());
    nats.restart().await;
    let unseen: Vec<Event> = (0..3).map(|_| event("test.Other")).collect();
    wait_until("events that take the numbers of lost ones", || async {
        bus.publish(&unseen).await.iter().all(Result::is_ok)
    })
    .await;
    let _relay = start_relay(&db, &bus);
    versions.until("the lost events", 1..=10, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i17_a_stream_takes_no_event_in_the_place_of_one_that_a_consumer_has_not_handled() {
    const EVENTS: usize = 600;
    let backend = Backend::new(Mode::Distributed).await;
    let settings = BusSettings { stream_max_bytes: 128 << 10, ..backend.bus_settings() };
    let (db, bus) = (backend.db().await, Bus::jet_stream(settings, &backend.clock).await.unwrap());
    let gate = Gate::default();
    let (slow, quick) = (Recorder::acknowledging("slow").behind(&gate), Recorder::acknowledging("quick"));
    bus.subscribe(slow.clone(), &db);
    bus.subscribe(quick.clone(), &db);
    let _running = run(&bus).await;
    let events: Vec<Event> = (0..EVENTS).map(|_| event("test.Thing")).collect();
    let mut published = 0;
    while let Some(Ok(_)) = bus.publish(&events[published..=published]).await.first() {
        published += 1;
    }
    assert!(published > 50, "{published} were published");
    let refused = bus.publish(&events[published..]).await;
    assert_eq!(refused.len(), EVENTS - published, "each has its result");
    let why = refused.into_iter().next().unwrap().unwrap_err().to_string();
    assert!(why.ends_with("is full of events that slow has not handled"), "{why}");
    quick.until("what was published", |seen| seen.len() == published).await;

    gate.open();
    for next in published..EVENTS {
        wait_until("room for the next event", || async { bus.publish(&events[next..=next]).await[0].is_ok() }).await;
    }
    for consumer in [slow, quick] {
        consumer.until("every event", |seen| seen.len() == EVENTS).await;
    }
}

/// What the stream discards meanwhile, such a consumer never receives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i17_the_consumer_of_another_program_that_stands_still_holds_up_no_event() {
    const EVENTS: usize = 600;
    let backend = Backend::new(Mode::Distributed).await;
    let settings = BusSettings { stream_max_bytes: 128 << 10, ..backend.bus_settings() };
    let (db, bus) = (backend.db().await, Bus::jet_stream(settings.clone(), &backend.clock).await.unwrap());
    let quick = Recorder::acknowledging("quick");
    bus.subscribe(quick.clone(), &db);
    let _running = run(&bus).await;
    let context = jetstream::new(async_nats::connect(&settings.url).await.unwrap());
    let stream = context.get_stream(format!("{}_TEST", settings.prefix.to_uppercase())).await.unwrap();
    let reader = jetstream::consumer::pull::Config {
        durable_name: Some("reader".into()),
        filter_subject: format!("{}.v1.test.*.*.*", settings.prefix),
        ..Default::default()
    };
    stream.create_consumer(reader).await.unwrap();
    let events: Vec<Event> = (0..EVENTS).map(|_| event("test.Thing")).collect();
    for next in 0..EVENTS {
        wait_until("room for the next event", || async { bus.publish(&events[next..=next]).await[0].is_ok() }).await;
    }
    quick.until("every event", |seen| seen.len() == EVENTS).await;
    assert!(stream_info(&settings).await.state.first_sequence > 1, "the stream is too small for all events");
    assert_eq!(
        stream.consumer_info("reader").await.unwrap().delivered.consumer_sequence,
        0,
        "the reader received none"
    );
}

/// What a relay knew of the stream when it led before does not hold after another one filled it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i17_a_relay_that_leads_again_publishes_nothing_in_the_place_of_unhandled_events() {
    let backend = Backend::new(Mode::Distributed).await;
    let settings = BusSettings { stream_max_bytes: 128 << 10, ..backend.bus_settings() };
    let open = async || Bus::jet_stream(settings.clone(), &backend.clock).await.unwrap();
    let (db, former, other) = (backend.db().await, open().await, open().await);
    let slow = Recorder::acknowledging("slow");
    former.subscribe(slow.clone(), &db);
    prepare(&former).await;
    let (shutdown, relay) = start_relay(&db, &former);
    write(&db, new_id(), 1, true).await;
    wait_until("the first event to be published", || async { unpublished(&db).await == 0 }).await;
    shutdown.cancel();
    relay.await.unwrap();

    prepare(&other).await;
    let mut published = 0;
    while other.publish(&[event("test.Thing")]).await[0].is_ok() {
        published += 1;
    }
    write_many(&db, 300).await;
    let _relay = start_relay(&db, &former);
    // Long enough for some attempts.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let replayed = former.replay("slow", &event("test.Thing")).await.unwrap_err().to_string();
    assert!(replayed.ends_with("is full of events that slow has not handled"), "{replayed}");
    let _running = run(&former).await;
    slow.until("every event", |seen| seen.len() == published).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i17_an_older_replica_leaves_a_consumer_the_types_of_a_newer_one() {
    struct Newer;
    #[async_trait::async_trait]
    impl Consumer for Newer {
        fn name(&self) -> &'static str {
            "one"
        }
        fn source(&self) -> &'static str {
            SOURCE
        }
        fn types(&self) -> Vec<String> {
            vec!["test.Thing".into(), "test.New".into()]
        }
        async fn handle(&self, _: &Event) -> Outcome {
            Outcome::Ack
        }
    }
    let backend = Backend::new(Mode::Distributed).await;
    let (db, newer, older) = (backend.db().await, backend.bus().await, backend.bus().await);
    newer.subscribe(Newer, &db);
    prepare(&newer).await;
    let recorder = Recorder::acknowledging("one");
    older.subscribe(recorder.clone(), &db);
    let running = run(&older).await;
    publish(&older, &[event("test.New"), event("test.Thing")]).await;
    recorder.until("the event of the known type", |seen| seen.len() == 1).await;
    running.stop().await;
    let context = jetstream::new(async_nats::connect(backend.bus_settings().url).await.unwrap());
    let stream = context.get_stream(format!("{}_TEST", backend.bus_settings().prefix.to_uppercase())).await.unwrap();
    let filters = stream.consumer_info("one").await.unwrap().config.filter_subjects;
    assert!(filters.iter().any(|subject| subject.contains(".New.")), "{filters:?}");
    let _running = run(&newer).await;
    tokio::time::timeout(Duration::from_secs(20), backend.settled(&db)).await.expect("the new event is handled");
}

/// The stream's leader is killed while events are published and handled, then started again, then the next leader.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r4_a_cluster_that_loses_a_node_loses_no_event() {
    let mut nodes = Nats::start_cluster().await;
    let urls = nodes.each_ref().map(Nats::url);
    let backend = Backend::with_nats(urls.join(",")).await;
    let settings = BusSettings { stream_replicas: 3, ..backend.bus_settings() };
    let (db, bus) = (backend.db().await, Bus::jet_stream(settings, &backend.clock).await.unwrap());
    let versions = Versions::default();
    bus.subscribe(versions.clone(), &db);
    let _running = run(&bus).await;
    let _relay = start_relay(&db, &bus);
    let id = new_id();
    let mut last = 0;
    let mut write_some = async || {
        let first = last + 1;
        for _ in 0..20 {
            last += 1;
            write(&db, id, last, true).await;
        }
        first..=last
    };
    versions.until("the first events", write_some().await, 1).await;
    for _ in 0..2 {
        let leader = stream_leader(&backend.bus_settings()).await;
        let node = nodes.iter_mut().find(|node| node.name() == Some(leader.as_str())).unwrap();
        // In flight while their leader is killed.
        let in_flight = write_some().await;
        node.kill().await;
        versions.until("the events in flight", in_flight, 1).await;
        versions.until("the events without the node", write_some().await, 1).await;
        node.restart().await;
    }
    wait_until("every event to be marked as published", || async { unpublished(&db).await == 0 }).await;
    let stored = stream_info(&backend.bus_settings()).await.state.messages;
    assert_eq!(i64::try_from(stored).unwrap(), last, "each event once");
}

async fn stream_info(settings: &BusSettings) -> jetstream::stream::Info {
    let servers: Vec<&str> = settings.url.split(',').collect();
    let context = jetstream::new(async_nats::connect(servers).await.unwrap());
    let name = format!("{}_TEST", settings.prefix.to_uppercase());
    let found = tokio::sync::Mutex::new(None);
    wait_until("the stream", || async {
        *found.lock().await = context.get_stream(&name).await.ok().map(|stream| stream.cached_info().clone());
        found.lock().await.is_some()
    })
    .await;
    found.into_inner().unwrap()
}

/// Name of the server that leads the stream.
async fn stream_leader(settings: &BusSettings) -> String {
    loop {
        if let Some(leader) = stream_info(settings).await.cluster.and_then(|cluster| cluster.leader) {
            return leader;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
