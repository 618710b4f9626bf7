//! Reading an event. Each error is a text for the dead letter: an event that cannot be read now can never be.

use frontdesk_db::AccountId;
use frontdesk_proto::event::v1::Event;
use uuid::Uuid;

/// The event's message.
pub fn decode<M: prost::Message + prost::Name + Default>(event: &Event) -> Result<M, String> {
    let data = event.data.as_ref().ok_or("the event has no data")?;
    M::decode(data.value.as_slice()).map_err(|error| format!("{} cannot be read: {error}", event.r#type))
}

/// The account of the event.
pub fn account_id(event: &Event) -> Result<AccountId, String> {
    uuid("account_id", &event.account_id).map(AccountId)
}

/// The id in the field `name` of an event or its message.
pub fn uuid(name: &str, text: &str) -> Result<Uuid, String> {
    text.parse().map_err(|_| format!("{name} is not a UUID"))
}

#[cfg(test)]
mod tests {
    use frontdesk_proto::event::v1::ConversationClosed;
    use prost::{Message, Name};

    use super::*;

    #[test]
    fn an_event_gives_its_account_its_message_and_its_ids() {
        let id = Uuid::from_u128(7);
        let message = ConversationClosed { conversation_id: id.to_string(), ..Default::default() };
        let event = Event {
            r#type: ConversationClosed::full_name(),
            account_id: id.to_string(),
            data: Some(prost_types::Any { type_url: String::new(), value: message.encode_to_vec() }),
            ..Event::default()
        };
        assert_eq!(account_id(&event), Ok(AccountId(id)));
        let read: ConversationClosed = decode(&event).unwrap();
        assert_eq!(uuid("conversation_id", &read.conversation_id), Ok(id));
    }

    #[test]
    fn an_error_names_what_cannot_be_read() {
        let data = Some(prost_types::Any { type_url: String::new(), value: vec![0xFF] });
        let event = Event { r#type: "test.Thing".into(), data, ..Event::default() };
        assert_eq!(account_id(&event), Err("account_id is not a UUID".into()));
        assert!(decode::<ConversationClosed>(&event).unwrap_err().starts_with("test.Thing cannot be read: "));
        assert!(decode::<ConversationClosed>(&Event::default()).unwrap_err().contains("no data"));
    }
}
