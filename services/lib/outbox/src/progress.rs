//! The stored progress of the relay.

use frontdesk_db::{Db, DbErr, NOW_ON_POSTGRES as NOW};
use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};

use crate::{
    lease::{LEASE_DURATION, LeaseKey, micros},
    positions::Positions,
    stream::request_again,
};

/// What is stored of the relay's progress.
pub(crate) struct Progress {
    pub(crate) published: Positions,
    /// Number of the last event that the broker acknowledged.
    pub(crate) last_sequence: Option<i64>,
    /// The events after this number were lost.
    pub(crate) lost_after: Option<i64>,
    /// Whether a checkpoint is stored: the number up to which the events of the stream are those that are settled, or earlier ones.
    pub(crate) is_checkpoint: bool,
}

impl Progress {
    /// Stores it, and renews the lease in the same transaction. False: another replica holds the lease, and nothing was stored.
    pub(crate) async fn save(&self, db: &Db, lease: &LeaseKey) -> Result<bool, DbErr> {
        fail::fail_point!("event-published", |_| std::process::abort());
        let (settled_to, published_to) = (self.published.settled_to(), self.published.published_to);
        let gaps = self.published.gaps_json();
        if db.is_sqlite() {
            let sql = "UPDATE outbox_progress SET settled_to = ?, published_to = ?, gaps = ?";
            let values: [Value; 3] = [settled_to.into(), published_to.into(), gaps.into()];
            let tx = db.begin().await?;
            tx.conn().execute_raw(Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)).await?;
            tx.commit().await?;
            return Ok(true);
        }
        let sql = format!(
            "WITH held AS (
                 UPDATE leases SET ends_at = {NOW} + $4 WHERE name = $1 AND holder = $2 AND term = $3 RETURNING 1),
             progress AS (
                 UPDATE outbox_progress SET settled_to = $5, published_to = $6, gaps = $7
                 WHERE EXISTS (SELECT FROM held)),
             stream AS (
                 UPDATE outbox_streams SET last_sequence = greatest(last_sequence, $8)
                 WHERE source = $1 AND EXISTS (SELECT FROM held)),
             checkpoint AS (
                 INSERT INTO outbox_checkpoints (settled_to, stream_sequence, created_at)
                 SELECT $5, greatest($8, (SELECT last_sequence FROM outbox_streams WHERE source = $1)), {NOW} FROM held
                 WHERE $9 AND NOT EXISTS (SELECT FROM outbox_streams WHERE republish_to IS NOT NULL)
                 ON CONFLICT (settled_to) DO NOTHING)
             -- What is lost in a crash is published again, so that the commit need not wait for the disk.
             SELECT count(*) AS held, set_config('synchronous_commit', 'off', true) FROM held"
        );
        let values: [Value; 9] = [
            lease.name.clone().into(),
            lease.holder.into(),
            lease.term.into(),
            micros(LEASE_DURATION).into(),
            settled_to.into(),
            published_to.into(),
            gaps.into(),
            self.last_sequence.unwrap_or_default().into(),
            self.is_checkpoint.into(),
        ];
        // One statement commits by itself.
        let tx = if self.lost_after.is_some() { db.begin().await? } else { db.begin_relay_statement() };
        let row = tx.conn().query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
        let held: i64 = row.ok_or_else(|| DbErr::RecordNotFound("leases".into()))?.try_get("", "held")?;
        if let Some(lost_after) = self.lost_after.filter(|_| held == 1) {
            request_again(&tx, &lease.name, lost_after, self.last_sequence).await?;
        }
        tx.commit().await?;
        Ok(held == 1)
    }
}

/// Which events are published, as it was stored last.
pub(crate) async fn load_published(db: &Db) -> Result<Positions, DbErr> {
    let statement =
        Statement::from_string(db.relay().get_database_backend(), "SELECT published_to, gaps FROM outbox_progress");
    let row = db.relay().query_one_raw(statement).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound("outbox_progress".into()))?;
    let gaps: String = row.try_get("", "gaps")?;
    Positions::new(row.try_get("", "published_to")?, &gaps)
        .map_err(|error| DbErr::Type(format!("outbox_progress.gaps: {error}")))
}
