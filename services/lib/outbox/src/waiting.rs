//! Reading the events that wait to be published.

use frontdesk_db::{Db, DbErr};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, QueryResult, Statement, Value};
use serde_json::json;

use crate::{
    entity,
    positions::{Positions, Snapshot},
};

/// Maximum number of events that are read and published together.
const MAX_EVENTS: usize = 1_000;

/// The first events that wait.
pub(crate) struct Waiting {
    pub(crate) rows: Vec<entity::Model>,
    /// Whether more may wait behind them.
    pub(crate) is_full: bool,
    /// What is published when all of them are.
    pub(crate) after: Positions,
}

/// Reads the first waiting events. Not only those after a position: a transaction may end later than one that got later positions, and the
/// next event of its aggregate must not overtake its own.
pub(crate) async fn read_waiting(db: &Db, published: &Positions) -> Result<Waiting, DbErr> {
    let (first, last): (Vec<i64>, Vec<i64>) = published.waiting().unzip();
    let (backend, sql, values): (_, _, [Value; 2]) = if db.is_sqlite() {
        // Its gaps are single events that could not be published.
        let gaps: Vec<i64> = first.iter().zip(&last).filter(|(_, last)| **last < i64::MAX).map(|(at, _)| *at).collect();
        let sql = format!(
            "SELECT * FROM (SELECT * FROM outbox_events WHERE position IN (SELECT value FROM json_each(?2)))
             UNION ALL SELECT * FROM (
               SELECT * FROM outbox_events WHERE position > ?1 ORDER BY position LIMIT {MAX_EVENTS})
             ORDER BY position LIMIT {MAX_EVENTS}"
        );
        (DbBackend::Sqlite, sql, [published.published_to.into(), json!(gaps).to_string().into()])
    } else {
        let sql = format!(
            "SELECT waiting.*, pg_snapshot_xmin(now.snapshot)::text::bigint AS xmin,
               CASE WHEN waiting.position IS NULL AND cardinality($1::bigint[]) = 1 THEN 0
                 ELSE pg_current_xact_id()::text::bigint END AS number
             FROM (SELECT pg_current_snapshot() AS snapshot) AS now LEFT JOIN (
               SELECT events.* FROM unnest($1::bigint[], $2::bigint[]) AS range (first, last) CROSS JOIN LATERAL (
                 SELECT * FROM outbox_events WHERE position BETWEEN range.first AND range.last
                 ORDER BY position LIMIT {MAX_EVENTS}) AS events
               ORDER BY position LIMIT {MAX_EVENTS}) AS waiting ON true
             ORDER BY position"
        );
        (DbBackend::Postgres, sql, [first.into(), last.into()])
    };
    let found = db.relay().query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    let snapshot = match found.first() {
        Some(row) if !db.is_sqlite() => Snapshot { xmin: row.try_get("", "xmin")?, number: row.try_get("", "number")? },
        _ => Snapshot::IDLE,
    };
    // PostgreSQL returns a row with the snapshot alone where nothing waits.
    let is_event = |row: &&QueryResult| row.try_get::<Option<i64>>("", "position").is_ok_and(|at| at.is_some());
    let rows = found.iter().filter(is_event).map(|row| entity::Model::from_query_result(row, ""));
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let positions: Vec<i64> = rows.iter().map(|row| row.position).collect();
    let is_full = rows.len() == MAX_EVENTS;
    Ok(Waiting { rows, is_full, after: published.after(&positions, snapshot, is_full) })
}
