//! The public events: their types by the service that publishes them, and their JSON.

use std::{collections::HashSet, sync::LazyLock};

use frontdesk_proto::event::v1::Event;
use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

/// The events that each service may publish about its part in the erasure of a contact.
const OF_EACH_SERVICE: &str = "frontdesk/event/v1/erasure_events.proto";

/// The services whose events are sent.
const SOURCES: [&str; 4] = ["conversation", "assignment", "bot-session", "notification"];

/// The contract, which is read once.
static CONTRACT: LazyLock<Result<DescriptorPool, String>> =
    LazyLock::new(|| DescriptorPool::decode(frontdesk_proto::DESCRIPTORS).map_err(|error| error.to_string()));

/// The descriptors of the public events. Clones share them.
#[derive(Clone)]
pub(crate) struct PublicEvents {
    pool: DescriptorPool,
    envelope: MessageDescriptor,
}

impl PublicEvents {
    /// Reads the contract.
    pub(crate) fn try_new() -> Result<Self, String> {
        let pool = CONTRACT.clone()?;
        let envelope = pool.get_message_by_name(&Event::full_name());
        let envelope = envelope.ok_or_else(|| format!("the contract has no message {}", Event::full_name()))?;
        Ok(Self { pool, envelope })
    }

    /// Returns the full names of the events of a service. Those about the state of the account are not among them: an account that ends gets no
    /// webhooks any more.
    pub(crate) fn types_of(&self, source: &str) -> Vec<String> {
        let own = format!("frontdesk/event/v1/{}_events.proto", source.replace('-', "_"));
        let files = [own.as_str(), OF_EACH_SERVICE].into_iter().filter_map(|name| self.pool.get_file_by_name(name));
        files
            .flat_map(|file| file.messages().map(|message| message.full_name().to_owned()).collect::<Vec<_>>())
            .collect()
    }

    /// Returns the first of these names that no event has.
    pub(crate) fn find_unknown<'a>(&self, names: &'a [String]) -> Option<&'a str> {
        let known: HashSet<String> = SOURCES.iter().flat_map(|source| self.types_of(source)).collect();
        names.iter().find(|name| !known.contains(*name)).map(String::as_str)
    }

    /// Returns the event in the JSON form of protobuf.
    pub(crate) fn to_json(&self, event: &Event) -> Result<String, String> {
        let message = DynamicMessage::decode(self.envelope.clone(), event.encode_to_vec().as_slice())
            .map_err(|error| format!("{} cannot be read: {error}", event.r#type))?;
        serde_json::to_string(&message).map_err(|error| format!("{} has no JSON form: {error}", event.r#type))
    }
}

#[cfg(test)]
mod tests {
    use frontdesk_proto::event::v1::{
        AccountStateChanged, ContactErasureConfirmed, ConversationClosed, DeliverySent, WebhookEndpointTested,
    };
    use prost_types::Any;

    use super::*;

    #[test]
    fn i17_each_service_has_its_events_and_the_json_names_their_fields() {
        let events = PublicEvents::try_new().unwrap();
        for source in SOURCES {
            let types = events.types_of(source);
            assert!(types.len() > 3 && types.contains(&ContactErasureConfirmed::full_name()), "{source}: {types:?}");
        }
        assert!(events.types_of("conversation").contains(&ConversationClosed::full_name()));
        assert!(!events.types_of("conversation").contains(&DeliverySent::full_name()));
        let closed = ConversationClosed { conversation_id: "c".into(), close_number: 2, ..Default::default() };
        let event = Event {
            id: "e".into(),
            r#type: ConversationClosed::full_name(),
            create_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            data: Some(Any {
                type_url: format!("type.googleapis.com/{}", ConversationClosed::full_name()),
                value: closed.encode_to_vec(),
            }),
            ..Event::default()
        };
        let json: serde_json::Value = serde_json::from_str(&events.to_json(&event).unwrap()).unwrap();
        assert_eq!((&json["id"], &json["createTime"]), (&"e".into(), &"2023-11-14T22:13:20Z".into()));
        assert_eq!((&json["data"]["conversationId"], &json["data"]["closeNumber"]), (&"c".into(), &2.into()));
        assert_eq!(json["data"]["@type"], "type.googleapis.com/frontdesk.event.v1.ConversationClosed");
    }

    #[test]
    fn i17_a_name_that_no_event_has_is_found() {
        let events = PublicEvents::try_new().unwrap();
        let [sent, tested] = [DeliverySent::full_name(), WebhookEndpointTested::full_name()];
        let (account, misspelt) = (AccountStateChanged::full_name(), "frontdesk.event.v1.ConversationClose".to_owned());
        assert_eq!(events.find_unknown(&[sent.clone(), tested.clone()]), None);
        for unknown in [misspelt, account] {
            assert_eq!(events.find_unknown(&[sent.clone(), unknown.clone(), tested.clone()]), Some(unknown.as_str()));
        }
    }

    #[test]
    fn i17_an_event_that_cannot_be_read_is_named() {
        let data = Some(Any { type_url: "type.googleapis.com/frontdesk.event.v1.Later".into(), value: Vec::new() });
        let event = Event { r#type: "frontdesk.event.v1.Later".into(), data, ..Event::default() };
        assert!(PublicEvents::try_new().unwrap().to_json(&event).unwrap_err().contains("frontdesk.event.v1.Later"));
    }
}
