//! A repeated request gets the result of the first one, other content is refused, and ids belong to their actor.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test fails by panicking")]

use frontdesk_auth::{Actor, Caller, CallerKind};
use frontdesk_clock::Clock;
use frontdesk_db::{AccountId, DatabaseUrl, Db, DbErr, DbSettings, Tx, delete_expired_once, migrate};
use frontdesk_idempotency::{ClaimError, Key, REQUESTS, RETENTION, RequestBatch, is_id_taken};
use frontdesk_proto::auth::v1::Access;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use uuid::Uuid;

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(REQUESTS)]
    }
}

async fn db(folder: &tempfile::TempDir, clock: &Clock) -> Db {
    let url = DatabaseUrl(format!("sqlite://{}", folder.path().join("requests.db").display()));
    let db = Db::connect(&DbSettings { url, max_connections: None }, clock).await.unwrap();
    migrate::<Migrator>(&db).await.unwrap();
    db
}

fn key(account: u128, actor: &str, id: &str, content: &str) -> Key {
    let caller = Caller {
        account: AccountId(Uuid::from_u128(account)),
        kind: CallerKind::Visitor,
        actor: Actor { kind: CallerKind::Visitor, id: actor.into() },
        name: None,
        email: None,
        permissions: Default::default(),
        scope: None,
        ends: None,
    };
    Key::new(&caller, id, &Access { permission: content.into(), ..Access::default() })
}

async fn claim(db: &Db, key: &Key, result: i64) -> Result<i64, ClaimError> {
    let tx = db.begin().await?;
    if let Some(first) = key.claim(&tx).await? {
        return Ok(first);
    }
    key.store_result(&tx, &result).await?;
    tx.commit().await?;
    Ok(result)
}

#[tokio::test]
async fn c12_an_id_has_one_content_and_one_result_for_each_actor_of_an_account() {
    let folder = tempfile::tempdir().unwrap();
    let db = db(&folder, &Clock::system()).await;
    assert_eq!(claim(&db, &key(1, "v", "id", "a"), 7).await.unwrap(), 7);
    assert_eq!(claim(&db, &key(1, "v", "id", "a"), 8).await.unwrap(), 7, "a repeated request gets the first result");
    assert!(matches!(claim(&db, &key(1, "v", "id", "b"), 9).await, Err(ClaimError::Reused)));
    assert_eq!(claim(&db, &key(1, "w", "id", "b"), 10).await.unwrap(), 10, "another actor");
    assert_eq!(claim(&db, &key(2, "v", "id", "b"), 11).await.unwrap(), 11, "another account");
    assert_eq!(key(1, "v", "id", "a").find::<i64>(db.read()).await.unwrap(), Some(7));
    assert_eq!(key(1, "v", "new", "a").find::<i64>(db.read()).await.unwrap(), None);
}

#[tokio::test]
async fn c12_a_claim_that_is_rolled_back_leaves_the_id_unused() {
    let folder = tempfile::tempdir().unwrap();
    let db = db(&folder, &Clock::system()).await;
    let key = key(1, "v", "id", "a");
    let tx = db.begin().await.unwrap();
    assert_eq!(key.claim::<i64>(&tx).await.unwrap(), None);
    drop(tx);
    assert_eq!(claim(&db, &key, 12).await.unwrap(), 12);
}

async fn insert(tx: &Tx, batch: RequestBatch) -> Result<(), DbErr> {
    let changed = "SELECT unhex('00000000000000000000000000000000')";
    let sql = RequestBatch::insert_on_sqlite_sql(changed);
    let insert = Statement::from_sql_and_values(DbBackend::Sqlite, sql, [batch.into_json()]);
    tx.conn().execute_raw(insert).await.map(drop)
}

#[tokio::test]
async fn c12_a_batch_finds_earlier_requests_and_its_own_and_stores_the_new_ones() {
    let folder = tempfile::tempdir().unwrap();
    let db = db(&folder, &Clock::system()).await;
    let (first, new, other) = (key(1, "v", "first", "a"), key(1, "v", "new", "a"), key(1, "v", "first", "b"));
    claim(&db, &first, 7).await.unwrap();

    let tx = db.begin().await.unwrap();
    let mut batch = RequestBatch::find(tx.conn(), [&first, &new].into_iter()).await.unwrap();
    assert_eq!(batch.result::<i64>(&first).unwrap(), Some(7), "an earlier request");
    assert!(matches!(batch.result::<i64>(&other), Err(ClaimError::Reused)), "other content");
    assert_eq!(batch.result::<i64>(&new).unwrap(), None);
    batch.store_result(&new, &8_i64, Uuid::nil(), tx.now().await.unwrap()).unwrap();
    assert_eq!(batch.result::<i64>(&new).unwrap(), Some(8), "a repeat within the batch");
    insert(&tx, batch).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(claim(&db, &new, 9).await.unwrap(), 8);
}

#[tokio::test]
async fn c12_a_batch_is_refused_when_an_id_was_used_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let db = db(&folder, &Clock::system()).await;
    let key = key(1, "v", "id", "a");
    let mut batch = RequestBatch::find(db.read(), std::iter::once(&key)).await.unwrap();
    claim(&db, &key, 7).await.unwrap();
    let tx = db.begin().await.unwrap();
    batch.store_result(&key, &8_i64, Uuid::nil(), tx.now().await.unwrap()).unwrap();
    let refused = insert(&tx, batch).await.unwrap_err();
    assert!(is_id_taken(&refused), "{refused}");
}

#[tokio::test]
async fn c12_request_ids_are_kept_for_seven_days() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::system());
    let db = db(&folder, &clock).await;
    let key = key(1, "v", "id", "a");
    claim(&db, &key, 7).await.unwrap();
    let day = std::time::Duration::from_secs(24 * 3600);
    clock.advance(7 * day - day / 24).unwrap();
    assert_eq!(delete_expired_once(&db, &RETENTION).await.unwrap(), 0);
    clock.advance(day).unwrap();
    assert_eq!(delete_expired_once(&db, &RETENTION).await.unwrap(), 1);
    assert_eq!(key.find::<i64>(db.read()).await.unwrap(), None);
}
