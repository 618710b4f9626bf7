//! Row S8: whatever a request holds, its texts are normalised once and its fields are accepted or refused by name.

use frontdesk_fuzz::{bytes, check, text};
use frontdesk_proto::{
    Normalize, Validate,
    botsession::v1::CreateBotRequest,
    conversation::v1::{
        CreateChannelRequest, CreateContactRequest, ListConversationsRequest, SendMessageRequest, StartChatRequest,
    },
    notification::v1::CreateSenderRequest,
};
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

const PIECES: &[&str] = &[
    "0190b1c2-7a3e-7c3a-9d55-3f3f0c8a1b2c",
    "https://shop.example/a?b={c}|d",
    "ada@example.com",
    "@",
    "Europe/Rome",
    "de-CH",
    "+39 06 1234",
    " ",
    "\r\n",
    "\t",
    "\u{A0}",
    "\u{200B}",
    "\u{AD}",
    "\u{FEFF}",
    "\u{202E}",
    "\u{2066}",
    "\u{2069}",
    "e\u{301}",
    "\u{1F600}",
    "\u{0}",
];

/// Fills messages by the bytes of an input.
struct Filler<'a> {
    choices: std::slice::Iter<'a, u8>,
    texts: &'a [String],
}

impl Filler<'_> {
    /// Maximum number of messages inside each other.
    const MAX_DEPTH: usize = 4;

    fn choose(&mut self) -> u8 {
        self.choices.next().copied().unwrap_or_default()
    }

    fn message(&mut self, descriptor: MessageDescriptor, depth: usize) -> DynamicMessage {
        let mut message = DynamicMessage::new(descriptor.clone());
        for field in descriptor.fields() {
            let count = self.choose() % 4;
            if count == 0 || depth == Self::MAX_DEPTH {
                continue;
            }
            let value = match (field.is_map(), field.is_list()) {
                (true, _) => {
                    let Kind::Message(entry) = field.kind() else { continue };
                    let key = self.text();
                    Value::Map(
                        [(prost_reflect::MapKey::String(key), self.value(&entry.map_entry_value_field(), depth))]
                            .into(),
                    )
                }
                (_, true) => Value::List((0..count).map(|_| self.value(&field, depth)).collect()),
                _ => self.value(&field, depth),
            };
            message.set_field(&field, value);
        }
        message
    }

    fn text(&mut self) -> String {
        let place = usize::from(self.choose());
        self.texts.get(place % self.texts.len().max(1)).cloned().unwrap_or_default()
    }

    fn value(&mut self, field: &FieldDescriptor, depth: usize) -> Value {
        let choice = self.choose();
        match field.kind() {
            Kind::Message(nested) => Value::Message(self.message(nested, depth + 1)),
            Kind::String => Value::String(self.text()),
            Kind::Bytes => Value::Bytes(vec![choice; 3].into()),
            Kind::Enum(_) => Value::EnumNumber(i32::from(choice % 8)),
            Kind::Bool => Value::Bool(choice & 1 == 1),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(i32::from(choice.cast_signed()) << (choice % 25)),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(i64::from(choice.cast_signed()) << (choice % 57)),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(u32::from(choice)),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(u64::from(choice)),
            Kind::Double => Value::F64(f64::from(choice)),
            Kind::Float => Value::F32(f32::from(choice)),
        }
    }
}

fn fuzz<T: prost::Message + prost::Name + Default + Clone + PartialEq + std::fmt::Debug + Normalize + Validate>() {
    let pool = DescriptorPool::decode(frontdesk_proto::DESCRIPTORS).unwrap();
    let descriptor = pool.get_message_by_name(&T::full_name()).unwrap();
    let texts = std::array::from_fn::<_, 4, _>(|_| text(PIECES, 8));
    check!().with_generator((bytes(128), texts)).for_each(|(choices, texts)| {
        let message = Filler { choices: choices.iter(), texts }.message(descriptor.clone(), 0);
        let mut request: T = message.transcode_to().unwrap();
        request.normalize();
        let _ = request.validate();
        let normalized = request.clone();
        request.normalize();
        assert_eq!(request, normalized);
    });
}

#[test]
fn s8_create_bot_request() {
    fuzz::<CreateBotRequest>();
}

#[test]
fn s8_create_channel_request() {
    fuzz::<CreateChannelRequest>();
}

#[test]
fn s8_create_contact_request() {
    fuzz::<CreateContactRequest>();
}

#[test]
fn s8_start_chat_request() {
    fuzz::<StartChatRequest>();
}

#[test]
fn s8_send_message_request() {
    fuzz::<SendMessageRequest>();
}

#[test]
fn s8_list_conversations_request() {
    fuzz::<ListConversationsRequest>();
}

#[test]
fn s8_create_sender_request() {
    fuzz::<CreateSenderRequest>();
}
