//! How much waits to be published, for the metrics.

use frontdesk_clock::Time;
use frontdesk_db::{Db, DbErr};
use sea_orm::{ConnectionTrait, Statement};

/// Maximum number of events that are counted.
const MAX_COUNTED: i64 = 100_000;

/// The events that wait to be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unpublished {
    /// Their number; 100,000 if there are more.
    pub events: i64,
    /// When the first of them was written. None: no event waits.
    pub oldest: Option<Time>,
}

/// Measures the events of which it is not stored that they are published.
pub async fn measure_unpublished(db: &Db) -> Result<Unpublished, DbErr> {
    let sql = format!(
        "SELECT count(*) AS events, min(created_at) AS oldest FROM (
             SELECT created_at FROM outbox_events WHERE position > (SELECT settled_to FROM outbox_progress)
             ORDER BY position LIMIT {MAX_COUNTED}) AS waiting"
    );
    let statement = Statement::from_string(db.read().get_database_backend(), sql);
    let row = db.read().query_one_raw(statement).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound("outbox_events".into()))?;
    let oldest: Option<i64> = row.try_get("", "oldest")?;
    Ok(Unpublished { events: row.try_get("", "events")?, oldest: oldest.map(Time) })
}
