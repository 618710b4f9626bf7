//! Row-level security (rule S2): on PostgreSQL a transaction for one account reads and writes no row of another, also
//! with a statement that lacks the filter by account.

use frontdesk_db::{AccountId, Connection, Db};
use frontdesk_testkit::{Mode, on_both_modes, servers, wait_until};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use uuid::Uuid;

use crate::backend::Backend;

on_both_modes!(s2_rows_written_for_an_account_are_read_for_it);

const A: AccountId = AccountId(Uuid::from_u128(0xA));
const B: AccountId = AccountId(Uuid::from_u128(0xB));

fn insert(account: AccountId) -> Statement {
    let values = [account.0.into(), Vec::<u8>::new().into()];
    let sql =
        "INSERT INTO requests (account_id, actor, request_id, fingerprint, created_at) VALUES ($1, 'a', 'r', $2, 0)";
    Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
}

/// The accounts of all rows that a query without a filter returns.
async fn accounts(conn: &impl ConnectionTrait) -> Vec<AccountId> {
    let all = Statement::from_string(DbBackend::Postgres, "SELECT account_id FROM requests ORDER BY account_id");
    let rows = conn.query_all_raw(all).await.unwrap();
    rows.iter().map(|row| AccountId(row.try_get("", "account_id").unwrap())).collect()
}

/// A database with a row of each account.
async fn two_accounts(backend: &Backend) -> Db {
    let db = backend.db().await;
    for account in [A, B] {
        let tx = db.begin_for(account).await.unwrap();
        tx.conn().execute_raw(insert(account)).await.unwrap();
        tx.commit().await.unwrap();
    }
    db
}

async fn s2_rows_written_for_an_account_are_read_for_it(mode: Mode) {
    let backend = Backend::new(mode).await;
    let db = two_accounts(&backend).await;
    assert!(accounts(&db.read_for(A).await.unwrap().conn()).await.contains(&A));
    assert_eq!(accounts(db.read()).await, [A, B], "work across accounts sees every account");
    assert!(!db.bypasses_row_level_security().await.unwrap(), "the tests run as an ordinary role");
}

#[tokio::test]
async fn s2_a_query_without_an_account_filter_sees_rows_of_one_account() {
    let db = two_accounts(&Backend::new(Mode::Distributed).await).await;
    assert_eq!(accounts(&db.read_for(A).await.unwrap().conn()).await, [A]);
    assert_eq!(accounts(db.begin_for(B).await.unwrap().conn()).await, [B]);
    // The restriction ends with the transaction: the same connections serve work across accounts again.
    for _ in 0..20 {
        drop(db.read_for(A).await.unwrap());
        assert_eq!(accounts(db.read()).await, [A, B]);
        assert_eq!(accounts(db.begin_batch().await.unwrap().conn()).await, [A, B]);
    }
}

#[tokio::test]
async fn s2_a_read_that_is_planned_once_sees_rows_of_one_account_and_has_its_own_settings() {
    let db = two_accounts(&Backend::new(Mode::Distributed).await).await;
    let plan = async |conn: &Connection| {
        let setting = Statement::from_string(DbBackend::Postgres, "SELECT current_setting('plan_cache_mode') AS mode");
        conn.query_one_raw(setting).await.unwrap().unwrap().try_get::<String>("", "mode").unwrap()
    };
    let planned = db.read_planned_for(A).await.unwrap();
    assert_eq!(accounts(planned.conn()).await, [A]);
    assert_eq!(plan(planned.conn()).await, "force_generic_plan");
    let error = planned.conn().execute_unprepared("DELETE FROM requests").await.unwrap_err().to_string();
    assert!(error.contains("read-only"), "{error}");
    drop(planned);
    for _ in 0..20 {
        assert_eq!(plan(db.read_for(B).await.unwrap().conn()).await, "auto");
    }
    for account in [B, A].into_iter().cycle().take(20) {
        assert_eq!(accounts(db.read_planned_for(account).await.unwrap().conn()).await, [account]);
    }
}

#[tokio::test]
async fn s2_rows_of_another_account_cannot_be_written_changed_or_deleted() {
    let refused = |result: Result<_, DbErr>| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains("row-level security"), "{error}");
    };
    let db = two_accounts(&Backend::new(Mode::Distributed).await).await;
    refused(db.begin_for(A).await.unwrap().conn().execute_raw(insert(B)).await);
    let moved = format!("UPDATE requests SET account_id = '{B}', request_id = 'other'");
    refused(db.begin_for(A).await.unwrap().conn().execute_unprepared(&moved).await);
    for sql in ["UPDATE requests SET result = 'theirs'", "DELETE FROM requests"] {
        let tx = db.begin_for(A).await.unwrap();
        assert_eq!(tx.conn().execute_unprepared(sql).await.unwrap().rows_affected(), 1, "{sql}");
        tx.commit().await.unwrap();
    }
    assert_eq!(accounts(db.read()).await, [B]);
}

#[tokio::test]
async fn s2_a_table_that_row_level_security_does_not_restrict_is_found() {
    let db = two_accounts(&Backend::new(Mode::Distributed).await).await;
    let is_found =
        async || db.inspect().await.unwrap().postgres.unwrap().unrestricted_tables.contains(&"requests".into());
    assert!(!is_found().await);
    for (breaking, mending) in [
        ("ALTER TABLE requests NO FORCE ROW LEVEL SECURITY", "ALTER TABLE requests FORCE ROW LEVEL SECURITY"),
        ("ALTER TABLE requests DISABLE ROW LEVEL SECURITY", "ALTER TABLE requests ENABLE ROW LEVEL SECURITY"),
        ("CREATE POLICY everyone ON requests USING (true)", "DROP POLICY everyone ON requests"),
    ] {
        db.read().execute_unprepared(breaking).await.unwrap();
        assert!(is_found().await, "{breaking}");
        db.read().execute_unprepared(mending).await.unwrap();
        assert!(!is_found().await, "{mending}");
    }
}

#[tokio::test]
async fn s2_the_role_and_its_missing_privileges_are_found() {
    let db = two_accounts(&Backend::new(Mode::Distributed).await).await;
    let found = db.inspect().await.unwrap();
    let postgres = found.postgres.unwrap();
    assert!(found.version.starts_with(&format!("PostgreSQL {}", postgres.major_version)), "{}", found.version);
    assert_eq!((postgres.role.as_str(), postgres.bypasses_row_level_security), ("suite", false));
    assert_eq!(postgres.forbidden_tables, [""; 0]);
    // The owner can take a privilege from itself.
    db.read().execute_unprepared("REVOKE DELETE ON requests FROM suite").await.unwrap();
    assert_eq!(db.inspect().await.unwrap().postgres.unwrap().forbidden_tables, ["requests"]);
}

#[tokio::test]
async fn read_transactions_cannot_write() {
    let db = two_accounts(&Backend::new(Mode::Distributed).await).await;
    let read = db.read_for(A).await.unwrap();
    let error = read.conn().execute_unprepared("DELETE FROM requests").await.unwrap_err().to_string();
    assert!(error.contains("read-only"), "{error}");
}

#[tokio::test]
async fn s2_a_session_without_an_account_sees_no_row() {
    let url = servers::postgres_database().await;
    let db = two_accounts(&Backend::on_postgres(&url)).await;
    let plain = sea_orm::Database::connect(&url).await.unwrap();
    assert!(accounts(&plain).await.is_empty(), "as an older binary sees it, which sets no account");
    plain.execute_unprepared("SET frontdesk.account = ''").await.unwrap();
    assert!(accounts(&plain).await.is_empty());
    assert_eq!(accounts(db.read()).await, [A, B]);
}

#[tokio::test]
async fn s2_work_across_accounts_waits_for_a_row_that_another_transaction_changes() {
    let db = two_accounts(&Backend::new(Mode::Distributed).await).await;
    let count = "UPDATE requests SET created_at = created_at + 1 WHERE request_id = 'r'";
    let first = db.begin_for(A).await.unwrap();
    first.conn().execute_unprepared(count).await.unwrap();
    let second = db.clone();
    let second = tokio::spawn(async move {
        let tx = second.begin().await?;
        tx.conn().execute_unprepared(count).await?;
        tx.commit().await
    });
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    let waiting = Statement::from_string(DbBackend::Postgres, waiting);
    wait_until("the second to wait", || async {
        let row = db.read().query_one_raw(waiting.clone()).await.unwrap().unwrap();
        row.try_get_by_index::<i64>(0).unwrap() > 0
    })
    .await;
    first.commit().await.unwrap();
    second.await.unwrap().unwrap();
    let counts = Statement::from_string(DbBackend::Postgres, "SELECT created_at FROM requests ORDER BY created_at");
    let counts = db.read().query_all_raw(counts).await.unwrap();
    let counts: Vec<i64> = counts.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
    assert_eq!(counts, [1, 2]);
}
