//! The outbox with its relay: published if and only if committed, in order for each aggregate, and handled once.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use frontdesk_bus::{Bus, Consumer, Outcome};
use frontdesk_db::{AccountId, Db};
use frontdesk_outbox::{Aggregate, append, mark_handled, relay};
use frontdesk_proto::{auth::v1::Access, event::v1::Event};
use prost::Name;
use sea_orm::ConnectionTrait;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::rig::{Rig, SOURCE, ready, until};

on_both_footings!(
    i17_committed_events_have_their_effect_once_and_rolled_back_ones_none,
    two_changes_cannot_take_one_version,
    another_relay_takes_over_from_one_that_died,
);

/// Handles each event once, by its mark; keeps the versions in the order of their effects.
#[derive(Clone)]
pub struct Once {
    db: Db,
    pub effects: Arc<Mutex<Vec<i64>>>,
    pub deliveries: Arc<Mutex<usize>>,
}

impl Once {
    pub fn on(db: &Db) -> Self {
        Self { db: db.clone(), effects: Arc::default(), deliveries: Arc::default() }
    }

    pub fn sorted(&self) -> Vec<i64> {
        let mut versions = self.effects.lock().unwrap().clone();
        versions.sort_unstable();
        versions
    }

    /// Waits until every version up to this had its effect.
    pub async fn until(&self, last: i64) {
        until(&format!("{last} effects"), || async { self.effects.lock().unwrap().len() as i64 >= last }).await;
        assert_eq!(self.sorted(), (1..=last).collect::<Vec<_>>());
    }
}

#[async_trait::async_trait]
impl Consumer for Once {
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
        *self.deliveries.lock().unwrap() += 1;
        let Ok(tx) = self.db.begin().await else { return Outcome::Retry("no database".into()) };
        match mark_handled(&tx, "test.once", event).await {
            Ok(true) => {}
            Ok(false) => return Outcome::Ack,
            Err(error) => return Outcome::Retry(error.to_string()),
        }
        if let Err(error) = tx.commit().await {
            return Outcome::Retry(error.to_string());
        }
        self.effects.lock().unwrap().push(event.version);
        Outcome::Ack
    }
}

pub async fn write(db: &Db, id: Uuid, version: i64, commit: bool) {
    let mut tx = db.begin().await.unwrap();
    let aggregate = Aggregate { source: SOURCE, account: AccountId(Uuid::nil()), kind: "thing", id, version };
    append(&mut tx, aggregate, &Access::default()).await.unwrap();
    if commit {
        tx.commit().await.unwrap();
    }
}

pub fn start_relay(db: &Db, bus: &Bus) -> (CancellationToken, JoinHandle<()>) {
    let shutdown = CancellationToken::new();
    (shutdown.clone(), tokio::spawn(relay(SOURCE, db.clone(), bus.clone(), shutdown)))
}

async fn i17_committed_events_have_their_effect_once_and_rolled_back_ones_none(rig: Rig) {
    let (db, bus) = (rig.db().await, rig.bus().await);
    let once = Once::on(&db);
    bus.subscribe(once.clone(), &db);
    let _running = ready(&bus).await;
    let (shutdown, _) = start_relay(&db, &bus);

    let id = frontdesk_clock::testing::new_id();
    for version in 1..=30 {
        write(&db, id, version, false).await;
        write(&db, id, version, true).await;
    }
    once.until(30).await;

    // The relay dies between publishing and marking: all is published again, and no effect comes twice.
    let tx = db.begin().await.unwrap();
    tx.conn().execute_unprepared("UPDATE outbox_events SET published_at = NULL").await.unwrap();
    tx.commit().await.unwrap();
    write(&db, id, 31, true).await;
    once.until(31).await;
    until("everything to be marked again", || async { waiting(&db).await == 0 }).await;
    assert_eq!(once.sorted(), (1..=31).collect::<Vec<_>>());
    shutdown.cancel();
}

pub async fn waiting(db: &Db) -> i64 {
    let sql = "SELECT count(*) AS waiting FROM outbox_events WHERE published_at IS NULL";
    let statement = sea_orm::Statement::from_string(db.read().get_database_backend(), sql);
    db.read().query_one_raw(statement).await.unwrap().unwrap().try_get("", "waiting").unwrap()
}

async fn two_changes_cannot_take_one_version(rig: Rig) {
    let db = rig.db().await;
    let id = frontdesk_clock::testing::new_id();
    write(&db, id, 1, true).await;
    let mut tx = db.begin().await.unwrap();
    let aggregate = Aggregate { source: SOURCE, account: AccountId(Uuid::nil()), kind: "thing", id, version: 1 };
    let refused = append(&mut tx, aggregate, &Access::default()).await.unwrap_err();
    assert!(frontdesk_db::is_unique_violation(&refused), "{refused}");
}

/// On the embedded footing the next one is the process after a kill; on the distributed one it stands by.
async fn another_relay_takes_over_from_one_that_died(rig: Rig) {
    let (db, bus) = (rig.db().await, rig.bus().await);
    let once = Once::on(&db);
    bus.subscribe(once.clone(), &db);
    let _running = ready(&bus).await;
    let (_, first) = start_relay(&db, &bus);
    let id = frontdesk_clock::testing::new_id();
    for version in 1..=20 {
        write(&db, id, version, true).await;
    }
    once.until(20).await;
    let second_replica = if rig.is_distributed() { rig.bus().await } else { bus.clone() };
    let (shutdown, second) = start_relay(&rig.db().await, &second_replica);
    // Nothing is given away: as after kill -9.
    first.abort();
    for version in 21..=40 {
        write(&db, id, version, true).await;
    }
    once.until(40).await;
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(10), second).await.unwrap().unwrap();
}
