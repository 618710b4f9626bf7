//! What every bus promises. Each promise is one function over a [`Rig`]; a new kind of bus adds a rig and a line.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test fails by panicking")]

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use frontdesk_bus::{Bus, Consumer, DEAD_LETTERS, Outcome, list_dead_letters};
use frontdesk_clock::Clock;
use frontdesk_db::{DatabaseUrl, Db, DbSettings, migrate};
use frontdesk_proto::event::v1::Event;
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(DEAD_LETTERS)]
    }
}

/// A bus that can be stopped and opened again on what it kept.
struct Rig {
    folder: tempfile::TempDir,
    clock: Clock,
}

impl Rig {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), clock: Clock::system() }
    }

    async fn db(&self, name: &str) -> Db {
        let url = DatabaseUrl(format!("sqlite://{}", self.folder.path().join(name).display()));
        Db::connect(&DbSettings { url, max_connections: None }, &self.clock).await.unwrap()
    }

    async fn bus(&self) -> Bus {
        Bus::in_process(self.db("bus.db").await, &self.clock).await.unwrap()
    }

    /// Where a consumer keeps its dead letters.
    async fn consumer_db(&self) -> Db {
        let db = self.db("consumer.db").await;
        migrate::<Migrator>(&db).await.unwrap();
        db
    }
}

type Handler = dyn Fn(&str, usize) -> Outcome + Send + Sync;

/// Counts how often it got each event, and answers as told.
#[derive(Clone)]
struct Recorder {
    name: &'static str,
    seen: Arc<Mutex<HashMap<String, usize>>>,
    changed: Arc<Notify>,
    answer: Arc<Handler>,
}

impl Recorder {
    fn new(name: &'static str, answer: impl Fn(&str, usize) -> Outcome + Send + Sync + 'static) -> Self {
        Self { name, seen: Arc::default(), changed: Arc::default(), answer: Arc::new(answer) }
    }

    async fn until(&self, what: &str, done: impl Fn(&HashMap<String, usize>) -> bool) {
        let waiting = async {
            while !done(&self.seen.lock().unwrap()) {
                self.changed.notified().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting)
            .await
            .unwrap_or_else(|_| panic!("waited in vain for {what}"));
    }
}

#[async_trait::async_trait]
impl Consumer for Recorder {
    fn name(&self) -> &'static str {
        self.name
    }

    fn types(&self) -> Vec<String> {
        vec!["test.Thing".into()]
    }

    async fn handle(&self, event: &Event) -> Outcome {
        let times = {
            let mut seen = self.seen.lock().unwrap();
            let times = seen.entry(event.id.clone()).or_default();
            *times += 1;
            *times
        };
        self.changed.notify_one();
        (self.answer)(&event.id, times)
    }
}

fn event(kind: &str) -> Event {
    Event { id: Uuid::now_v7().to_string(), r#type: kind.into(), ..Event::default() }
}

fn run(bus: &Bus) -> (CancellationToken, tokio::task::JoinHandle<()>) {
    let (shutdown, bus) = (CancellationToken::new(), bus.clone());
    let token = shutdown.clone();
    (shutdown, tokio::spawn(async move { bus.run(token).await }))
}

#[tokio::test]
async fn every_consumer_of_a_type_gets_each_event_and_others_do_not() {
    let rig = Rig::new();
    let (bus, db) = (rig.bus().await, rig.consumer_db().await);
    let (one, two) = (Recorder::new("one", |_, _| Outcome::Done), Recorder::new("two", |_, _| Outcome::Done));
    bus.subscribe(one.clone(), &db);
    bus.subscribe(two.clone(), &db);
    let _running = run(&bus);
    let events: Vec<Event> = (0..1_200).map(|_| event("test.Thing")).chain([event("test.Other")]).collect();
    bus.publish(&events).await.unwrap();
    one.until("all at one", |seen| seen.len() == 1_200).await;
    two.until("all at two", |seen| seen.len() == 1_200).await;
    assert!(one.seen.lock().unwrap().values().all(|times| *times == 1));
}

#[tokio::test]
async fn what_is_published_twice_while_it_waits_comes_once() {
    let rig = Rig::new();
    let (bus, db) = (rig.bus().await, rig.consumer_db().await);
    let one = Recorder::new("one", |_, _| Outcome::Done);
    bus.subscribe(one.clone(), &db);
    let events = [event("test.Thing"), event("test.Thing")];
    bus.publish(&events).await.unwrap();
    bus.publish(&events).await.unwrap();
    let (shutdown, running) = run(&bus);
    one.until("both", |seen| seen.len() == 2).await;
    shutdown.cancel();
    running.await.unwrap();
    assert!(one.seen.lock().unwrap().values().all(|times| *times == 1));
}

#[tokio::test]
async fn later_comes_again_and_poison_goes_to_the_dead_letters_while_the_rest_moves_on() {
    let rig = Rig::new();
    let (bus, db) = (rig.bus().await, rig.consumer_db().await);
    let (later, poison) = (event("test.Thing"), event("test.Thing"));
    let (later_id, poison_id) = (later.id.clone(), poison.id.clone());
    let one = Recorder::new("one", move |id, times| match id {
        id if id == poison_id => Outcome::Hopeless("it is poison".into()),
        id if id == later_id && times < 3 => Outcome::Later("not yet".into()),
        _ => Outcome::Done,
    });
    bus.subscribe(one.clone(), &db);
    let _running = run(&bus);
    let rest: Vec<Event> = (0..50).map(|_| event("test.Thing")).collect();
    bus.publish(&[poison.clone(), later.clone()]).await.unwrap();
    bus.publish(&rest).await.unwrap();
    one.until("the rest and the third try", |seen| seen.len() == 52 && seen[&later.id] == 3).await;
    let letters = list_dead_letters(&db).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].event.id.as_str(), letters[0].reason.as_str()), (poison.id.as_str(), "it is poison"));
    assert_eq!(one.seen.lock().unwrap()[&poison.id], 1);
}

#[tokio::test]
async fn a_stuck_consumer_holds_nobody_else() {
    let rig = Rig::new();
    let (bus, db) = (rig.bus().await, rig.consumer_db().await);
    struct Stuck(Arc<AtomicUsize>);
    #[async_trait::async_trait]
    impl Consumer for Stuck {
        fn name(&self) -> &'static str {
            "stuck"
        }
        fn types(&self) -> Vec<String> {
            vec!["test.Thing".into()]
        }
        async fn handle(&self, _: &Event) -> Outcome {
            self.0.fetch_add(1, Ordering::SeqCst);
            std::future::pending().await
        }
    }
    let stuck = Arc::new(AtomicUsize::new(0));
    let one = Recorder::new("one", |_, _| Outcome::Done);
    bus.subscribe(Stuck(stuck.clone()), &db);
    bus.subscribe(one.clone(), &db);
    let _running = run(&bus);
    bus.publish(&(0..200).map(|_| event("test.Thing")).collect::<Vec<_>>()).await.unwrap();
    one.until("all", |seen| seen.len() == 200).await;
    assert!(stuck.load(Ordering::SeqCst) > 0);
}

#[tokio::test]
async fn what_was_not_handled_comes_after_a_restart() {
    let rig = Rig::new();
    let events: Vec<Event> = (0..20).map(|_| event("test.Thing")).collect();
    {
        // Published, and never run: as if the process had been killed.
        let (bus, db) = (rig.bus().await, rig.consumer_db().await);
        bus.subscribe(Recorder::new("one", |_, _| Outcome::Done), &db);
        bus.publish(&events).await.unwrap();
    }
    let (bus, db) = (rig.bus().await, rig.consumer_db().await);
    let one = Recorder::new("one", |_, _| Outcome::Done);
    bus.subscribe(one.clone(), &db);
    let _running = run(&bus);
    one.until("all", |seen| seen.len() == 20).await;
}

#[tokio::test]
async fn a_handler_that_panics_gets_its_event_again() {
    let rig = Rig::new();
    let (bus, db) = (rig.bus().await, rig.consumer_db().await);
    let one = Recorder::new("one", |_, times| if times == 1 { panic!("a bug in the handler") } else { Outcome::Done });
    bus.subscribe(one.clone(), &db);
    let _running = run(&bus);
    let thing = event("test.Thing");
    bus.publish(std::slice::from_ref(&thing)).await.unwrap();
    one.until("the second try", |seen| seen.get(&thing.id) == Some(&2)).await;
}
