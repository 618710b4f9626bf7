//! What every database promises.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use frontdesk_auth::{Actor, Caller, CallerKind};
use frontdesk_clock::{Clock, development::skewed_clock_from_file};
use frontdesk_db::{
    AccountId, DbErr, is_conflict, is_connection_lost, is_timeout, is_transient, migrate, pending_migrations,
};
use frontdesk_idempotency::{ClaimError, Key};
use frontdesk_proto::auth::v1::Access;
use frontdesk_testkit::{Mode, on_both_modes};
use futures::future::join_all;
use rand::Rng;
use sea_orm::{ConnectionTrait, Statement};
use sea_orm_migration::MigratorTrait;
use uuid::Uuid;

use crate::backend::{Backend, Migrator, execute};

on_both_modes!(
    replicas_migrate_at_once_and_see_which_migrations_are_pending,
    r3_transactions_dropped_at_any_moment_lose_no_other_write,
    c12_twenty_claims_at_once_run_one_request_and_share_its_result,
    actions_on_commit_do_not_run_after_a_rollback,
    i7_the_database_clock_decides_and_the_test_clock_moves_it,
    i22_a_statement_that_takes_too_long_and_a_transaction_that_was_idle_are_told_apart,
);

#[tokio::test]
async fn a_limit_of_lock_waits_ends_with_the_one_of_the_connection_and_no_session_is_shared() {
    let backend = Backend::new(Mode::Distributed).await;
    let db = backend.db().await;
    assert!(!db.shares_sessions().await.unwrap(), "there is no connection pooler");
    let tx = db.begin().await.unwrap();
    let lock_timeout = async || {
        let sql = "SELECT current_setting('lock_timeout') AS timeout";
        let setting = Statement::from_string(tx.conn().get_database_backend(), sql);
        tx.conn().query_one_raw(setting).await.unwrap().unwrap().try_get::<String>("", "timeout").unwrap()
    };
    assert_eq!(lock_timeout().await, "10s");
    tx.limit_lock_waits(Some(Duration::from_millis(250))).await.unwrap();
    assert_eq!(lock_timeout().await, "250ms");
    tx.limit_lock_waits(None).await.unwrap();
    assert_eq!(lock_timeout().await, "10s");
}

async fn replicas_migrate_at_once_and_see_which_migrations_are_pending(mode: Mode) {
    let backend = Backend::new(mode).await;
    let db = backend.empty_db().await;
    assert_eq!(pending_migrations::<Migrator>(&db).await.unwrap().len(), Migrator::migrations().len());
    let replicas = if backend.is_distributed() { 8 } else { 1 };
    let replicas = join_all((0..replicas).map(|_| backend.empty_db())).await;
    for migrated in join_all(replicas.iter().map(migrate::<Migrator>)).await {
        migrated.unwrap();
    }
    assert_eq!(pending_migrations::<Migrator>(&db).await.unwrap(), Vec::<String>::new());
}

async fn r3_transactions_dropped_at_any_moment_lose_no_other_write(mode: Mode) {
    const WRITES: usize = 300;
    let backend = Backend::new(mode).await;
    let db = backend.db().await;
    db.begin().await.unwrap().conn().execute_unprepared("SELECT 1").await.unwrap();
    let tx = db.begin().await.unwrap();
    tx.conn().execute_unprepared("CREATE TABLE things (n BIGINT NOT NULL)").await.unwrap();
    tx.commit().await.unwrap();
    let account = AccountId(Uuid::from_u128(1));
    let mut written = Vec::new();
    for number in 0..WRITES {
        // Callers that cancel while BEGIN is in progress, or just after it.
        for _ in 0..3 {
            let cancelled_after = Duration::from_micros(rand::rng().random_range(0..800));
            let _ = tokio::time::timeout(cancelled_after, db.begin()).await;
            let _ = tokio::time::timeout(cancelled_after, db.begin_for(account)).await;
            let _ = tokio::time::timeout(cancelled_after, db.read_for(account)).await;
        }
        let write = async {
            let tx = if number % 2 == 0 { db.begin().await? } else { db.begin_for(account).await? };
            tx.conn().execute_unprepared(&format!("INSERT INTO things VALUES ({number})")).await?;
            tx.commit().await
        };
        if write.await.is_ok() {
            written.push(number);
        }
    }
    assert_eq!(written.len(), WRITES);
    let count = Statement::from_string(db.read().get_database_backend(), "SELECT count(*) AS n FROM things");
    // Through a connection of its own, as another replica reads it.
    let seen: i64 =
        backend.empty_db().await.read().query_one_raw(count).await.unwrap().unwrap().try_get("", "n").unwrap();
    assert_eq!(seen as usize, WRITES, "every acknowledged write is there");
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

async fn c12_twenty_claims_at_once_run_one_request_and_share_its_result(mode: Mode) {
    let backend = Backend::new(mode).await;
    let db = backend.db().await;
    let runs = Arc::new(AtomicUsize::new(0));
    let claims = (0..20).map(|number| {
        let (db, runs) = (db.clone(), runs.clone());
        tokio::spawn(async move {
            let tx = db.begin().await.unwrap();
            let key = key("same");
            if let Some(result) = key.claim::<i64>(&tx).await.unwrap() {
                return result;
            }
            runs.fetch_add(1, Ordering::SeqCst);
            key.store_result(&tx, &number).await.unwrap();
            tx.commit().await.unwrap();
            number
        })
    });
    let results: Vec<i64> = join_all(claims).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert!(results.iter().all(|result| *result == results[0]), "{results:?}");
    let tx = db.begin().await.unwrap();
    assert!(matches!(key("other").claim::<i64>(&tx).await, Err(ClaimError::Reused)));
}

async fn actions_on_commit_do_not_run_after_a_rollback(mode: Mode) {
    let backend = Backend::new(mode).await;
    let db = backend.db().await;
    let runs = Arc::new(AtomicUsize::new(0));
    for commit in [false, true] {
        let mut tx = db.begin().await.unwrap();
        let runs = runs.clone();
        tx.on_commit(move || {
            runs.fetch_add(1, Ordering::SeqCst);
        });
        if commit {
            tx.commit().await.unwrap();
        }
    }
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

async fn i7_the_database_clock_decides_and_the_test_clock_moves_it(mode: Mode) {
    /// In microseconds.
    const HOUR: i64 = 3_600_000_000;
    let mut backend = Backend::new(mode).await;
    let folder = tempfile::tempdir().unwrap();
    let right = Clock::system().now().0;
    backend.clock = skewed_clock_from_file(&folder.path().join("offset"), HOUR).unwrap();
    let db = backend.db().await;
    let now = db.now().await.unwrap().0;
    let expected = if backend.is_distributed() { right } else { right + HOUR };
    assert!(
        (now - expected).abs() < 60_000_000,
        "the process's clock decides only where the database is in the process"
    );
    backend.clock.advance(Duration::from_secs(1_800)).unwrap();
    let tx = db.begin().await.unwrap();
    let moved = tx.now().await.unwrap().0 - now;
    assert!((moved - HOUR / 2).abs() < 60_000_000, "{moved}");
    assert!(matches!(tx.commit().await, Ok::<(), DbErr>(())));
}

async fn i22_a_statement_that_takes_too_long_and_a_transaction_that_was_idle_are_told_apart(mode: Mode) {
    let backend = Backend::new(mode).await;
    if !backend.is_distributed() {
        // SQLite has neither limit.
        return;
    }
    let db = backend.db().await;
    let tx = db.begin().await.unwrap();
    tx.conn().execute_unprepared("SET LOCAL statement_timeout = '50ms'").await.unwrap();
    let slow = tx.conn().execute_unprepared("SELECT pg_sleep(5)").await.unwrap_err();
    assert!(is_timeout(&slow) && is_transient(&slow) && !is_connection_lost(&slow), "{slow}");

    let tx = db.begin().await.unwrap();
    tx.conn().execute_unprepared("SET LOCAL idle_in_transaction_session_timeout = '50ms'").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let idle = tx.conn().execute_unprepared("SELECT 1").await.unwrap_err();
    assert!(is_connection_lost(&idle) && is_transient(&idle) && !is_timeout(&idle), "{idle}");
}

/// On PostgreSQL alone: SQLite has one writer and no deadlock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i22_a_deadlock_is_told_from_a_database_that_cannot_be_reached() {
    let backend = Backend::new(Mode::Distributed).await;
    let db = backend.db().await;
    execute(&db, "CREATE TABLE things (n BIGINT NOT NULL); INSERT INTO things VALUES (1), (2)").await;
    let lock = |n: i64| format!("SELECT n FROM things WHERE n = {n} FOR UPDATE");
    let (one, other) = (db.begin().await.unwrap(), db.begin().await.unwrap());
    one.conn().execute_unprepared(&lock(1)).await.unwrap();
    other.conn().execute_unprepared(&lock(2)).await.unwrap();
    let (second, first) = (lock(2), lock(1));
    let ended = tokio::join!(one.conn().execute_unprepared(&second), other.conn().execute_unprepared(&first));
    let error = ended.0.err().or(ended.1.err()).expect("one of them is ended");
    assert!(is_conflict(&error) && is_transient(&error) && !is_connection_lost(&error), "{error}");
}
