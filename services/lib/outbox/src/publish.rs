//! Publishing one batch: the holder of the lease sends the waiting events to the bus and marks them as published.

use std::{collections::HashMap, time::Instant};

use frontdesk_bus::{Bus, BusError};
use frontdesk_db::{Db, DbErr};
use frontdesk_proto::event::v1::Event;
use prost::Message;
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, QueryOrder, QuerySelect, Statement, Value, entity::prelude::*};

use crate::{
    entity,
    lease::{LEASE_DURATION, Lease, NOW, micros},
};

/// Maximum number of events that are read, published and marked together.
const MAX_EVENTS: usize = 1_000;

/// How a batch ended.
pub(crate) enum Published {
    /// This number of events was published and marked, and no more were waiting.
    Events(usize),
    /// A full batch was published and marked: more events may be waiting.
    Full,
    /// Another replica holds the lease now.
    LeaseLost,
}

/// Publishes up to [`MAX_EVENTS`] waiting events. Fails when the bus did not take all of them; those that it took are marked.
pub(crate) async fn publish_batch(db: &Db, bus: &Bus, source: &str, lease: &mut Lease) -> Result<Published, BusError> {
    let rows = entity::Entity::find()
        .filter(entity::Column::PublishedAt.is_null())
        .order_by_asc(entity::Column::Position)
        .limit(MAX_EVENTS as u64)
        .all(db.read())
        .await?;
    if rows.is_empty() {
        return Ok(Published::Events(0));
    }
    let mut published = Vec::with_capacity(rows.len());
    let mut failed = None;
    for batch in one_of_each_aggregate(&rows) {
        // After the lease may have ended nothing is sent: another replica may send later events of the same aggregates.
        if !lease.is_held() && !lease.renew().await? {
            return Ok(Published::LeaseLost);
        }
        // A failure ends the batches, so that no later event overtakes the failed one of its aggregate.
        if failed.is_some() {
            break;
        }
        let events: Result<Vec<Event>, _> = batch.iter().map(|row| Event::decode(row.event.as_slice())).collect();
        let results = bus.publish(&events.map_err(|error| DbErr::Type(error.to_string()))?).await;
        for (row, result) in batch.iter().zip(results) {
            match result {
                Ok(sequence) => published.push((row.position, sequence)),
                Err(error) => failed = Some(error),
            }
        }
    }
    if !mark_published(db, source, lease, &published).await? {
        return Ok(Published::LeaseLost);
    }
    match failed {
        Some(error) => Err(error),
        None if published.len() == MAX_EVENTS => Ok(Published::Full),
        None => Ok(Published::Events(published.len())),
    }
}

/// The rows, in batches with at most one event of each aggregate. Each batch is sent when the one before is acknowledged, so
/// that a later event never overtakes a failed one of the same aggregate.
fn one_of_each_aggregate(rows: &[entity::Model]) -> Vec<Vec<&entity::Model>> {
    let mut next_batch: HashMap<(Uuid, Uuid), usize> = HashMap::new();
    let mut batches: Vec<Vec<&entity::Model>> = Vec::new();
    for row in rows {
        let next = next_batch.entry((row.account_id, row.aggregate_id)).or_default();
        if *next == batches.len() {
            batches.push(Vec::new());
        }
        batches[*next].push(row);
        *next += 1;
    }
    batches
}

/// Marks the events, given by position and number in the stream, if this replica holds the lease in that same transaction.
/// False: it does not.
async fn mark_published(db: &Db, source: &str, lease: &mut Lease, published: &[(i64, i64)]) -> Result<bool, DbErr> {
    let Some(last) = published.iter().map(|(_, sequence)| *sequence).max() else { return Ok(true) };
    let asked = Instant::now();
    let tx = db.begin().await?;
    if db.is_sqlite() {
        let now = tx.now().await?;
        entity::Entity::update_many()
            .filter(entity::Column::Position.is_in(published.iter().map(|(position, _)| *position)))
            .col_expr(entity::Column::PublishedAt, Expr::value(now.0))
            .exec(tx.conn())
            .await?;
        tx.commit().await?;
        return Ok(true);
    }
    let sql = format!(
        "WITH held AS (
             UPDATE leases SET ends_at = {NOW} + $4 WHERE name = $1 AND holder = $2 AND term = $3 RETURNING 1),
         marked AS (
             UPDATE outbox_events o SET published_at = {NOW}, stream_sequence = taken.sequence
             FROM unnest($5::bigint[], $6::bigint[]) AS taken (position, sequence)
             WHERE o.position = taken.position AND EXISTS (SELECT FROM held)),
         stream AS (
             UPDATE outbox_streams SET last_sequence = greatest(last_sequence, $7)
             WHERE source = $8 AND EXISTS (SELECT FROM held))
         -- A mark that is lost in a crash is made again, so that the commit need not wait for the disk.
         SELECT count(*) AS held, set_config('synchronous_commit', 'off', true) FROM held"
    );
    let (positions, sequences): (Vec<i64>, Vec<i64>) = published.iter().copied().unzip();
    let values: [Value; 8] = [
        lease.name.clone().into(),
        lease.holder.into(),
        lease.term.into(),
        micros(LEASE_DURATION).into(),
        positions.into(),
        sequences.into(),
        last.into(),
        source.to_owned().into(),
    ];
    let row = tx.conn().query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
    let held: i64 = row.ok_or_else(|| DbErr::RecordNotFound("leases".into()))?.try_get("", "held")?;
    tx.commit().await?;
    if held == 1 {
        lease.renewed_at(asked);
    }
    Ok(held == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i17_a_batch_has_one_event_of_each_aggregate_and_events_never_overtake_each_other() {
        let row = |position: i64, aggregate: u128| entity::Model {
            position,
            event_id: Uuid::from_u128(position as u128),
            account_id: Uuid::nil(),
            aggregate_id: Uuid::from_u128(aggregate),
            version: 1,
            event: Vec::new(),
            created_at: 0,
            published_at: None,
            stream_sequence: None,
        };
        let rows = [row(1, 1), row(2, 1), row(3, 2), row(4, 1), row(5, 2)];
        let positions: Vec<Vec<i64>> =
            one_of_each_aggregate(&rows).iter().map(|batch| batch.iter().map(|row| row.position).collect()).collect();
        assert_eq!(positions, [vec![1, 3], vec![2, 5], vec![4]]);
    }
}
