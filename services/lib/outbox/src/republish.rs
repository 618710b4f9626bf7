//! Publishing lost events again, in parts: each marks a bounded number of events as waiting, and stores how far it came.

use std::time::Duration;

use frontdesk_db::{Db, DbErr, NOW_ON_POSTGRES as NOW, Tx};
use sea_orm::{
    Condition, ConnectionTrait, DbBackend, EntityTrait, QueryOrder, QuerySelect, Statement, entity::prelude::*,
};

use crate::{
    entity,
    lease::LeaseKey,
    retention,
    stream::{self, Model as Stream},
};

/// Maximum number of events that one part looks through.
const PART: u64 = 5_000;
/// Maximum age of an event that is published again. The marks of handled events are kept for a day longer, so that an event
/// that was handled is recognised, however often it was published.
const MAX_AGE: Duration = retention::HANDLED.keep.saturating_sub(Duration::from_secs(24 * 3600));

/// How a part ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// This number of events waits to be published again; more may be lost.
    Waiting(u64),
    /// Nothing is left to be published again, or another replica leads.
    Done,
}

/// Looks through the next part of the outbox and marks the lost events in it as waiting, if the holder of the lease asks.
pub(crate) async fn republish_part(db: &Db, source: &str, lease: &LeaseKey) -> Result<Part, DbErr> {
    if db.is_sqlite() {
        return Ok(Part::Done);
    }
    let tx = db.begin().await?;
    let Some(stream) = stream::Entity::find_by_id(source).one(tx.conn()).await? else { return Ok(Part::Done) };
    let (Some(lost_after), Some(from), Some(to)) = (stream.lost_after, stream.republish_from, stream.republish_to)
    else {
        return Ok(Part::Done);
    };
    let last: Option<i64> = entity::Entity::find()
        .select_only()
        .column(entity::Column::Position)
        .filter(entity::Column::Position.gt(from))
        .filter(entity::Column::Position.lte(to))
        .order_by_asc(entity::Column::Position)
        .offset(PART - 1)
        .limit(1)
        .into_tuple()
        .one(tx.conn())
        .await?;
    let waiting = mark_waiting(&tx, lost_after, from, last.unwrap_or(to)).await?;
    // Nothing is stored when another replica leads, or when more was lost meanwhile.
    if !store_progress(&tx, &stream, last, lease).await? {
        return Ok(if holds(&tx, lease).await? { Part::Waiting(0) } else { Part::Done });
    }
    tx.commit().await?;
    tracing::info!(source, waiting, position = last.unwrap_or(to), to, "lost events are published again");
    Ok(if last.is_none() && waiting == 0 { Part::Done } else { Part::Waiting(waiting) })
}

/// Marks the lost events between two positions as waiting, and returns their number.
async fn mark_waiting(tx: &Tx, lost_after: i64, from: i64, to: i64) -> Result<u64, DbErr> {
    let oldest = tx.now().await?.minus(MAX_AGE);
    let lost = Condition::any()
        .add(entity::Column::StreamSequence.gt(lost_after))
        .add(entity::Column::StreamSequence.is_null());
    let updated = entity::Entity::update_many()
        .filter(entity::Column::Position.gt(from))
        .filter(entity::Column::Position.lte(to))
        .filter(entity::Column::PublishedAt.is_not_null())
        .filter(entity::Column::CreatedAt.gt(oldest.0))
        .filter(lost)
        .col_expr(entity::Column::PublishedAt, Expr::value(Option::<i64>::None))
        .col_expr(entity::Column::StreamSequence, Expr::value(Option::<i64>::None))
        .exec(tx.conn())
        .await?;
    Ok(updated.rows_affected)
}

/// Stores that the part ended at the position `last`; None: it was the last part. False: the request changed meanwhile, or
/// another replica leads.
async fn store_progress(tx: &Tx, stream: &Stream, last: Option<i64>, lease: &LeaseKey) -> Result<bool, DbErr> {
    let sql = format!(
        "UPDATE outbox_streams SET republish_from = $1, lost_after = CASE WHEN $1 IS NULL THEN NULL ELSE lost_after END,
             republish_to = CASE WHEN $1 IS NULL THEN NULL ELSE republish_to END
         WHERE source = $2 AND republish_from = $3 AND lost_after = $4 AND republish_to = $5 AND created_at = $6
             AND EXISTS (SELECT FROM leases WHERE name = $7 AND holder = $8 AND term = $9 AND ends_at > {NOW})"
    );
    let values: [sea_orm::Value; 9] = [
        last.into(),
        stream.source.clone().into(),
        stream.republish_from.into(),
        stream.lost_after.into(),
        stream.republish_to.into(),
        stream.created_at.into(),
        lease.name.clone().into(),
        lease.holder.into(),
        lease.term.into(),
    ];
    let updated = tx.conn().execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
    Ok(updated.rows_affected() == 1)
}

async fn holds(tx: &Tx, lease: &LeaseKey) -> Result<bool, DbErr> {
    let sql = format!("SELECT 1 FROM leases WHERE name = $1 AND holder = $2 AND term = $3 AND ends_at > {NOW}");
    let values: [sea_orm::Value; 3] = [lease.name.clone().into(), lease.holder.into(), lease.term.into()];
    Ok(tx.conn().query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?.is_some())
}
