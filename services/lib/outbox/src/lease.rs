//! Leadership for a while: of several replicas one leads, and proves it in the transaction of what it does.

use std::time::{Duration, Instant};

use frontdesk_db::{Db, DbErr};
use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};
use uuid::Uuid;

/// A leader that says nothing for so long is followed by another.
pub(crate) const LASTS: Duration = Duration::from_secs(3);
/// How often a replica that does not lead asks whether it may.
pub(crate) const ASK_EVERY: Duration = Duration::from_millis(500);
/// A leader with nothing to do says so often that it is there.
pub(crate) const RENEW_EVERY: Duration = Duration::from_secs(1);

/// The database's own clock, in microseconds; the development clock's jumps end no lease.
pub(crate) const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

/// Leadership. In SQLite, the database of one process, it is always had.
pub(crate) struct Lease {
    db: Db,
    pub(crate) name: String,
    pub(crate) holder: Uuid,
    pub(crate) term: i64,
    renewed: Instant,
}

impl Lease {
    /// Takes the lead, if nobody has it.
    pub(crate) async fn acquire(db: &Db, name: String, holder: Uuid) -> Result<Option<Self>, DbErr> {
        let asked = Instant::now();
        let mut lease = Self { db: db.clone(), name, holder, term: 0, renewed: asked };
        if db.is_sqlite() {
            return Ok(Some(lease));
        }
        let sql = format!(
            "INSERT INTO leases (name, holder, term, ends_at) VALUES ($1, $2, 1, {NOW} + $3)
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, term = leases.term + 1, ends_at = excluded.ends_at
             WHERE leases.ends_at < {NOW} RETURNING term"
        );
        let values: [Value; 3] = [lease.name.clone().into(), holder.into(), micros(LASTS).into()];
        let tx = db.begin().await?;
        let row = tx.conn().query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
        tx.commit().await?;
        let Some(row) = row else { return Ok(None) };
        lease.term = row.try_get("", "term")?;
        Ok(Some(lease))
    }

    /// Stays leader. False: another leads now.
    pub(crate) async fn renew(&mut self) -> Result<bool, DbErr> {
        let asked = Instant::now();
        if self.db.is_sqlite() {
            self.renewed = asked;
            return Ok(true);
        }
        let sql = format!("UPDATE leases SET ends_at = {NOW} + $4 WHERE name = $1 AND holder = $2 AND term = $3");
        let values: [Value; 4] = [self.name.clone().into(), self.holder.into(), self.term.into(), micros(LASTS).into()];
        let tx = self.db.begin().await?;
        let done = tx.conn().execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
        tx.commit().await?;
        if done.rows_affected() == 1 {
            self.renewed = asked;
        }
        Ok(done.rows_affected() == 1)
    }

    /// The database has confirmed it in a transaction that was asked for at this moment.
    pub(crate) fn confirmed(&mut self, asked: Instant) {
        self.renewed = asked;
    }

    /// Whether it is time to renew.
    pub(crate) fn wants_renewal(&self) -> bool {
        self.renewed.elapsed() >= RENEW_EVERY
    }

    /// Whether, by our own clock, nobody else can have followed yet. One who was paused finds out here.
    pub(crate) fn holds(&self) -> bool {
        self.db.is_sqlite() || self.renewed.elapsed() < LASTS
    }

    /// Gives the lead away, so that another need not wait.
    pub(crate) async fn release(self) -> Result<(), DbErr> {
        if self.db.is_sqlite() {
            return Ok(());
        }
        let sql = "UPDATE leases SET ends_at = 0 WHERE name = $1 AND holder = $2 AND term = $3";
        let values: [Value; 3] = [self.name.clone().into(), self.holder.into(), self.term.into()];
        let tx = self.db.begin().await?;
        tx.conn().execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
        tx.commit().await
    }
}

pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
