//! What every database promises.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use frontdesk_auth::{Actor, Caller, CallerKind};
use frontdesk_clock::Clock;
use frontdesk_db::{AccountId, DbErr, migrate, pending_migrations};
use frontdesk_idempotency::{ClaimError, Key};
use frontdesk_proto::auth::v1::Access;
use futures::future::join_all;
use rand::Rng;
use sea_orm::{ConnectionTrait, Statement};
use uuid::Uuid;

use crate::rig::{Migrator, Rig};

on_both_footings!(
    several_may_migrate_at_once_and_who_waits_knows_what_is_missing,
    r3_transactions_dropped_at_any_moment_lose_no_write_of_others,
    c12_of_twenty_claims_at_once_one_goes_on_and_the_others_get_its_result,
    what_is_rolled_back_tells_nobody,
    i7_the_databases_clock_counts_and_the_development_clock_moves_it,
);

async fn several_may_migrate_at_once_and_who_waits_knows_what_is_missing(rig: Rig) {
    let db = rig.empty_db().await;
    assert_eq!(pending_migrations::<Migrator>(&db).await.unwrap().len(), 5);
    let at_once = if rig.is_distributed() { 8 } else { 1 };
    let replicas = join_all((0..at_once).map(|_| rig.empty_db())).await;
    for migrated in join_all(replicas.iter().map(migrate::<Migrator>)).await {
        migrated.unwrap();
    }
    assert_eq!(pending_migrations::<Migrator>(&db).await.unwrap(), Vec::<String>::new());
}

async fn r3_transactions_dropped_at_any_moment_lose_no_write_of_others(rig: Rig) {
    const WRITES: usize = 300;
    let db = rig.db().await;
    db.begin().await.unwrap().conn().execute_unprepared("SELECT 1").await.unwrap();
    let tx = db.begin().await.unwrap();
    tx.conn().execute_unprepared("CREATE TABLE things (n BIGINT NOT NULL)").await.unwrap();
    tx.commit().await.unwrap();
    let mut written = Vec::new();
    for number in 0..WRITES {
        // Somebody hangs up while BEGIN is on its way, or just after.
        for _ in 0..3 {
            let patience = Duration::from_micros(rand::rng().random_range(0..800));
            let _ = tokio::time::timeout(patience, db.begin()).await;
        }
        let write = async {
            let tx = db.begin().await?;
            tx.conn().execute_unprepared(&format!("INSERT INTO things VALUES ({number})")).await?;
            tx.commit().await
        };
        if write.await.is_ok() {
            written.push(number);
        }
    }
    assert_eq!(written.len(), WRITES);
    let count = Statement::from_string(db.read().get_database_backend(), "SELECT count(*) AS n FROM things");
    // Another connection, as another replica has.
    let seen: i64 = rig.empty_db().await.read().query_one_raw(count).await.unwrap().unwrap().try_get("", "n").unwrap();
    assert_eq!(seen as usize, WRITES, "what was acknowledged is there");
}

fn key(content: &str) -> Key {
    let caller = Caller {
        account: AccountId(Uuid::from_u128(1)),
        kind: CallerKind::Admin,
        actor: Actor { kind: CallerKind::Admin, id: "ada".into() },
        name: None,
        email: None,
        permissions: Default::default(),
        scope: None,
        ends: None,
    };
    Key::new(&caller, "one-id", &Access { permission: content.into(), ..Access::default() })
}

async fn c12_of_twenty_claims_at_once_one_goes_on_and_the_others_get_its_result(rig: Rig) {
    let db = rig.db().await;
    let went_on = Arc::new(AtomicUsize::new(0));
    let claims = (0..20).map(|number| {
        let (db, went_on) = (db.clone(), went_on.clone());
        tokio::spawn(async move {
            let tx = db.begin().await.unwrap();
            let key = key("same");
            if let Some(result) = key.claim::<i64>(&tx).await.unwrap() {
                return result;
            }
            went_on.fetch_add(1, Ordering::SeqCst);
            key.store_result(&tx, &number).await.unwrap();
            tx.commit().await.unwrap();
            number
        })
    });
    let results: Vec<i64> = join_all(claims).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(went_on.load(Ordering::SeqCst), 1);
    assert!(results.iter().all(|result| *result == results[0]), "{results:?}");
    let tx = db.begin().await.unwrap();
    assert!(matches!(key("other").claim::<i64>(&tx).await, Err(ClaimError::Reused)));
}

async fn what_is_rolled_back_tells_nobody(rig: Rig) {
    let db = rig.db().await;
    let told = Arc::new(AtomicUsize::new(0));
    for commit in [false, true] {
        let mut tx = db.begin().await.unwrap();
        let told = told.clone();
        tx.on_commit(move || {
            told.fetch_add(1, Ordering::SeqCst);
        });
        if commit {
            tx.commit().await.unwrap();
        }
    }
    assert_eq!(told.load(Ordering::SeqCst), 1);
}

async fn i7_the_databases_clock_counts_and_the_development_clock_moves_it(mut rig: Rig) {
    const HOUR: i64 = 3_600_000_000;
    let folder = tempfile::tempdir().unwrap();
    let right = Clock::system().now().0;
    rig.clock = frontdesk_clock::development::skewed_clock_from_file(&folder.path().join("offset"), HOUR).unwrap();
    let db = rig.db().await;
    let now = db.now().await.unwrap().0;
    let expected = if rig.is_distributed() { right } else { right + HOUR };
    assert!((now - expected).abs() < 60_000_000, "a process's own clock decides only where the database is its own");
    rig.clock.advance(Duration::from_secs(1_800)).unwrap();
    let tx = db.begin().await.unwrap();
    let moved = tx.now().await.unwrap().0 - now;
    assert!((moved - HOUR / 2).abs() < 60_000_000, "{moved}");
    assert!(matches!(tx.commit().await, Ok::<(), DbErr>(())));
}
