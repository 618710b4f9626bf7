//! Sending events to the bus, and what the broker's acknowledgements show.

use std::collections::{HashMap, HashSet};

use frontdesk_bus::{Acknowledged, Bus, BusError};
use frontdesk_proto::event::v1::Event;
use prost::Message;
use uuid::Uuid;

use crate::{entity, stream::lost_after};

/// The numbers of the broker's stream, by its acknowledgements.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    /// Number of the last event. None: there is no broker, or its stream was not checked yet.
    pub(crate) last: Option<i64>,
    /// The events after this number were lost, which is not stored yet.
    pub(crate) lost_after: Option<i64>,
}

impl Numbers {
    /// Those of a stream whose last event has this number.
    pub(crate) fn after(last: i64) -> Self {
        Self { last: Some(last), lost_after: None }
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

/// What was sent of the rows of a batch.
pub(crate) struct Sent {
    /// The positions of the published events, and of those that cannot be read.
    pub(crate) positions: HashSet<i64>,
    pub(crate) failed: Option<BusError>,
    /// Whether all of them were sent.
    pub(crate) is_complete: bool,
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
