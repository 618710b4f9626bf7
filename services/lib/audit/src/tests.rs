//! The audit log on SQLite.

use frontdesk_auth::{Actor, Caller, CallerKind};
use frontdesk_clock::Clock;
use frontdesk_db::{AccountId, DatabaseUrl, Db, DbSettings, delete_expired_once, migrate};
use sea_orm::{EntityTrait, Set, prelude::Uuid};
use sea_orm_migration::{MigrationTrait, MigratorTrait};

use super::*;
use crate::entity::{self, Entity};

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(RECORDS)]
    }
}

const HOUR: Duration = Duration::from_secs(3600);

async fn db(folder: &tempfile::TempDir, name: &str, clock: &Clock) -> Db {
    let url = DatabaseUrl(format!("sqlite://{}", folder.path().join(name).display()));
    let db = Db::connect(&DbSettings { url, max_connections: None }, clock).await.unwrap();
    migrate::<Migrator>(&db).await.unwrap();
    db
}

fn caller(account: u128) -> Caller {
    Caller {
        account: AccountId(Uuid::from_u128(account)),
        kind: CallerKind::Admin,
        actor: Actor { kind: CallerKind::Admin, id: "ada".into() },
        name: Some("CANARY".into()),
        email: Some("canary@example.com".into()),
        permissions: Default::default(),
        scope: None,
        ends: None,
    }
}

fn call<'a>(caller: &'a Caller, method: &'a str) -> Call<'a> {
    let resources = Resources::from([("thing_id".to_owned(), Uuid::from_u128(7))]);
    Call { caller, method, resources, trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".into() }
}

#[tokio::test]
async fn a_call_is_recorded_before_it_is_made_and_its_outcome_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, caller) = (Clock::system(), caller(1));
    let db = db(&folder, "a", &clock).await;
    let log = AuditLog::new(vec![("test.v1.Things", db.clone())]);
    let pending = log.begin(call(&caller, "test.v1.Things/Make")).await.unwrap();
    let running = list(&db, caller.account, HOUR, 10).await.unwrap();
    assert_eq!((running.len(), running[0].outcome.as_deref()), (1, None));
    let made = Resources::from([("thing_id".to_owned(), Uuid::nil()), ("made_id".to_owned(), Uuid::from_u128(8))]);
    pending.finish("OK", made).await.unwrap();
    log.record_refused(call(&caller, "test.v1.Things/Make"), "PERMISSION_DENIED NOT_PERMITTED").await.unwrap();

    let records = list(&db, caller.account, HOUR, 10).await.unwrap();
    let outcomes: Vec<Option<&str>> = records.iter().map(|record| record.outcome.as_deref()).collect();
    assert_eq!(outcomes, [Some("PERMISSION_DENIED NOT_PERMITTED"), Some("OK")], "newest first");
    let expected = [("made_id".to_owned(), Uuid::from_u128(8)), ("thing_id".to_owned(), Uuid::from_u128(7))];
    assert_eq!(records[1], Record { outcome: Some("OK".into()), resources: expected.into(), ..running[0].clone() });
    assert_eq!((records[1].actor.as_str(), records[1].trace_id.len()), ("admin:ada", 32));
    assert!(!format!("{records:?}").to_lowercase().contains("canary"));
    assert_eq!(list(&db, caller.account, HOUR, 1).await.unwrap(), records[..1]);
    assert!(list(&db, AccountId(Uuid::from_u128(2)), HOUR, 10).await.unwrap().is_empty(), "another account's");
}

#[tokio::test]
async fn s4_the_same_refusals_of_a_minute_are_counted_in_one_record() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let db = db(&folder, "a", &clock).await;
    let log = AuditLog::new(vec![("test.v1.Things", db.clone())]);
    let (one, mut other) = (caller(1), caller(1));
    other.actor.id = "bob".into();
    let refuse = async |caller: &Caller, times: usize| {
        for _ in 0..times {
            log.record_refused(call(caller, "test.v1.Things/Make"), "PERMISSION_DENIED NOT_PERMITTED").await.unwrap();
        }
    };
    let outcomes = async || {
        let records = list(&db, one.account, HOUR, 10).await.unwrap().into_iter();
        records.map(|record| format!("{} {}", record.actor, record.outcome.unwrap())).collect::<Vec<_>>()
    };
    refuse(&one, 100).await;
    refuse(&other, 1).await;
    log.record_refused(call(&one, "test.v1.Things/Take"), "PERMISSION_DENIED NOT_PERMITTED").await.unwrap();
    assert_eq!(outcomes().await.len(), 3, "one for each caller and method");
    log.write_counts().await.unwrap();
    let counted = "admin:ada PERMISSION_DENIED NOT_PERMITTED (100 times)";
    assert_eq!(outcomes().await[2], counted);
    refuse(&one, 1).await;
    log.let_a_minute_pass();
    log.write_counts().await.unwrap();
    assert_eq!(outcomes().await[2], "admin:ada PERMISSION_DENIED NOT_PERMITTED (101 times)");
    refuse(&one, 1).await;
    assert_eq!(outcomes().await[0], "admin:ada PERMISSION_DENIED NOT_PERMITTED", "the next minute has its own record");
}

#[tokio::test]
async fn calls_are_recorded_in_the_database_of_their_service() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, caller) = (Clock::system(), caller(1));
    let (first, second) = (db(&folder, "a", &clock).await, db(&folder, "b", &clock).await);
    let log = AuditLog::new(vec![("test.a.v1.Things", first.clone()), ("test.b.v1.Things", second.clone())]);
    for method in ["test.b.v1.Things/Make", "test.b.v1.ThingsOfOthers/Make", "other.v1.Things/Make"] {
        log.record_refused(call(&caller, method), "OK").await.unwrap();
    }
    let methods = |records: Vec<Record>| records.into_iter().map(|record| record.method).collect::<Vec<_>>();
    assert_eq!(methods(list(&second, caller.account, HOUR, 9).await.unwrap()), ["test.b.v1.Things/Make"]);
    assert_eq!(list(&first, caller.account, HOUR, 9).await.unwrap().len(), 2);
    assert!(AuditLog::default().begin(call(&caller, "test.b.v1.Things/Make")).await.is_err());
}

#[tokio::test]
async fn records_are_kept_for_four_hundred_days() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let (caller, days) = (caller(1), |days: u64| Duration::from_secs(days * 24 * 3600));
    let db = db(&folder, "a", &clock).await;
    let old = (0..RETENTION.batch + 10).map(|_| entity::ActiveModel {
        id: Set(clock.new_id()),
        account_id: Set(caller.account.0),
        at: Set(clock.now().0),
        actor: Set("admin:ada".into()),
        method: Set("test.v1.Things/Make".into()),
        resources: Set("{}".into()),
        trace_id: Set(String::new()),
        outcome: Set(None),
    });
    let tx = db.begin().await.unwrap();
    Entity::insert_many(old).exec_without_returning(tx.conn()).await.unwrap();
    tx.commit().await.unwrap();
    clock.advance(days(399)).unwrap();
    delete_expired_once(&db, &RETENTION).await.unwrap();
    assert_eq!(list(&db, caller.account, days(500), 1_000).await.unwrap().len() as u64, RETENTION.batch + 10);
    AuditLog::new(vec![("test.v1.Things", db.clone())])
        .record_refused(call(&caller, "test.v1.Things/Make"), "OK")
        .await
        .unwrap();
    clock.advance(days(2)).unwrap();
    delete_expired_once(&db, &RETENTION).await.unwrap();
    assert_eq!(list(&db, caller.account, days(500), 1_000).await.unwrap().len(), 1);
}
