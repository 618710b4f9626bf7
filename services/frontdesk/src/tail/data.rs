//! The data of an event as JSON, by the descriptors of the contract.

use frontdesk_proto::{DESCRIPTORS, event::v1::Event};
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::{Value, value::Serializer};

use crate::Failure;

/// Fields have the names of the contract, and numbers are no strings.
const OPTIONS: SerializeOptions = SerializeOptions::new().use_proto_field_name(true).stringify_64_bit_integers(false);

/// Reads the data of events. Clones share the descriptors.
#[derive(Clone)]
pub(super) struct EventData(DescriptorPool);

impl EventData {
    pub(super) fn try_new() -> Result<Self, Failure> {
        Ok(Self(DescriptorPool::decode(DESCRIPTORS)?))
    }

    /// The fields that are set. Null: this version does not know the type, or the data is damaged.
    pub(super) fn json(&self, event: &Event) -> Value {
        let bytes = event.data.as_ref().map(|data| data.value.as_slice()).unwrap_or_default();
        let message = self.0.get_message_by_name(&event.r#type);
        let message = message.and_then(|message| DynamicMessage::decode(message, bytes).ok());
        message.and_then(|message| message.serialize_with_options(Serializer, &OPTIONS).ok()).unwrap_or_default()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use frontdesk_proto::{
        actor::v1::{Actor, ActorKind},
        assignment::v1::AssignmentCause,
        event::v1::{AssigneeChanged, TeamMembersChanged},
    };
    use prost::{Message, Name};
    use serde_json::json;

    use super::*;

    fn event<M: Message + Name>(message: &M) -> Event {
        let data = prost_types::Any { type_url: M::type_url(), value: message.encode_to_vec() };
        Event { r#type: M::full_name(), data: Some(data), ..Event::default() }
    }

    #[test]
    fn the_data_of_an_event_is_shown_by_the_names_of_the_contract() {
        let data = EventData::try_new().unwrap();
        let changed = AssigneeChanged {
            epoch: 2,
            new_owner: Some(Actor { kind: ActorKind::Agent.into(), id: "a".into(), ..Actor::default() }),
            change_time: Some(prost_types::Timestamp { seconds: 1, nanos: 5_000 }),
            cause: AssignmentCause::ByHand.into(),
            ..AssigneeChanged::default()
        };
        let expected = json!({
            "epoch": 2,
            "new_owner": { "kind": "ACTOR_KIND_AGENT", "id": "a" },
            "change_time": "1970-01-01T00:00:01.000005Z",
            "cause": AssignmentCause::ByHand.as_str_name(),
        });
        assert_eq!(data.json(&event(&changed)), expected);
        let members = TeamMembersChanged { added_agent_ids: vec!["a".into(), "b".into()], ..Default::default() };
        assert_eq!(data.json(&event(&members)), json!({ "added_agent_ids": ["a", "b"] }));
        assert_eq!(data.json(&Event { r#type: "frontdesk.event.v1.Newer".into(), ..Event::default() }), Value::Null);
    }
}
