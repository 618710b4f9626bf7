//! Retention: deleting expired rows, in batches.

use std::time::Duration;

use opentelemetry::{KeyValue, metrics::Counter};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use tokio_util::sync::CancellationToken;

use crate::Db;

/// Interval between two deletions of expired rows.
const INTERVAL: Duration = Duration::from_secs(3600);

/// How long the rows of a table are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The table.
    pub table: &'static str,
    /// The column, or an expression, with the moment (microseconds since 1970) from which a row is kept. A row where it is NULL is kept.
    pub time_column: &'static str,
    /// An indexed column in whose order the oldest rows come first: the time column, or, where that has no index, one that
    /// rises with it.
    pub order_column: &'static str,
    /// How long a row is kept, by the database's clock.
    pub keep: Duration,
    /// Maximum number of rows deleted in one transaction, so that no other transaction waits long for a lock.
    pub batch: u64,
}

/// Deletes expired rows now and then every hour, until the shutdown. A failure is logged and retried after the interval.
pub async fn delete_expired(db: &Db, retentions: &[Retention], shutdown: CancellationToken) {
    for retention in retentions {
        deleted_rows().add(0, &[KeyValue::new("table", retention.table)]);
    }
    while !shutdown.is_cancelled() {
        for retention in retentions {
            if let Err(error) = delete_expired_once(db, retention).await {
                tracing::warn!(table = retention.table, %error, "expired rows were not deleted; trying again in an hour");
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

/// Deletes the expired rows of one table and returns their number. Several replicas may do so at once.
pub async fn delete_expired_once(db: &Db, retention: &Retention) -> Result<u64, DbErr> {
    let expired_before = db.now().await?.minus(retention.keep);
    let mut deleted = 0;
    loop {
        let tx = db.begin().await?;
        let backend = tx.conn().get_database_backend();
        let statement = Statement::from_sql_and_values(backend, sql(backend, retention), [expired_before.0.into()]);
        let rows = tx.conn().execute_raw(statement).await?.rows_affected();
        tx.commit().await?;
        deleted += rows;
        deleted_rows().add(rows, &[KeyValue::new("table", retention.table)]);
        if rows < retention.batch {
            return Ok(deleted);
        }
    }
}

/// The metric of deleted rows, by table; those of the services of a process count together.
fn deleted_rows() -> Counter<u64> {
    frontdesk_telemetry::meter()
        .u64_counter("frontdesk.retention.deleted_rows")
        .with_description("Expired rows that were deleted, by table")
        .build()
}

/// Deletes those of the first rows that are expired. The time is compared outside of the subquery, so that a row that another
/// transaction changes meanwhile is checked as it is then.
fn sql(backend: DbBackend, retention: &Retention) -> String {
    let Retention { table, time_column, order_column, batch, .. } = retention;
    match backend {
        DbBackend::Postgres => format!(
            "DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} ORDER BY {order_column} LIMIT {batch})) \
             AND {time_column} < $1"
        ),
        _ => format!(
            "DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} ORDER BY {order_column} LIMIT {batch}) \
             AND {time_column} < ?"
        ),
    }
}

#[cfg(test)]
mod tests {
    use frontdesk_clock::Clock;

    use super::*;
    use crate::{DatabaseUrl, DbSettings};

    const EXPIRING: Retention = Retention {
        table: "things",
        time_column: "done_at",
        order_column: "position",
        keep: Duration::from_secs(60),
        batch: 3,
    };

    async fn db(folder: &tempfile::TempDir, clock: &Clock) -> Db {
        let url = DatabaseUrl(format!("sqlite://{}", folder.path().join("things.db").display()));
        let db = Db::connect(&DbSettings { url, max_connections: None }, clock).await.unwrap();
        let table = "CREATE TABLE things (position INTEGER PRIMARY KEY, done_at BIGINT)";
        db.writer().execute_unprepared(table).await.unwrap();
        db
    }

    async fn insert(db: &Db, done_at: impl Iterator<Item = Option<i64>>) {
        for done_at in done_at {
            let done_at = done_at.map_or("NULL".to_owned(), |at| at.to_string());
            let insert = format!("INSERT INTO things (done_at) VALUES ({done_at})");
            db.writer().execute_unprepared(&insert).await.unwrap();
        }
    }

    #[tokio::test]
    async fn expired_rows_are_deleted_in_batches_and_others_are_kept() {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::system());
        let db = db(&folder, &clock).await;
        insert(&db, (0..8).map(|_| Some(clock.now().0))).await;
        assert_eq!(delete_expired_once(&db, &EXPIRING).await.unwrap(), 0);
        clock.advance(Duration::from_secs(61)).unwrap();
        insert(&db, [None, Some(clock.now().0)].into_iter()).await;
        assert_eq!(delete_expired_once(&db, &EXPIRING).await.unwrap(), 8);
        assert_eq!(delete_expired_once(&db, &EXPIRING).await.unwrap(), 0);
        let text = frontdesk_telemetry::metrics_text();
        let mut counters = text.lines().filter(|line| line.starts_with("frontdesk_retention_deleted_rows_total{"));
        // The other test has a row of the same table.
        let is_counted =
            |line: &str| line.contains("table=\"things\"") && [" 8", " 9"].iter().any(|end| line.ends_with(end));
        assert!(counters.any(is_counted), "{text}");
    }

    #[tokio::test]
    async fn the_loop_ends_at_the_shutdown() {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::system());
        let (db, shutdown) = (db(&folder, &clock).await, CancellationToken::new());
        insert(&db, std::iter::once(Some(0))).await;
        let running = tokio::spawn({
            let (db, shutdown) = (db.clone(), shutdown.clone());
            async move { delete_expired(&db, &[EXPIRING], shutdown).await }
        });
        shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(5), running).await.unwrap().unwrap();
    }
}
