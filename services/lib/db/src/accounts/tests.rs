use std::{collections::BTreeSet, sync::Arc, time::Duration};

use frontdesk_clock::Clock;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, RuntimeErr, Statement, prelude::Uuid};
use serde_json::Value;
use tokio::task::JoinSet;

use super::*;
use crate::{AccountId, DatabaseUrl, Db, DbSettings};

const A: AccountId = AccountId(Uuid::from_u128(0xA));
const B: AccountId = AccountId(Uuid::from_u128(0xB));

const TABLES: &[AccountTable] = &[
    AccountTable::new("things", &["name", "id"]).with(OF_THINGS),
    AccountTable::new("notes", &["number"]).erased_if("number <> 7"),
    AccountTable::new("words", &["word"]).not_exported(),
    AccountTable::new("settings", &[]).without(&["code"]),
];
const OF_THINGS: &[ChildTable] =
    &[ChildTable::new("parts", "thing_id", &["number"]), ChildTable::new("marks", "thing_id", &[]).not_exported()];

const SCHEMA: &str =
    "CREATE TABLE things (id UUID PRIMARY KEY, account_id UUID, name TEXT, is_new BOOLEAN, bytes BLOB);
    CREATE TABLE parts (thing_id UUID, number BIGINT, account_id UUID, PRIMARY KEY (thing_id, number));
    CREATE TABLE marks (thing_id UUID PRIMARY KEY, account_id UUID);
    CREATE TABLE notes (account_id UUID, number INTEGER, text TEXT, PRIMARY KEY (account_id, number));
    CREATE TABLE words (account_id UUID, word TEXT, PRIMARY KEY (account_id, word)) WITHOUT ROWID;
    CREATE TABLE settings (account_id UUID PRIMARY KEY, color TEXT, code TEXT)";

async fn db(folder: &tempfile::TempDir) -> Db {
    db_at(folder, &Clock::system()).await
}

async fn db_at(folder: &tempfile::TempDir, clock: &Clock) -> Db {
    let url = DatabaseUrl(format!("sqlite://{}", folder.path().join("things.db").display()));
    let db = Db::connect(&DbSettings { url, max_connections: None }, clock).await.unwrap();
    db.writer().execute_unprepared(SCHEMA).await.unwrap();
    db
}

/// Things with two parts each, of both accounts, and more notes than a page and a batch have.
async fn fill(db: &Db) {
    for (account, things) in [(A, 1..=120_u128), (B, 1_001..=1_003)] {
        let account = account.0.simple();
        for thing in things {
            let id = Uuid::from_u128(thing).simple();
            let sql = format!(
                "INSERT INTO things VALUES (x'{id}', x'{account}', 'same', TRUE, x'0A');
                 INSERT INTO parts VALUES (x'{id}', 1, x'{account}'), (x'{id}', 2, x'{account}');
                 INSERT INTO marks VALUES (x'{id}', x'{account}')"
            );
            db.writer().execute_unprepared(&sql).await.unwrap();
        }
        let numbers = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2500)";
        for table in ["notes SELECT x'{account}', n, 'a ''quoted'' text' FROM n", "words SELECT x'{account}', n FROM n"]
        {
            let rows = table.replace("{account}", &account.to_string());
            db.writer().execute_unprepared(&format!("{numbers} INSERT INTO {rows}")).await.unwrap();
        }
        let settings = format!("INSERT INTO settings (account_id, code) VALUES (x'{account}', 'a secret')");
        db.writer().execute_unprepared(&settings).await.unwrap();
    }
}

async fn count(db: &Db, table: &str, account: AccountId) -> i64 {
    let sql = format!("SELECT count(*) FROM {table} WHERE account_id = x'{}'", account.0.simple());
    let row = db.read().query_one_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

#[tokio::test]
async fn x2_rows_of_an_account_are_erased_in_parts_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let db = db(&folder).await;
    fill(&db).await;
    let mut parts = 0;
    loop {
        let tx = db.begin_for(A).await.unwrap();
        let deleted = erase_account_rows(&tx, A, TABLES).await.unwrap();
        tx.commit().await.unwrap();
        assert!(deleted <= 1_000, "{deleted}");
        if deleted == 0 {
            break;
        }
        parts += 1;
    }
    assert!(parts > 8, "{parts}");
    for (table, left_of_b) in
        [("things", 3), ("parts", 6), ("marks", 3), ("notes", 2_500), ("words", 2_500), ("settings", 1)]
    {
        assert_eq!(count(&db, table, A).await, i64::from(table == "notes"), "{table}");
        assert_eq!(count(&db, table, B).await, left_of_b, "{table}");
    }
}

#[tokio::test]
async fn x2_each_row_of_an_account_is_exported_once() {
    let folder = tempfile::tempdir().unwrap();
    let db = db(&folder).await;
    fill(&db).await;
    let (mut records, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let read = db.read_for(A).await.unwrap();
        let page = list_account_rows(&read.conn(), A, TABLES, cursor.parse().unwrap()).await.unwrap();
        records.extend(page.records);
        pages += 1;
        if page.next_cursor.is_empty() {
            break;
        }
        cursor = page.next_cursor;
    }
    assert!(pages > 1, "{pages}");
    let distinct: BTreeSet<&String> = records.iter().collect();
    assert_eq!((distinct.len(), records.len()), (120 * 3 + 2_500 + 1, 120 * 3 + 2_500 + 1));
    let records: Vec<Value> = records.iter().map(|record| serde_json::from_str(record).unwrap()).collect();
    let of = |table: &str| records.iter().find(|record| record["record"] == table).unwrap();
    let thing = of("things");
    assert_eq!(thing["id"], Uuid::from_u128(1).to_string());
    assert_eq!((&thing["is_new"], &thing["bytes"]), (&true.into(), &"0a".into()));
    assert_eq!(of("notes")["text"], "a 'quoted' text");
    assert!(of("settings").get("color").is_none() && of("settings").get("code").is_none());
    assert!(records.iter().all(|record| record["account_id"] == A.0.to_string()));
    // A row follows the one that it belongs to.
    let of_thing: Vec<&Value> = records.iter().take(3).map(|record| &record["record"]).collect();
    assert_eq!(of_thing, ["things", "parts", "parts"]);
}

#[tokio::test]
async fn x2_a_state_is_known_at_once_where_it_changed_and_rows_are_erased_a_minute_later() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let db = db_at(&folder, &clock).await;
    let schema = crate::row_level_security::expand(ACCOUNT_STATES.text, false);
    db.writer().execute_unprepared(&schema).await.unwrap();
    assert_eq!(db.account_state(A).await.unwrap(), AccountState::Active);
    for (state, version) in [(AccountState::Suspended, 1), (AccountState::Ended, 2), (AccountState::Active, 3)] {
        let tx = db.begin_for(A).await.unwrap();
        let mut record = lock_account(&tx, A).await.unwrap();
        assert_eq!(record.version, version - 1);
        (record.state, record.version) = (state, version);
        save_account(&tx, &record).await.unwrap();
        tx.commit().await.unwrap();
        db.forget_account_states();
        assert_eq!(db.account_state(A).await.unwrap(), state);
        assert_eq!(db.account_state(B).await.unwrap(), AccountState::Active);
        // Another replica may not know it yet.
        assert!(accounts_to_erase(&db).await.unwrap().is_empty());
        clock.advance(Duration::from_secs(60)).unwrap();
        assert_eq!(accounts_to_erase(&db).await.unwrap().contains(&A), state == AccountState::Ended);
    }
}

#[tokio::test]
async fn x2_a_burst_of_calls_reads_the_states_once() {
    let folder = tempfile::tempdir().unwrap();
    // Without the table each attempt fails, with an error of its own.
    let db = db(&folder).await;
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let db = db.clone();
        calls.spawn(async move { db.account_state(A).await.unwrap_err() });
    }
    let errors = calls.join_all().await;
    let attempts: Vec<_> = errors
        .iter()
        .map(|error| match error {
            DbErr::Query(RuntimeErr::SqlxError(error)) | DbErr::Exec(RuntimeErr::SqlxError(error)) => error,
            error => panic!("{error}"),
        })
        .collect();
    assert!(attempts.iter().all(|error| Arc::ptr_eq(error, attempts[0])));
    // A later call makes an attempt of its own.
    let schema = crate::row_level_security::expand(ACCOUNT_STATES.text, false);
    db.writer().execute_unprepared(&schema).await.unwrap();
    assert_eq!(db.account_state(A).await.unwrap(), AccountState::Active);
}
