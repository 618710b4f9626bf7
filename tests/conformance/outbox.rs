//! The outbox with its relay: published if and only if committed, in order for each aggregate, and handled once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use frontdesk_bus::{Bus, Consumer, Outcome};
use frontdesk_db::{AccountId, Db};
use frontdesk_outbox::{
    Aggregate, Events, PUBLISHED, append, list_published, list_published_of, mark_handled, published_notifier, relay,
    settled_to,
};
use frontdesk_proto::{auth::v1::Access, event::v1::Event};
use frontdesk_testkit::{Mode, new_id, on_both_modes, wait_until};
use prost::Name;
use sea_orm::ConnectionTrait;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::backend::{Backend, SOURCE, execute, run};

on_both_modes!(
    i17_committed_events_have_their_effect_once_and_rolled_back_ones_none,
    i17_an_event_that_cannot_be_read_holds_up_no_other,
    i17_two_changes_cannot_use_the_same_version,
    i17_a_reader_of_published_events_gets_each_once_in_its_order,
    another_relay_takes_over_when_one_dies,
);

/// A consumer that marks each event as handled and records the version, in the order of the effects.
#[derive(Clone)]
pub struct HandledOnce {
    db: Db,
    effects: Arc<Mutex<Vec<i64>>>,
}

impl HandledOnce {
    pub fn on(db: &Db) -> Self {
        Self { db: db.clone(), effects: Arc::default() }
    }

    /// The versions that had an effect, in ascending order.
    pub fn sorted(&self) -> Vec<i64> {
        let mut versions = self.effects.lock().unwrap().clone();
        versions.sort_unstable();
        versions
    }

    /// Waits until every version up to `last` has had its effect.
    pub async fn until(&self, last: i64) {
        wait_until(&format!("{last} effects"), || async { self.effects.lock().unwrap().len() as i64 >= last }).await;
        assert_eq!(self.sorted(), (1..=last).collect::<Vec<_>>());
    }
}

#[async_trait::async_trait]
impl Consumer for HandledOnce {
    fn name(&self) -> &'static str {
        "test.once"
    }

    fn source(&self) -> &'static str {
        SOURCE
    }

    fn types(&self) -> Vec<String> {
        vec![Access::full_name()]
    }

    async fn handle(&self, event: &Event) -> Outcome {
        let Ok(tx) = self.db.begin().await else { return Outcome::Retry("no database".into()) };
        match mark_handled(&tx, "test.once", event).await {
            Ok(true) => {}
            Ok(false) => return Outcome::Ack,
            Err(error) => return Outcome::Retry(error.to_string()),
        }
        if let Err(error) = tx.commit().await {
            return Outcome::Retry(error.to_string());
        }
        self.effects.lock().unwrap().push(event.version.into());
        Outcome::Ack
    }
}

/// Appends an event in a transaction, and commits it or rolls it back.
pub async fn write(db: &Db, id: Uuid, version: i64, commit: bool) {
    let mut tx = db.begin().await.unwrap();
    let aggregate = Aggregate { source: SOURCE, account: AccountId(Uuid::nil()), kind: "thing", id, version };
    append(&mut tx, aggregate, &Access::default()).await.unwrap();
    if commit {
        tx.commit().await.unwrap();
    }
}

/// Writes this number of events of different things, as few statements do.
pub async fn write_many(db: &Db, events: usize) {
    const TOGETHER: usize = 2_000;
    for done in (0..events).step_by(TOGETHER) {
        let mut tx = db.begin().await.unwrap();
        let mut batch = Events::new(tx.now().await.unwrap());
        for _ in done..events.min(done + TOGETHER) {
            let account = AccountId(Uuid::nil());
            let aggregate = Aggregate { source: SOURCE, account, kind: "thing", id: new_id(), version: 1 };
            batch.push(aggregate, &Access::default(), "");
        }
        batch.insert(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
    }
}

pub fn start_relay(db: &Db, bus: &Bus) -> (CancellationToken, JoinHandle<()>) {
    let shutdown = CancellationToken::new();
    (shutdown.clone(), tokio::spawn(relay(SOURCE, db.clone(), bus.clone(), shutdown)))
}

/// The ids and versions of the things that events are about.
type Versions = Vec<(String, i32)>;

async fn i17_a_reader_of_published_events_gets_each_once_in_its_order(mode: Mode) {
    const THINGS: usize = 8;
    const VERSIONS: i64 = 40;
    let backend = Backend::new(mode).await;
    let (db, bus) = (backend.db().await, backend.bus().await);
    let _running = run(&bus).await;
    let (shutdown, _) = start_relay(&db, &bus);
    let account = AccountId(Uuid::nil());
    let mut published = published_notifier(&bus, SOURCE).subscribe(PUBLISHED);
    for _ in 0..THINGS {
        let (db, id) = (db.clone(), new_id());
        tokio::spawn(async move {
            for version in 1..=VERSIONS {
                write(&db, id, version, true).await;
            }
        });
    }
    // While they are written, each page after the one before.
    let (mut after, mut read) = (0, Versions::new());
    let reading = async {
        while read.len() < THINGS * VERSIONS as usize {
            published.borrow_and_update();
            let settled_to = settled_to(&db).await.unwrap();
            let page = list_published_of(&db, account, after, settled_to).await.unwrap();
            assert!(
                page.events.iter().all(|one| one.position > after) && page.events.is_sorted_by_key(|one| one.position)
            );
            if page.read_to == after {
                published.changed().await.unwrap();
            }
            after = page.read_to;
            read.extend(page.events.into_iter().map(|one| (one.event.aggregate_id, one.event.version)));
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reading).await.expect("every event in time");
    let mut expected: HashMap<&str, i32> = HashMap::new();
    for (id, version) in &read {
        let next = expected.entry(id).or_default();
        *next += 1;
        assert_eq!(version, next, "{id}");
    }
    assert_eq!((expected.len(), settled_to(&db).await.unwrap()), (THINGS, after));
    // Each read has a bounded number of events, and passes those of other accounts.
    let first = list_published_of(&db, account, 0, after).await.unwrap();
    assert_eq!((first.events.len(), first.read_to), (200, first.events[199].position));
    let others = list_published(&db, &[AccountId(new_id())], 0, after).await.unwrap();
    assert_eq!((others.events.len(), others.read_to), (0, after));
    shutdown.cancel();
}

async fn i17_committed_events_have_their_effect_once_and_rolled_back_ones_none(mode: Mode) {
    let backend = Backend::new(mode).await;
    let (db, bus) = (backend.db().await, backend.bus().await);
    let once = HandledOnce::on(&db);
    bus.subscribe(once.clone(), &db);
    let _running = run(&bus).await;
    let (shutdown, _) = start_relay(&db, &bus);

    let id = new_id();
    for version in 1..=30 {
        write(&db, id, version, false).await;
        write(&db, id, version, true).await;
    }
    once.until(30).await;

    // As after a relay that died before it stored what it had published: every event is published again, and has no second
    // effect.
    let tx = db.begin().await.unwrap();
    tx.conn()
        .execute_unprepared("UPDATE outbox_progress SET settled_to = 0, published_to = 0, gaps = '[]'")
        .await
        .unwrap();
    tx.commit().await.unwrap();
    write(&db, id, 31, true).await;
    once.until(31).await;
    backend.settled(&db).await;
    assert_eq!(once.sorted(), (1..=31).collect::<Vec<_>>());
    shutdown.cancel();
}

/// The event of a row that was damaged: those before and after it are published, also those of the same aggregate.
async fn i17_an_event_that_cannot_be_read_holds_up_no_other(mode: Mode) {
    let backend = Backend::new(mode).await;
    let (db, bus) = (backend.db().await, backend.bus().await);
    let once = HandledOnce::on(&db);
    bus.subscribe(once.clone(), &db);
    let _running = run(&bus).await;
    let id = new_id();
    for version in 1..=5 {
        write(&db, id, version, true).await;
    }
    let damaged = if db.is_sqlite() { "x'ff'" } else { "'\\xff'" };
    execute(&db, &format!("UPDATE outbox_events SET event = {damaged} WHERE version IN (1, 3)")).await;
    let (shutdown, _) = start_relay(&db, &bus);
    wait_until("the events are published", || async { unpublished(&db).await == 0 }).await;
    backend.settled(&db).await;
    write(&db, new_id(), 6, true).await;
    wait_until("the events have their effect", || async { once.sorted() == [2, 4, 5, 6] }).await;
    shutdown.cancel();
}

/// Number of events in the outbox that are not published, as far as that is stored.
pub async fn unpublished(db: &Db) -> i64 {
    let sql =
        "SELECT count(*) AS unpublished FROM outbox_events WHERE position > (SELECT settled_to FROM outbox_progress)";
    let statement = sea_orm::Statement::from_string(db.read().get_database_backend(), sql);
    db.read().query_one_raw(statement).await.unwrap().unwrap().try_get("", "unpublished").unwrap()
}

async fn i17_two_changes_cannot_use_the_same_version(mode: Mode) {
    let backend = Backend::new(mode).await;
    let db = backend.db().await;
    let id = new_id();
    write(&db, id, 1, true).await;
    let mut tx = db.begin().await.unwrap();
    let aggregate = Aggregate { source: SOURCE, account: AccountId(Uuid::nil()), kind: "thing", id, version: 1 };
    let error = append(&mut tx, aggregate, &Access::default()).await.unwrap_err();
    assert!(frontdesk_db::is_unique_violation(&error), "{error}");
}

/// In embedded mode the second relay is that of the restarted process; in distributed mode it is another replica's.
async fn another_relay_takes_over_when_one_dies(mode: Mode) {
    let backend = Backend::new(mode).await;
    let (db, bus) = (backend.db().await, backend.bus().await);
    let once = HandledOnce::on(&db);
    bus.subscribe(once.clone(), &db);
    let _running = run(&bus).await;
    let (_, first) = start_relay(&db, &bus);
    let id = new_id();
    for version in 1..=20 {
        write(&db, id, version, true).await;
    }
    once.until(20).await;
    let second_replica = if backend.is_distributed() { backend.bus().await } else { bus.clone() };
    let (shutdown, second) = start_relay(&backend.db().await, &second_replica);
    // Aborted, so that it does not release its lease: as after kill -9.
    first.abort();
    for version in 21..=40 {
        write(&db, id, version, true).await;
    }
    once.until(40).await;
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(10), second).await.unwrap().unwrap();
}

/// The leader dies, and the database's clock goes back ten minutes with its fail-over. SQLite has no lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i17_events_are_published_although_the_databases_clock_was_set_back_before_the_leader_died() {
    let backend = Backend::new(Mode::Distributed).await;
    let (db, bus) = (backend.db().await, backend.bus().await);
    let once = HandledOnce::on(&db);
    bus.subscribe(once.clone(), &db);
    let _running = run(&bus).await;
    let (_, first) = start_relay(&db, &bus);
    let id = new_id();
    write(&db, id, 1, true).await;
    once.until(1).await;
    first.abort();
    let _ = first.await;
    execute(&db, "UPDATE leases SET ends_at = ends_at + 600000000").await;
    let _second = start_relay(&backend.db().await, &backend.bus().await);
    write(&db, id, 2, true).await;
    once.until(2).await;
}
