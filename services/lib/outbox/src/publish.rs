//! One batch: what waits in the outbox goes to the bus and is marked, by who leads.

use std::{collections::HashMap, time::Instant};

use frontdesk_bus::{Bus, BusError};
use frontdesk_db::{Db, DbErr};
use frontdesk_proto::event::v1::Event;
use prost::Message;
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, QueryOrder, QuerySelect, Statement, Value, entity::prelude::*};

use crate::{
    entity,
    lease::{LASTS, Lease, NOW, micros},
};

/// So many are read, sent and marked together.
pub(crate) const BATCH: usize = 1_000;

/// How a batch ended.
pub(crate) enum Batch {
    /// So many were published and marked.
    Published(usize),
    /// Another leads now.
    LostLead,
}

/// Publishes up to [`BATCH`] waiting events. Fails when the bus did not take all of them; what it took is marked.
pub(crate) async fn publish_waiting(db: &Db, bus: &Bus, source: &str, lease: &mut Lease) -> Result<Batch, BusError> {
    let rows = entity::Entity::find()
        .filter(entity::Column::PublishedAt.is_null())
        .order_by_asc(entity::Column::Position)
        .limit(BATCH as u64)
        .all(db.read())
        .await?;
    if rows.is_empty() {
        return Ok(Batch::Published(0));
    }
    let mut taken = Vec::with_capacity(rows.len());
    let mut failed = None;
    for wave in waves(&rows) {
        // A lead that may have ended must not send: another sends already, and later events of the same aggregates.
        if !lease.holds() && !lease.renew().await? {
            return Ok(Batch::LostLead);
        }
        // Nothing passes a failed event of its aggregate; others went in the same wave.
        if failed.is_some() {
            break;
        }
        let events: Result<Vec<Event>, _> = wave.iter().map(|row| Event::decode(row.event.as_slice())).collect();
        let results = bus.publish(&events.map_err(|error| DbErr::Type(error.to_string()))?).await;
        for (row, result) in wave.iter().zip(results) {
            match result {
                Ok(sequence) => taken.push((row.position, sequence)),
                Err(error) => failed = Some(error),
            }
        }
    }
    if !mark(db, source, lease, &taken).await? {
        return Ok(Batch::LostLead);
    }
    match failed {
        Some(error) => Err(error),
        None => Ok(Batch::Published(taken.len())),
    }
}

/// The rows, in waves that hold at most one of each aggregate: each wave is sent when the one before is acknowledged, so that
/// an event that failed is never passed by a later one of the same aggregate.
fn waves(rows: &[entity::Model]) -> Vec<Vec<&entity::Model>> {
    let mut depth: HashMap<(Uuid, Uuid), usize> = HashMap::new();
    let mut waves: Vec<Vec<&entity::Model>> = Vec::new();
    for row in rows {
        let depth = depth.entry((row.account_id, row.aggregate_id)).or_default();
        if *depth == waves.len() {
            waves.push(Vec::new());
        }
        waves[*depth].push(row);
        *depth += 1;
    }
    waves
}

/// Marks what the bus took, if we still lead in that very transaction. False: we do not.
async fn mark(db: &Db, source: &str, lease: &mut Lease, taken: &[(i64, i64)]) -> Result<bool, DbErr> {
    let Some(last) = taken.iter().map(|(_, sequence)| *sequence).max() else { return Ok(true) };
    let asked = Instant::now();
    let tx = db.begin().await?;
    if db.is_sqlite() {
        let now = tx.now().await?;
        entity::Entity::update_many()
            .filter(entity::Column::Position.is_in(taken.iter().map(|(position, _)| *position)))
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
         -- A mark that a crash loses is made again: nobody waits for the disk.
         SELECT count(*) AS held, set_config('synchronous_commit', 'off', true) FROM held"
    );
    let (positions, sequences): (Vec<i64>, Vec<i64>) = taken.iter().copied().unzip();
    let values: [Value; 8] = [
        lease.name.clone().into(),
        lease.holder.into(),
        lease.term.into(),
        micros(LASTS).into(),
        positions.into(),
        sequences.into(),
        last.into(),
        source.to_owned().into(),
    ];
    let row = tx.conn().query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
    let held: i64 = row.ok_or_else(|| DbErr::RecordNotFound("leases".into()))?.try_get("", "held")?;
    tx.commit().await?;
    if held == 1 {
        lease.confirmed(asked);
    }
    Ok(held == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i17_a_wave_holds_one_event_of_each_aggregate_and_versions_never_pass_each_other() {
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
            waves(&rows).iter().map(|wave| wave.iter().map(|row| row.position).collect()).collect();
        assert_eq!(positions, [vec![1, 3], vec![2, 5], vec![4]]);
    }
}
