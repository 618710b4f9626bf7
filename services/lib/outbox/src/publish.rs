//! Publishing in batches: the holder of the lease sends the waiting events to the bus, and stores how far it came.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use frontdesk_bus::{Acknowledged, Bus, BusError, ChangeNotifier};
use frontdesk_db::{Db, DbErr, NOW_ON_POSTGRES as NOW};
use frontdesk_proto::event::v1::Event;
use prost::Message;
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, QueryResult, Statement, Value, prelude::Uuid};
use serde_json::json;

use crate::{
    entity,
    lease::{LEASE_DURATION, Lease, LeaseKey, micros},
    positions::{Positions, Snapshot},
    published::{PUBLISHED, published_notifier},
    stream::{lost_after, report_loss, request_again},
};

/// Maximum number of events that are read and published together.
const MAX_EVENTS: usize = 1_000;
/// On SQLite: shortest time between two transactions that store what is published. What is not stored yet is published again after a kill.
pub(crate) const SAVE_INTERVAL: Duration = Duration::from_millis(100);
/// Shortest time between two checkpoints. Of a lost stream, the events since the last one before the loss are published again.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(5);

/// How a batch ended.
pub(crate) enum Published {
    /// This number of events was published, and no more were waiting.
    Events(usize),
    /// More events may be waiting. That those of a full batch were published is stored with the next one.
    Full,
    /// The events were published, and showed that the broker had lost earlier ones.
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
    /// Those of a stream whose last event has this number.
    pub(crate) fn after(last: i64) -> Self {
        Self { last: Some(last), lost_after: None }
    }

    /// Whether the broker lost events.
    pub(crate) fn has_loss(&self) -> bool {
        self.lost_after.is_some()
    }

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

/// Publishes the waiting events of one service in batches. While events of a full batch are sent, it is stored that those of the batch
/// before were, and the next ones are read.
pub(crate) struct Publisher<'a> {
    db: &'a Db,
    bus: &'a Bus,
    source: &'a str,
    /// Notifies the readers of published events.
    readers: ChangeNotifier,
    /// The position up to which they were notified.
    notified_to: i64,
    pub(crate) numbers: Numbers,
    published: Positions,
    /// Whether `published` is stored.
    is_saved: bool,
    saved: Instant,
    /// When the last checkpoint was stored. None: not by this leader.
    checkpoint: Option<Instant>,
    /// The events that follow a full batch, read while it was sent.
    next: Option<Waiting>,
}

/// Events that wait.
pub(crate) struct Waiting {
    pub(crate) rows: Vec<entity::Model>,
    is_full: bool,
    /// What is published when all of them are.
    pub(crate) after: Positions,
}

impl<'a> Publisher<'a> {
    /// One that goes on where the last one stopped.
    pub(crate) async fn load(db: &'a Db, bus: &'a Bus, source: &'a str) -> Result<Self, DbErr> {
        let statement =
            Statement::from_string(db.relay().get_database_backend(), "SELECT published_to, gaps FROM outbox_progress");
        let row = db.relay().query_one_raw(statement).await?;
        let row = row.ok_or_else(|| DbErr::RecordNotFound("outbox_progress".into()))?;
        let gaps: String = row.try_get("", "gaps")?;
        let published = Positions::new(row.try_get("", "published_to")?, &gaps)
            .map_err(|error| DbErr::Type(format!("outbox_progress.gaps: {error}")))?;
        Ok(Self {
            db,
            bus,
            source,
            readers: published_notifier(bus, source),
            notified_to: published.settled_to(),
            numbers: Numbers::default(),
            published,
            is_saved: true,
            saved: Instant::now(),
            checkpoint: None,
            next: None,
        })
    }

    /// Publishes up to [`MAX_EVENTS`] waiting events. Fails when the bus did not take all of them; those that it took are not sent again.
    pub(crate) async fn publish_batch(&mut self, lease: &mut Lease) -> Result<Published, BusError> {
        let (waiting, is_continued) = match self.next.take() {
            Some(waiting) => (waiting, true),
            None => (read_waiting(self.db, &self.published).await?, false),
        };
        let Waiting { rows, is_full, after } = waiting;
        if rows.is_empty() {
            // Gaps may be over.
            self.is_saved &= self.published.settled_to() == after.settled_to();
            self.published = after;
            return Ok(if self.save_if_due(lease).await? { Published::Events(0) } else { Published::LeaseLost });
        }
        // After the lease may have ended nothing is sent: another replica may send later events of the same aggregates.
        if !lease.is_held() && !lease.renew().await? {
            return Ok(Published::LeaseLost);
        }
        let (asked, unsaved) = (Instant::now(), (is_continued && self.is_save_due()).then(|| self.progress()));
        let save = async {
            match &unsaved {
                Some(progress) => progress.save(self.db, &lease.key).await,
                None => Ok(true),
            }
        };
        let next = async { if is_full { read_waiting(self.db, &after).await.map(Some) } else { Ok(None) } };
        let (sent, is_held, next) =
            tokio::join!(send(self.bus, &mut self.numbers, &rows, || lease.is_held()), save, next);
        if !is_held? {
            return Ok(Published::LeaseLost);
        }
        if let Some(progress) = unsaved {
            lease.renewed_at(asked);
            self.is_saved_since(asked, &progress);
        }
        let unpublished = rows.iter().map(|row| row.position).filter(|position| !sent.positions.contains(position));
        self.published = after.without(unpublished);
        self.is_saved = false;
        let lost_after = self.numbers.lost_after;
        if is_full && sent.is_complete && lost_after.is_none() {
            self.next = next?;
            return Ok(Published::Full);
        }
        if !self.save_if_due(lease).await? {
            return Ok(Published::LeaseLost);
        }
        if let Some(lost_after) = lost_after {
            report_loss(&lease.key.name, lost_after);
        }
        match sent.failed {
            Some(error) => Err(error),
            None if lost_after.is_some() => Ok(Published::LossFound),
            // Others may wait since the rows were read.
            None if is_continued || !sent.is_complete => Ok(Published::Full),
            None => Ok(Published::Events(sent.positions.len())),
        }
    }

    /// Whether all that is published is stored, and no gap is left.
    pub(crate) fn is_settled(&self) -> bool {
        self.is_saved && self.published.settled_to() == self.published.published_to
    }

    /// Stores what is published. False: another replica holds the lease now.
    pub(crate) async fn save(&mut self, lease: &mut Lease) -> Result<bool, BusError> {
        if self.is_saved {
            return Ok(true);
        }
        if let Some(lost_after) = self.numbers.lost_after {
            // Before the loss is stored: when this fails, the next attempt does it.
            self.bus.restart_consumers(self.source, lost_after).await?;
        }
        let (asked, progress) = (Instant::now(), self.progress());
        let is_held = progress.save(self.db, &lease.key).await?;
        if is_held {
            self.numbers.lost_after = None;
            lease.renewed_at(asked);
            self.is_saved_since(asked, &progress);
        }
        Ok(is_held)
    }

    async fn save_if_due(&mut self, lease: &mut Lease) -> Result<bool, BusError> {
        if self.is_save_due() { self.save(lease).await } else { Ok(true) }
    }

    /// On SQLite a transaction takes the turn of others, and waits for the disk.
    fn is_save_due(&self) -> bool {
        !self.is_saved && (!self.db.is_sqlite() || self.saved.elapsed() >= SAVE_INTERVAL)
    }

    fn is_saved_since(&mut self, asked: Instant, progress: &Progress) {
        (self.is_saved, self.saved) = (true, asked);
        let settled_to = progress.published.settled_to();
        if self.notified_to < settled_to {
            self.notified_to = settled_to;
            self.readers.notify(PUBLISHED);
        }
        if progress.is_checkpoint {
            self.checkpoint = Some(asked);
        }
    }

    fn progress(&self) -> Progress {
        let is_due = self.checkpoint.is_none_or(|at| at.elapsed() >= CHECKPOINT_INTERVAL);
        Progress {
            published: self.published.clone(),
            last_sequence: self.numbers.last,
            lost_after: self.numbers.lost_after,
            is_checkpoint: is_due && self.numbers.last.is_some() && self.numbers.lost_after.is_none(),
        }
    }

    /// Forgets what was read ahead, after a failure.
    pub(crate) fn reset(&mut self) {
        self.next = None;
    }

    /// Goes on where the database says: one that was away may have lost what was stored last.
    pub(crate) async fn reload(&mut self) -> Result<(), DbErr> {
        let loaded = Self::load(self.db, self.bus, self.source).await?;
        let numbers = std::mem::take(&mut self.numbers);
        *self = Self { is_saved: !numbers.has_loss(), numbers, ..loaded };
        Ok(())
    }
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

/// What was sent of the rows of a batch.
pub(crate) struct Sent {
    /// The positions of the published events, and of those that cannot be read.
    positions: HashSet<i64>,
    pub(crate) failed: Option<BusError>,
    /// Whether all of them were sent.
    is_complete: bool,
}

/// Sends the events of the rows, as long as `is_leader` holds.
pub(crate) async fn send(
    bus: &Bus,
    numbers: &mut Numbers,
    rows: &[entity::Model],
    is_leader: impl Fn() -> bool,
) -> Sent {
    let mut sent = Sent { positions: HashSet::with_capacity(rows.len()), failed: None, is_complete: true };
    let mut unreadable = Vec::new();
    for batch in one_of_each_aggregate(rows) {
        // A failure ends the batches, so that no later event overtakes the failed one of its aggregate.
        sent.is_complete = sent.failed.is_none() && is_leader();
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
            // What was sent before may be lost, and is sent again.
            sent.positions.clear();
        }
        sent.positions.extend(positions);
    }
    sent.is_complete &= sent.failed.is_none();
    sent.positions.extend(unreadable);
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

/// What is stored of the relay's progress.
struct Progress {
    published: Positions,
    /// Number of the last event that the broker acknowledged.
    last_sequence: Option<i64>,
    /// The events after this number were lost.
    lost_after: Option<i64>,
    /// Whether a checkpoint is stored: the number up to which the events of the stream are those that are settled, or earlier ones.
    is_checkpoint: bool,
}

impl Progress {
    /// Stores it, and renews the lease in the same transaction. False: another replica holds the lease, and nothing was stored.
    async fn save(&self, db: &Db, lease: &LeaseKey) -> Result<bool, DbErr> {
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
