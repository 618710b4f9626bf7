//! How much may be published before a stream would discard an event that a consumer has not handled.

use std::collections::{BTreeSet, HashMap};

use async_nats::jetstream::{
    consumer::{AckPolicy, Info},
    stream,
};
use frontdesk_clock::Time;
use frontdesk_proto::event::v1::Event;
use futures::StreamExt;
use opentelemetry::KeyValue;
use prost::Message as _;

use super::{JetStream, streams::subjects};
use crate::BusError;

/// Bytes that a message has in a stream beyond those of its event, at most: names of headers, subject, bookkeeping.
const OVERHEAD: u64 = 512;

/// Number of bytes that may be published to the stream of each source before the broker is asked again. Valid while one process
/// alone publishes: [`JetStream::forget_room`].
pub(super) type Room = HashMap<String, u64>;

/// What Frontdesk's own consumers of a stream have not handled.
struct Backlog {
    /// Name of the consumer that is the furthest behind. None: all are handled.
    consumer: Option<String>,
    /// Number of the last event that every consumer has handled, like all before it.
    handled: u64,
}

impl JetStream {
    /// Number of the events, from the first, that the stream of `source` can take. An error says why it is not all of them.
    pub(super) async fn reserve(&self, source: &str, events: &[Event]) -> (usize, Option<BusError>) {
        let sizes = || events.iter().map(size);
        if self.take_room(source, sizes()) == events.len() {
            return (events.len(), None);
        }
        let (room, consumer) = match self.look_for_room(source).await {
            Ok(found) => found,
            Err(error) => return (0, Some(error)),
        };
        // An event that is larger than the whole stream is refused by the broker, with a better message.
        let room = if consumer.is_none() { room.max(sizes().next().unwrap_or_default()) } else { room };
        self.room().insert(source.to_owned(), room);
        let taken = self.take_room(source, sizes());
        let full = (taken < events.len()).then(|| self.full(source, consumer));
        (taken, full)
    }

    /// Fails when the stream of `source` cannot take one more event now. For what is published beside the relay.
    pub(super) async fn require_room(&self, source: &str, event: &Event) -> Result<(), BusError> {
        let (room, consumer) = self.look_for_room(source).await?;
        if consumer.is_some() && room < size(event) { Err(self.full(source, consumer)) } else { Ok(()) }
    }

    /// Lets the next events ask the broker for room. Another process may have published since, and a stream or a consumer that
    /// is created anew has another backlog.
    pub(super) fn forget_room(&self, source: &str) {
        self.room().remove(source);
    }

    fn full(&self, source: &str, consumer: Option<String>) -> BusError {
        let (stream, consumer) = (self.names.stream(source), consumer.unwrap_or_default());
        BusError::Broker(format!("the stream {stream} is full of events that {consumer} has not handled"))
    }

    /// Takes room for as many events as fit, and returns their number.
    fn take_room(&self, source: &str, sizes: impl Iterator<Item = u64>) -> usize {
        let mut room = self.room();
        let Some(left) = room.get_mut(source) else { return 0 };
        let mut taken = 0;
        for size in sizes {
            let Some(rest) = left.checked_sub(size) else { break };
            *left = rest;
            taken += 1;
        }
        taken
    }

    /// Asks the broker how many bytes can be published, and which consumer is behind.
    async fn look_for_room(&self, source: &str) -> Result<(u64, Option<String>), BusError> {
        let info = self.stream_info(source).await?;
        let backlog = self.backlog(source, &info).await?;
        Ok((room(&info, backlog.handled), backlog.consumer))
    }

    async fn backlog(&self, source: &str, info: &stream::Info) -> Result<Backlog, BusError> {
        let last = info.state.last_sequence;
        let mut backlog = Backlog { consumer: None, handled: last };
        let mut consumers = self.stream(source).await?.consumers();
        while let Some(consumer) = consumers.next().await {
            let consumer = consumer.map_err(|error| BusError::Broker(error.to_string()))?;
            if consumer.config.durable_name.is_none() || consumer.config.ack_policy != AckPolicy::Explicit {
                continue;
            }
            self.report_unhandled(&consumer);
            if has_unhandled(&consumer) && discards_soon(info, consumer.ack_floor.stream_sequence, self.clock.now()) {
                tracing::error!(
                    consumer = consumer.name,
                    discarded_after = ?info.config.max_age,
                    "a consumer has not handled the oldest events of its stream, which will be discarded by their age"
                );
            }
            // The consumer of another program holds up no event: it may stand still for good.
            let is_own = receives(&subjects(&consumer.config), &self.names.replay(source, &consumer.name));
            if is_own && has_unhandled(&consumer) && consumer.ack_floor.stream_sequence < backlog.handled {
                backlog = Backlog { handled: consumer.ack_floor.stream_sequence, consumer: Some(consumer.name) };
            }
        }
        Ok(backlog)
    }

    /// Records how far behind each consumer of the stream is.
    pub(super) async fn report_backlog(&self, source: &str, info: &stream::Info) -> Result<(), BusError> {
        self.backlog(source, info).await.map(|_| ())
    }

    fn report_unhandled(&self, consumer: &Info) {
        let unhandled = consumer.num_pending.saturating_add(consumer.num_ack_pending as u64);
        self.unhandled.set(unhandled as f64, &[KeyValue::new("consumer", consumer.name.clone())]);
    }
}

/// Whether a consumer with these filters receives what is published on `subject`. No filter: it receives everything.
fn receives(filters: &BTreeSet<String>, subject: &str) -> bool {
    filters.is_empty() || filters.iter().any(|filter| matches(filter, subject))
}

fn matches(filter: &str, subject: &str) -> bool {
    let mut parts = subject.split('.');
    for wanted in filter.split('.') {
        match (wanted, parts.next()) {
            (">", Some(_)) => return true,
            (_, Some(part)) if wanted == "*" || wanted == part => {}
            _ => return false,
        }
    }
    parts.next().is_none()
}

fn has_unhandled(consumer: &Info) -> bool {
    consumer.num_pending > 0 || consumer.num_ack_pending > 0
}

/// Whether the oldest event of the stream comes after number `handled` and has reached half of the age at which it is discarded.
fn discards_soon(info: &stream::Info, handled: u64, now: Time) -> bool {
    let age = i128::from(now.0) - info.state.first_timestamp.unix_timestamp_nanos() / 1_000;
    let max_age = i128::try_from(info.config.max_age.as_micros()).unwrap_or(i128::MAX);
    max_age > 0 && handled < info.state.first_sequence && age > max_age / 2
}

/// Number of bytes that can be published before the stream discards an event after number `handled`: what is free, and what handled
/// events occupy. These are discarded first. Half of them, because their sizes differ.
fn room(info: &stream::Info, handled: u64) -> u64 {
    let state = &info.state;
    let Ok(max_bytes) = u64::try_from(info.config.max_bytes) else { return u64::MAX };
    let free = max_bytes.saturating_sub(state.bytes);
    let handled = (handled + 1).saturating_sub(state.first_sequence).min(state.messages);
    let average = state.bytes / state.messages.max(1);
    free.saturating_add(handled.saturating_mul(average) / 2)
}

fn size(event: &Event) -> u64 {
    event.encoded_len() as u64 + OVERHEAD
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::message::Names, *};

    #[test]
    fn i17_frontdesks_own_consumers_are_those_that_receive_their_replayed_events() {
        let replay = Names("frontdesk".into()).replay("test", "one");
        let receives =
            |filters: &[&str]| receives(&filters.iter().map(|filter| (*filter).to_owned()).collect(), &replay);
        let own: [&[&str]; 4] =
            [&[], &["frontdesk.v1.test.Thing.>", replay.as_str()], &["frontdesk.v1.test.>"], &["*.v1.*.replay.*"]];
        for filters in own {
            assert!(receives(filters), "{filters:?}");
        }
        let of_others: [&[&str]; 4] = [
            &["frontdesk.v1.test.*.*.*"],
            &["frontdesk.v1.test.replay.two"],
            &["frontdesk.v1.test.Thing.>", "frontdesk.v1.test.Other.>"],
            &["frontdesk.v1.test"],
        ];
        for filters in of_others {
            assert!(!receives(filters), "{filters:?}");
        }
    }

    #[test]
    fn i17_events_that_a_consumer_has_not_handled_are_reported_from_half_of_their_age_on() {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        let oldest = Time(1_700_000_000_000_000);
        let info = |max_age: Duration| {
            let config = serde_json::json!({ "name": "S", "subjects": ["s"], "retention": "limits", "max_consumers": -1,
                "max_msgs": -1, "max_bytes": -1, "max_age": max_age.as_nanos() as u64, "storage": "file", "discard": "old",
                "num_replicas": 1 });
            let state = serde_json::json!({ "messages": 1, "bytes": 1, "first_seq": 100, "first_ts": "2023-11-14T22:13:20Z",
                "last_seq": 100, "last_ts": "2023-11-14T22:13:20Z", "consumer_count": 1 });
            let info = serde_json::json!({ "config": config, "created": "2023-11-14T22:13:20Z", "state": state });
            serde_json::from_value::<stream::Info>(info).unwrap()
        };
        let (week, ever) = (info(7 * DAY), info(Duration::ZERO));
        assert!(!discards_soon(&week, 99, oldest.plus(3 * DAY)));
        assert!(discards_soon(&week, 99, oldest.plus(4 * DAY)));
        assert!(!discards_soon(&week, 100, oldest.plus(4 * DAY)), "the oldest event is handled");
        assert!(!discards_soon(&ever, 99, oldest.plus(400 * DAY)), "events are kept for ever");
    }
}
