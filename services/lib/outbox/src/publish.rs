//! Publishing in batches: the holder of the lease sends the waiting events to the bus and marks them as published.

use std::{collections::HashMap, time::Instant};

use frontdesk_bus::{Acknowledged, Bus, BusError};
use frontdesk_db::{Db, DbErr, NOW_ON_POSTGRES as NOW, json_rows};
use frontdesk_proto::event::v1::Event;
use prost::Message;
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, QueryOrder, QuerySelect, Statement, Value, entity::prelude::*};
use serde_json::json;

use crate::{
    entity,
    lease::{LEASE_DURATION, Lease, LeaseKey, micros},
    stream::{lost_after, report_loss, request_sql},
};

/// Maximum number of events that are read, published and marked together.
const MAX_EVENTS: usize = 1_000;

const MARK_ON_SQLITE: &str =
    "UPDATE outbox_events SET published_at = value->>1 FROM json_each(?1) WHERE position = value->>0";

/// How a batch ended.
pub(crate) enum Published {
    /// This number of events was published and marked, and no more were waiting.
    Events(usize),
    /// More events may be waiting. Those of a full batch were published and are marked with the next one.
    Full,
    /// The events were published and marked, and showed that the broker had lost earlier ones.
    LossFound,
    /// Another replica holds the lease now.
    LeaseLost,
}

/// The numbers of the broker's stream, by its acknowledgements.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    /// Number of the last event. None: there is no broker, or its stream was not checked yet.
    pub(crate) last: Option<i64>,
    /// The events after this number were lost, which is not stored yet.
    lost_after: Option<i64>,
}

impl Numbers {
    /// Takes the acknowledgements of events that were sent together. False: the broker lost events that it had acknowledged,
    /// because it gives their numbers again.
    fn take(&mut self, acknowledged: &[Acknowledged]) -> bool {
        let Some(known) = self.last else { return true };
        let last = acknowledged.iter().map(|one| one.sequence).max().unwrap_or(known);
        match acknowledged.iter().filter(|one| !one.is_duplicate).map(|one| one.sequence).min() {
            Some(first) if first <= known => {
                let lost_after = lost_after(first - 1);
                self.lost_after = Some(self.lost_after.map_or(lost_after, |earlier| earlier.min(lost_after)));
                self.last = Some(last);
                false
            }
            _ => {
                self.last = Some(known.max(last));
                true
            }
        }
    }
}

/// Publishes the waiting events of one service in batches. While events of a full batch are sent, those of the batch before are
/// marked and the next ones are read.
pub(crate) struct Publisher<'a> {
    db: &'a Db,
    bus: &'a Bus,
    source: &'a str,
    pub(crate) numbers: Numbers,
    /// The events that follow a full batch, read while it was sent.
    next: Vec<entity::Model>,
    /// Events that were published and are not marked yet.
    unmarked: Vec<Mark>,
}

/// The mark of a published event: its position, and its number in the stream.
type Mark = (i64, i64);

impl<'a> Publisher<'a> {
    pub(crate) fn new(db: &'a Db, bus: &'a Bus, source: &'a str) -> Self {
        Self { db, bus, source, numbers: Numbers::default(), next: Vec::new(), unmarked: Vec::new() }
    }

    /// Publishes up to [`MAX_EVENTS`] waiting events. Fails when the bus did not take all of them; those that it took are marked.
    pub(crate) async fn publish_batch(&mut self, lease: &mut Lease) -> Result<Published, BusError> {
        let mut rows = std::mem::take(&mut self.next);
        let is_continued = !rows.is_empty();
        if !is_continued {
            if !self.mark(lease).await? {
                return Ok(Published::LeaseLost);
            }
            rows = waiting(self.db, &[]).await?;
        }
        if rows.is_empty() {
            return Ok(Published::Events(0));
        }
        let is_full = rows.len() == MAX_EVENTS;
        // After the lease may have ended nothing is sent: another replica may send later events of the same aggregates.
        if !lease.is_held() && !lease.renew().await? {
            return Ok(Published::LeaseLost);
        }
        let (asked, unmarked) = (Instant::now(), std::mem::take(&mut self.unmarked));
        let taken: Vec<i64> =
            unmarked.iter().map(|(position, _)| *position).chain(rows.iter().map(|row| row.position)).collect();
        let next = async { if is_full { waiting(self.db, &taken).await } else { Ok(Vec::new()) } };
        let (sent, is_held, next) = tokio::join!(
            send(self.bus, &mut self.numbers, &rows, lease),
            mark_published(self.db, self.source, &lease.key, &unmarked, None),
            next
        );
        if !is_held? {
            return Ok(Published::LeaseLost);
        }
        if !unmarked.is_empty() {
            lease.renewed_at(asked);
        }
        let (published, lost_after) = (sent.marks.len(), self.numbers.lost_after);
        self.unmarked = sent.marks;
        if is_full && sent.is_complete && lost_after.is_none() {
            self.next = next?;
            return Ok(Published::Full);
        }
        if let Some(lost_after) = lost_after {
            self.bus.restart_consumers(self.source, lost_after).await?;
        }
        if !self.mark(lease).await? {
            return Ok(Published::LeaseLost);
        }
        if let Some(lost_after) = lost_after {
            report_loss(self.source, lost_after);
        }
        match sent.failed {
            Some(error) => Err(error),
            None if lost_after.is_some() => Ok(Published::LossFound),
            // Others may wait since the rows were read.
            None if is_continued || !sent.is_complete => Ok(Published::Full),
            None => Ok(Published::Events(published)),
        }
    }

    /// Marks the events that are published and not marked yet. False: another replica holds the lease now.
    pub(crate) async fn mark(&mut self, lease: &mut Lease) -> Result<bool, DbErr> {
        let (asked, unmarked) = (Instant::now(), std::mem::take(&mut self.unmarked));
        if unmarked.is_empty() {
            return Ok(true);
        }
        let lost_after = self.numbers.lost_after;
        let is_held = mark_published(self.db, self.source, &lease.key, &unmarked, lost_after).await?;
        if is_held {
            self.numbers.lost_after = None;
            lease.renewed_at(asked);
        }
        Ok(is_held)
    }

    /// Forgets what was read and what is not marked, after a failure: these events are read and published again.
    pub(crate) fn reset(&mut self) {
        self.next.clear();
        self.unmarked.clear();
    }
}

/// The first waiting events other than those that are taken already. Not those after a position: a transaction may end later than one that
/// got later positions, and the next event of its aggregate must not overtake its own.
pub(crate) async fn waiting(db: &Db, taken: &[i64]) -> Result<Vec<entity::Model>, DbErr> {
    // One parameter, so that the statement is prepared once. With IS NOT TRUE the planner hashes the positions.
    let is_other = if db.is_sqlite() {
        let taken = json!(taken).to_string();
        Expr::cust_with_values("position NOT IN (SELECT value FROM json_each(?))", [taken])
    } else {
        Expr::cust_with_values("(position IN (SELECT unnest($1))) IS NOT TRUE", [taken.to_vec()])
    };
    entity::Entity::find()
        .filter(entity::Column::PublishedAt.is_null())
        .filter(is_other)
        .order_by_asc(entity::Column::Position)
        .limit(MAX_EVENTS as u64)
        .all(db.relay())
        .await
}

/// What was sent of the rows of a batch.
struct Sent {
    marks: Vec<Mark>,
    failed: Option<BusError>,
    /// Whether all of them were sent.
    is_complete: bool,
}

/// Sends the events of the rows while the lease is held.
async fn send(bus: &Bus, numbers: &mut Numbers, rows: &[entity::Model], lease: &Lease) -> Sent {
    let mut sent = Sent { marks: Vec::with_capacity(rows.len()), failed: None, is_complete: true };
    let mut unreadable = Vec::new();
    for batch in one_of_each_aggregate(rows) {
        // A failure ends the batches, so that no later event overtakes the failed one of its aggregate.
        sent.is_complete = sent.failed.is_none() && lease.is_held();
        if !sent.is_complete {
            break;
        }
        let (batch, events) = decode(batch, &mut unreadable);
        let results = bus.publish(&events).await;
        let (mut positions, mut acknowledged) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        for (row, result) in batch.iter().zip(results) {
            match result {
                Ok(one) => {
                    positions.push(row.position);
                    acknowledged.push(one);
                }
                Err(error) => sent.failed = Some(error),
            }
        }
        if !numbers.take(&acknowledged) {
            // What was sent before may be lost: it is not marked, and is sent again.
            sent.marks.clear();
        }
        sent.marks.extend(positions.into_iter().zip(acknowledged.iter().map(|one| one.sequence)));
    }
    sent.is_complete &= sent.failed.is_none();
    // They have no number in the stream.
    sent.marks.extend(unreadable.iter().map(|position| (*position, 0)));
    sent
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

/// Decodes the events of the rows. A row that cannot be read is reported and left out, and its position is added to `unreadable`.
fn decode<'a>(batch: Vec<&'a entity::Model>, unreadable: &mut Vec<i64>) -> (Vec<&'a entity::Model>, Vec<Event>) {
    let readable = batch.into_iter().filter_map(|row| match Event::decode(row.event.as_slice()) {
        Ok(event) => Some((row, event)),
        Err(error) => {
            let (event, account, position) = (row.event_id, row.account_id, row.position);
            tracing::error!(%event, %account, position, %error, "an event of the outbox cannot be read, and is not published");
            unreadable.push(position);
            None
        }
    });
    readable.unzip()
}

/// Marks the events, and renews the lease in the same transaction; with `lost_after` the loss is stored that they show. False:
/// another replica holds the lease, and nothing was stored.
async fn mark_published(
    db: &Db,
    source: &str,
    lease: &LeaseKey,
    marks: &[Mark],
    lost_after: Option<i64>,
) -> Result<bool, DbErr> {
    let Some(last) = marks.iter().map(|(_, sequence)| *sequence).max() else { return Ok(true) };
    fail::fail_point!("event-published", |_| std::process::abort());
    if db.is_sqlite() {
        let tx = db.begin().await?;
        let now = tx.now().await?;
        let rows = marks.iter().map(|(position, _)| json!([position, now.0]));
        tx.conn().execute_raw(json_rows(MARK_ON_SQLITE, rows)).await?;
        tx.commit().await?;
        return Ok(true);
    }
    let stream = match lost_after {
        None => "last_sequence = greatest(last_sequence, $7)".to_owned(),
        Some(_) => format!("last_sequence = $7, {}", request_sql(DbBackend::Postgres, 9)),
    };
    let sql = format!(
        "WITH held AS (
             UPDATE leases SET ends_at = {NOW} + $4 WHERE name = $1 AND holder = $2 AND term = $3 RETURNING 1),
         marked AS (
             UPDATE outbox_events o SET published_at = {NOW}, stream_sequence = taken.sequence
             FROM unnest($5::bigint[], $6::bigint[]) AS taken (position, sequence)
             WHERE o.position = taken.position AND EXISTS (SELECT FROM held)),
         stream AS (
             UPDATE outbox_streams SET {stream}
             WHERE source = $8 AND EXISTS (SELECT FROM held))
         -- A mark that is lost in a crash is made again, so that the commit need not wait for the disk.
         SELECT count(*) AS held, set_config('synchronous_commit', 'off', true) FROM held"
    );
    let (positions, sequences): (Vec<i64>, Vec<i64>) = marks.iter().copied().unzip();
    let mut values: Vec<Value> = vec![
        lease.name.clone().into(),
        lease.holder.into(),
        lease.term.into(),
        micros(LEASE_DURATION).into(),
        positions.into(),
        sequences.into(),
        last.into(),
        source.to_owned().into(),
    ];
    values.extend(lost_after.map(Value::from));
    let tx = db.begin_relay_statement();
    let row = tx.conn().query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
    let held: i64 = row.ok_or_else(|| DbErr::RecordNotFound("leases".into()))?.try_get("", "held")?;
    tx.commit().await?;
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

    fn acknowledged(sequences: impl IntoIterator<Item = i64>) -> Vec<Acknowledged> {
        sequences.into_iter().map(|sequence| Acknowledged { sequence, is_duplicate: false }).collect()
    }

    #[test]
    fn i17_a_number_that_is_given_again_shows_that_events_were_lost() {
        let mut numbers = Numbers { last: Some(100_000), lost_after: None };
        assert!(numbers.take(&acknowledged(100_001..100_010)));
        let duplicate = [Acknowledged { sequence: 100_003, is_duplicate: true }];
        assert!(numbers.take(&duplicate), "an event that the stream had already");
        assert!(!numbers.take(&acknowledged(90_500..90_600)));
        assert_eq!((numbers.last, numbers.lost_after), (Some(90_599), Some(lost_after(90_499))));
        assert!(numbers.take(&acknowledged([90_600])), "the numbers go on from there");
    }

    #[test]
    fn without_a_broker_nothing_is_lost() {
        let mut numbers = Numbers::default();
        assert!(numbers.take(&acknowledged([0, 0])));
        assert!(numbers.take(&acknowledged([0])));
        assert_eq!(numbers.lost_after, None);
    }
}
