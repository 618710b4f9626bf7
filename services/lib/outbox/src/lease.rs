//! A lease: one replica of several leads for a limited time, and proves it in the transaction of each thing that it does.

use std::time::{Duration, Instant};

use frontdesk_db::{Db, DbErr, NOW_ON_POSTGRES as NOW};
use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};
use uuid::Uuid;

/// How long a lease lasts after it was renewed; then another replica can acquire it.
pub(crate) const LEASE_DURATION: Duration = Duration::from_secs(3);
/// Maximum time from now to the end of a lease. One that ends later was renewed before the database's clock was set back, and is void:
/// its holder may have died, and a living one renews it anew.
const MAX_REMAINING: Duration = LEASE_DURATION.saturating_mul(2);
/// Interval between two attempts of a stand-by replica to acquire the lease.
pub(crate) const ACQUIRE_INTERVAL: Duration = Duration::from_millis(500);
/// How long after its last renewal a lease is renewed; publishing renews it too.
pub(crate) const RENEW_INTERVAL: Duration = Duration::from_secs(1);

/// A held lease. Its end counts by the database's own clock, without the offset of a moved clock: moving it ends no lease. In SQLite, the database of one process, it is always granted.
pub(crate) struct Lease {
    db: Db,
    pub(crate) key: LeaseKey,
    renewed: Instant,
}

/// What proves in a transaction that a lease is held.
#[derive(Clone, Debug)]
pub(crate) struct LeaseKey {
    pub(crate) name: String,
    pub(crate) holder: Uuid,
    /// Rises with each change of the holder, so that a former holder recognises that its lease is over.
    pub(crate) term: i64,
}

impl Lease {
    /// Acquires the lease for `holder`. None: another replica holds it.
    pub(crate) async fn acquire(db: &Db, name: String, holder: Uuid) -> Result<Option<Self>, DbErr> {
        let asked = Instant::now();
        let mut lease = Self { db: db.clone(), key: LeaseKey { name, holder, term: 0 }, renewed: asked };
        if db.is_sqlite() {
            return Ok(Some(lease));
        }
        let sql = format!(
            "INSERT INTO leases (name, holder, term, ends_at) VALUES ($1, $2, 1, {NOW} + $3)
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, term = leases.term + 1, ends_at = excluded.ends_at
             WHERE leases.ends_at < {NOW} OR leases.ends_at > {NOW} + $4 RETURNING term"
        );
        let values: [Value; 4] =
            [lease.key.name.clone().into(), holder.into(), micros(LEASE_DURATION).into(), micros(MAX_REMAINING).into()];
        let tx = db.begin().await?;
        let row = tx.conn().query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
        tx.commit().await?;
        let Some(row) = row else { return Ok(None) };
        lease.key.term = row.try_get("", "term")?;
        Ok(Some(lease))
    }

    /// Renews the lease. False: another replica holds it now.
    pub(crate) async fn renew(&mut self) -> Result<bool, DbErr> {
        let asked = Instant::now();
        if self.db.is_sqlite() {
            self.renewed = asked;
            return Ok(true);
        }
        let sql = format!("UPDATE leases SET ends_at = {NOW} + $4 WHERE name = $1 AND holder = $2 AND term = $3");
        let values: [Value; 4] =
            [self.key.name.clone().into(), self.key.holder.into(), self.key.term.into(), micros(LEASE_DURATION).into()];
        let tx = self.db.begin().await?;
        let updated = tx.conn().execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
        tx.commit().await?;
        if updated.rows_affected() == 1 {
            self.renewed = asked;
        }
        Ok(updated.rows_affected() == 1)
    }

    /// Records that a transaction, begun after `asked`, renewed the lease.
    pub(crate) fn renewed_at(&mut self, asked: Instant) {
        self.renewed = asked;
    }

    /// Whether it is time to renew.
    pub(crate) fn is_renewal_due(&self) -> bool {
        self.renewed.elapsed() >= RENEW_INTERVAL
    }

    /// Whether, by this process's clock, no other replica can hold the lease yet. False after the process was stopped for
    /// longer than the lease lasts.
    pub(crate) fn is_held(&self) -> bool {
        self.db.is_sqlite() || self.renewed.elapsed() < LEASE_DURATION
    }

    /// Releases the lease, so that another replica can acquire it at once.
    pub(crate) async fn release(self) -> Result<(), DbErr> {
        if self.db.is_sqlite() {
            return Ok(());
        }
        let sql = "UPDATE leases SET ends_at = 0 WHERE name = $1 AND holder = $2 AND term = $3";
        let values: [Value; 3] = [self.key.name.clone().into(), self.key.holder.into(), self.key.term.into()];
        let tx = self.db.begin().await?;
        tx.conn().execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
        tx.commit().await
    }
}

pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
