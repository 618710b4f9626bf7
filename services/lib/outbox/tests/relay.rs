//! The outbox with its relay: published if and only if committed, in order, and handled once.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test fails by panicking")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use frontdesk_auth::AccountId;
use frontdesk_bus::{Bus, Consumer, DEAD_LETTERS, Outcome};
use frontdesk_clock::Clock;
use frontdesk_db::{DatabaseUrl, Db, DbSettings, migrate};
use frontdesk_outbox::{Aggregate, OUTBOX, append, first_time, relay};
use frontdesk_proto::{auth::v1::Access, event::v1::Event};
use prost::Name;
use sea_orm::ConnectionTrait;
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(OUTBOX), Box::new(DEAD_LETTERS)]
    }
}

async fn db(folder: &tempfile::TempDir, name: &str, clock: &Clock) -> Db {
    let url = DatabaseUrl(format!("sqlite://{}", folder.path().join(name).display()));
    Db::connect(&DbSettings { url, max_connections: None }, clock).await.unwrap()
}

/// Handles each event once, by its mark; keeps the versions in the order of their effects.
#[derive(Clone)]
struct Once {
    db: Db,
    effects: Arc<Mutex<Vec<i64>>>,
    deliveries: Arc<Mutex<usize>>,
}

#[async_trait::async_trait]
impl Consumer for Once {
    fn name(&self) -> &'static str {
        "test.once"
    }

    fn types(&self) -> Vec<String> {
        vec![Access::full_name()]
    }

    async fn handle(&self, event: &Event) -> Outcome {
        *self.deliveries.lock().unwrap() += 1;
        let tx = self.db.begin().await.unwrap();
        if !first_time(&tx, "test.once", event).await.unwrap() {
            return Outcome::Done;
        }
        tx.commit().await.unwrap();
        self.effects.lock().unwrap().push(event.version);
        Outcome::Done
    }
}

async fn write(db: &Db, id: Uuid, version: i64, commit: bool) {
    let mut tx = db.begin().await.unwrap();
    let aggregate = Aggregate { source: "test", account: AccountId(Uuid::nil()), kind: "thing", id, version };
    append(&mut tx, aggregate, &Access::default()).await.unwrap();
    if commit {
        tx.commit().await.unwrap();
    }
}

async fn until(what: &str, done: impl Fn() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting)
        .await
        .unwrap_or_else(|_| panic!("waited in vain for {what}"));
}

#[tokio::test]
async fn i17_committed_events_have_their_effect_once_and_rolled_back_ones_none() {
    let (folder, clock, shutdown) = (tempfile::tempdir().unwrap(), Clock::system(), CancellationToken::new());
    let service = db(&folder, "service.db", &clock).await;
    migrate::<Migrator>(&service).await.unwrap();
    let bus = Bus::in_process(db(&folder, "bus.db", &clock).await, &clock).await.unwrap();
    let once = Once { db: service.clone(), effects: Arc::default(), deliveries: Arc::default() };
    bus.subscribe(once.clone(), &service);
    tokio::spawn({
        let (bus, shutdown) = (bus.clone(), shutdown.clone());
        async move { bus.run(shutdown).await }
    });
    tokio::spawn(relay(service.clone(), bus.clone(), clock.clone(), shutdown.clone()));

    let id = Uuid::now_v7();
    for version in 1..=30 {
        write(&service, id, version, false).await;
        write(&service, id, version, true).await;
    }
    until("thirty effects", || once.effects.lock().unwrap().len() == 30).await;
    let mut versions = once.effects.lock().unwrap().clone();
    versions.sort_unstable();
    assert_eq!(versions, (1..=30).collect::<Vec<_>>());

    // The relay dies between publishing and marking: all is published again, and no effect comes twice.
    let tx = service.begin().await.unwrap();
    tx.conn().execute_unprepared("UPDATE outbox_events SET published_at = NULL").await.unwrap();
    tx.commit().await.unwrap();
    write(&service, id, 31, true).await;
    until("the second deliveries and the one new effect", || {
        *once.deliveries.lock().unwrap() == 61 && once.effects.lock().unwrap().len() == 31
    })
    .await;
    let mut versions = once.effects.lock().unwrap().clone();
    versions.sort_unstable();
    assert_eq!(versions, (1..=31).collect::<Vec<_>>());
    shutdown.cancel();
}

#[tokio::test]
async fn two_changes_cannot_take_one_version() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::system());
    let service = db(&folder, "service.db", &clock).await;
    migrate::<Migrator>(&service).await.unwrap();
    let id = Uuid::now_v7();
    write(&service, id, 1, true).await;
    let mut tx = service.begin().await.unwrap();
    let aggregate = Aggregate { source: "test", account: AccountId(Uuid::nil()), kind: "thing", id, version: 1 };
    let refused = append(&mut tx, aggregate, &Access::default()).await.unwrap_err();
    assert!(frontdesk_db::is_unique_violation(&refused), "{refused}");
}
