//! An event as a NATS message: CloudEvents 1.0 in binary mode, attributes in headers, the protobuf message as body.

use async_nats::{HeaderMap, jetstream::message::PublishMessage};
use frontdesk_clock::Time;
use frontdesk_proto::event::v1::Event;
use uuid::Uuid;

/// Number of partitions of a service's subjects, so that the broker's memory does not grow with the number of aggregates.
const PARTITIONS: u32 = 64;
const SOURCE_PREFIX: &str = "/frontdesk/";
const TYPE_URL: &str = "type.googleapis.com/";

/// The names that an installation's events have at the broker.
#[derive(Clone, Debug)]
pub(super) struct Names(pub(super) String);

impl Names {
    /// The stream of a service's events.
    pub(super) fn stream(&self, source: &str) -> String {
        format!("{}_{}", self.0, token(source)).to_uppercase().replace('-', "_")
    }

    /// All subjects of a service's events.
    pub(super) fn subjects_of(&self, source: &str) -> String {
        format!("{}.v1.{}.>", self.0, token(source))
    }

    /// The subjects of a type of a service's events.
    pub(super) fn subjects_of_type(&self, source: &str, event_type: &str) -> String {
        format!("{}.v1.{}.{}.>", self.0, token(source), token(short(event_type)))
    }

    /// The subject on which one consumer receives replayed events. No event type is called `replay`: types begin with a capital.
    pub(super) fn replay(&self, source: &str, durable: &str) -> String {
        format!("{}.v1.{}.replay.{}", self.0, token(source), token(durable))
    }

    /// The subject of change notifications, outside of every stream.
    pub(super) fn change_notifications(&self, name: &str) -> String {
        format!("{}.hints.v1.{}", self.0, token(name))
    }

    /// The subject of signals, outside of every stream.
    pub(super) fn signals(&self, name: &str) -> String {
        format!("{}.signals", self.change_notifications(name))
    }

    /// `frontdesk.v1.<service>.<event>.<account>.<partition>`
    pub(super) fn subject(&self, event: &Event) -> String {
        format!(
            "{}.v1.{}.{}.{}.{}",
            self.0,
            token(&event.source),
            token(short(&event.r#type)),
            token(&event.account_id),
            partition(&event.aggregate_id)
        )
    }
}

/// The name of a durable consumer, which may contain no dot.
pub(super) fn durable_name(consumer: &str) -> String {
    token(&consumer.replace('.', "_"))
}

/// The message's name without its package.
fn short(event_type: &str) -> &str {
    event_type.rsplit('.').next().unwrap_or(event_type)
}

/// FNV-1a: stable across versions and languages.
fn partition(aggregate: &str) -> u32 {
    aggregate.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
        % PARTITIONS
}

/// A part of a subject. Every byte that is not a letter, digit, `_` or `-` is written `%XX`, so that no part contains a dot, a
/// wildcard or a space.
pub(super) fn token(text: &str) -> String {
    if text.is_empty() {
        return "%".into();
    }
    let mut token = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => token.push(char::from(byte)),
            _ => token.push_str(&format!("%{byte:02X}")),
        }
    }
    token
}

/// The event as a message. `id`: by which the broker recognises duplicates.
pub(super) fn write(event: &Event, id: &str) -> PublishMessage {
    let mut headers = HeaderMap::new();
    let mut header = |name: &'static str, value: &str| {
        if !value.is_empty() {
            headers.insert(name, one_line(value));
        }
    };
    header("ce-specversion", "1.0");
    header("ce-id", &event.id);
    header("ce-type", &event.r#type);
    header("ce-source", &format!("{SOURCE_PREFIX}{}", event.source));
    header("ce-accountid", &event.account_id);
    header("ce-aggregatetype", &event.aggregate_type);
    header("ce-aggregateid", &event.aggregate_id);
    header("ce-aggregateversion", &event.version.to_string());
    let time = event.create_time.as_ref().map(|time| Time::from_proto(time).to_utc());
    header("ce-time", &time.map(|time| time.to_rfc3339()).unwrap_or_default());
    header("traceparent", &event.traceparent);
    header("content-type", "application/protobuf");
    let body = event.data.as_ref().map(|data| data.value.clone()).unwrap_or_default();
    PublishMessage::build().headers(headers).message_id(id).payload(body.into())
}

/// The value of a header, which may contain no line break.
fn one_line(value: &str) -> String {
    value.replace(['\r', '\n'], " ")
}

/// The event in a message; when it is incomplete, the part that can be read and what is missing. `place`: the message's stream and
/// number there, the same at each delivery.
pub(super) fn read(message: &async_nats::Message, place: &str) -> Result<Event, (Event, String)> {
    let header = |name: &str| {
        let value = message.headers.as_ref().and_then(|headers| headers.get(name));
        value.map(|value| value.as_str().to_owned()).unwrap_or_default()
    };
    let time = chrono::DateTime::parse_from_rfc3339(&header("ce-time")).ok();
    let event_type = header("ce-type");
    let event = Event {
        id: header("ce-id"),
        source: header("ce-source").trim_start_matches(SOURCE_PREFIX).to_owned(),
        account_id: header("ce-accountid"),
        aggregate_type: header("ce-aggregatetype"),
        aggregate_id: header("ce-aggregateid"),
        version: header("ce-aggregateversion").parse().unwrap_or(0),
        create_time: time.map(|time| Time(time.timestamp_micros()).to_proto()),
        traceparent: header("traceparent"),
        data: Some(prost_types::Any { type_url: format!("{TYPE_URL}{event_type}"), value: message.payload.to_vec() }),
        r#type: event_type,
    };
    if event.id.parse::<Uuid>().is_ok() && !event.r#type.is_empty() {
        return Ok(event);
    }
    // An id for the dead letter.
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, place.as_bytes());
    Err((
        Event { id: id.to_string(), ..event },
        "the message lacks ce-id or ce-type: it is not an event of Frontdesk".into(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s3_every_character_of_an_id_is_encoded_in_a_subject() {
        for hostile in [".", "*", ">", "a.b", " ", "a\tb", "a\r\nb", "é", "", "frontdesk.v1.>", &"x.".repeat(5_000)] {
            let token = token(hostile);
            assert!(!token.is_empty());
            assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-%".contains(&byte)), "{token}");
        }
        assert_ne!(token("a.b"), token("a%2Eb"), "two texts, two parts");
        let event = Event { source: "a.b".into(), r#type: "x.Y".into(), account_id: ">".into(), ..Event::default() };
        assert_eq!(Names("frontdesk".into()).subject(&event).split('.').count(), 6);
    }

    fn message(headers: Option<async_nats::HeaderMap>, payload: Vec<u8>) -> async_nats::Message {
        let subject = "subject".into();
        async_nats::Message {
            subject,
            reply: None,
            payload: payload.into(),
            headers,
            status: None,
            description: None,
            length: 0,
        }
    }

    #[test]
    fn an_event_survives_a_round_trip_through_a_message() {
        let event = Event {
            id: Uuid::from_u128(7).to_string(),
            r#type: "frontdesk.event.v1.ConversationClosed".into(),
            source: "conversation".into(),
            account_id: Uuid::from_u128(8).to_string(),
            aggregate_type: "conversation".into(),
            aggregate_id: Uuid::from_u128(9).to_string(),
            version: 12,
            create_time: Some(Time(1_700_000_000_123_456).to_proto()),
            traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
            data: Some(prost_types::Any {
                type_url: format!("{TYPE_URL}frontdesk.event.v1.ConversationClosed"),
                value: vec![1, 2, 3],
            }),
        };
        let written = write(&event, &event.id).outbound_message(Names("frontdesk".into()).subject(&event));
        assert_eq!(read(&message(written.headers, written.payload.to_vec()), "").unwrap(), event);
    }

    #[test]
    fn s8_any_message_is_an_event_or_is_refused_and_an_event_is_written_as_it_was_read() {
        const PIECES: &[&str] = &[
            "0190b1c2-7a3e-7c3a-9d55-3f3f0c8a1b2c",
            "frontdesk.event.v1.ConversationClosed",
            "/",
            "conversation",
            "1",
            "-1",
            "2026-11-26T00:00:00Z",
            "9999-12-31T23:59:60.999999999+23:59",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ];
        const NAMES: [&str; 8] = [
            "ce-id",
            "ce-type",
            "ce-source",
            "ce-accountid",
            "ce-aggregatetype",
            "ce-aggregateid",
            "ce-aggregateversion",
            "ce-time",
        ];
        let values = std::array::from_fn::<_, 8, _>(|_| frontdesk_fuzz::text(PIECES, 3));
        frontdesk_fuzz::check!().with_generator((values, frontdesk_fuzz::bytes(32))).for_each(|(values, payload)| {
            let mut headers = async_nats::HeaderMap::new();
            for (name, value) in NAMES.iter().zip(values) {
                headers.insert(*name, one_line(value).as_str());
            }
            if let Ok(event) = read(&message(Some(headers), payload.clone()), "") {
                let written = write(&event, &event.id).outbound_message("subject");
                assert_eq!(read(&message(written.headers, written.payload.to_vec()), "").unwrap(), event);
            }
        });
    }
}
