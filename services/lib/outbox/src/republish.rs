//! Publishing lost events again, in parts: each sends a bounded number of events, and stores how far it came.

use std::time::Duration;

use frontdesk_bus::{Bus, BusError};
use frontdesk_db::{Db, DbErr, NOW_ON_POSTGRES as NOW};
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Statement, prelude::*};

use crate::{
    entity,
    lease::LeaseKey,
    retention,
    send::{Numbers, send},
    stream::{self, Model as Stream},
};

/// Maximum number of events of one part.
const PART: u64 = 5_000;
/// Maximum age of an event that is published again. The marks of handled events are kept for a day longer, so that an event
/// that was handled is recognised, however often it was published.
const MAX_AGE: Duration = retention::HANDLED.keep.saturating_sub(Duration::from_secs(24 * 3600));

/// How a part ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// More events may be lost.
    More,
    /// Nothing is left to be published again, or another replica leads.
    Done,
}

/// Publishes the next part of the lost events again, for the holder of the lease.
pub(crate) async fn republish_part(db: &Db, bus: &Bus, lease: &LeaseKey) -> Result<Part, BusError> {
    if db.is_sqlite() {
        return Ok(Part::Done);
    }
    let Some(stream) = stream::Entity::find_by_id(&lease.name).one(db.relay()).await? else { return Ok(Part::Done) };
    let (Some(from), Some(to)) = (stream.republish_from, stream.republish_to) else { return Ok(Part::Done) };
    let rows = entity::Entity::find()
        .filter(entity::Column::Position.gt(from))
        .filter(entity::Column::Position.lte(to))
        .order_by_asc(entity::Column::Position)
        .limit(PART)
        .all(db.relay())
        .await?;
    // None: this is the last part.
    let last = rows.last().map(|row| row.position).filter(|_| rows.len() as u64 == PART);
    let oldest = db.now().await?.minus(MAX_AGE);
    let rows: Vec<_> = rows.into_iter().filter(|row| row.created_at > oldest.0).collect();
    let mut numbers = Numbers::after(stream.last_sequence);
    let sent = send(bus, &mut numbers, &rows, || true).await;
    if let Some(error) = sent.failed {
        return Err(error);
    }
    if numbers.lost_after.is_some() {
        return Err(BusError::Broker("the stream came back shorter".into()));
    }
    // Nothing is stored when another replica leads, or when more was lost meanwhile.
    if !store_progress(db, &stream, last, numbers.last, lease).await? {
        return Ok(if holds(db, lease).await? { Part::More } else { Part::Done });
    }
    tracing::info!(
        relay = lease.name,
        events = rows.len(),
        position = last.unwrap_or(to),
        to,
        "lost events are published again"
    );
    Ok(if last.is_none() { Part::Done } else { Part::More })
}

/// Stores that the part ended at the position `last`; None: it was the last part. False: the request changed meanwhile, or
/// another replica leads.
async fn store_progress(
    db: &Db,
    stream: &Stream,
    last: Option<i64>,
    last_sequence: Option<i64>,
    lease: &LeaseKey,
) -> Result<bool, DbErr> {
    let sql = format!(
        "UPDATE outbox_streams SET republish_from = $1, lost_after = CASE WHEN $1 IS NULL THEN NULL ELSE lost_after END,
             republish_to = CASE WHEN $1 IS NULL THEN NULL ELSE republish_to END,
             last_sequence = greatest(last_sequence, $10)
         WHERE source = $2 AND republish_from = $3 AND lost_after = $4 AND republish_to = $5 AND created_at = $6
             AND EXISTS (SELECT FROM leases WHERE name = $7 AND holder = $8 AND term = $9 AND ends_at > {NOW})"
    );
    let values: [sea_orm::Value; 10] = [
        last.into(),
        stream.source.clone().into(),
        stream.republish_from.into(),
        stream.lost_after.into(),
        stream.republish_to.into(),
        stream.created_at.into(),
        lease.name.clone().into(),
        lease.holder.into(),
        lease.term.into(),
        last_sequence.into(),
    ];
    let tx = db.begin_relay_statement();
    let updated = tx.conn().execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
    tx.commit().await?;
    Ok(updated.rows_affected() == 1)
}

async fn holds(db: &Db, lease: &LeaseKey) -> Result<bool, DbErr> {
    let sql = format!("SELECT 1 FROM leases WHERE name = $1 AND holder = $2 AND term = $3 AND ends_at > {NOW}");
    let values: [sea_orm::Value; 3] = [lease.name.clone().into(), lease.holder.into(), lease.term.into()];
    Ok(db.relay().query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?.is_some())
}
