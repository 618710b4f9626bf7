//! docs/asyncapi.yaml, the AsyncAPI document of the events on NATS, is generated from the descriptors.

use std::{collections::BTreeMap, env, fmt::Write, fs, path::Path};

use prost_reflect::{DescriptorPool, MessageDescriptor};

const HEADER: &str = "\
# Generated from the contract: `UPDATE_DOCS=1 cargo test -p frontdesk-proto --test asyncapi` writes it again.
asyncapi: 3.0.0
info:
  title: Frontdesk's events
  version: v1
  description: >-
    What happened in Frontdesk, as CloudEvents 1.0 in binary mode on NATS JetStream: attributes in headers, a protobuf
    message as payload. Events are delivered at least once: handle each `ce-id` once. They carry ids, numbers, kinds
    and reasons, never text, names or addresses. docs/events.md describes how to consume them. `frontdesk` in addresses
    and `FRONTDESK` in streams are the prefix of the installation, `bus.prefix`.
defaultContentType: application/protobuf
servers:
  broker:
    host: nats.example:4222
    protocol: nats
    description: >-
      The NATS server of the installation. A reader has a user, and in each stream a durable pull consumer.
";

const COMPONENTS: &str = "\
components:
  parameters:
    event:
      description: Name of the message, without its package.
    account_id:
      description: Id of the account.
    partition:
      description: A number from 0 to 63 by the id of the aggregate. All events of an aggregate have the same.
  schemas:
    Headers:
      type: object
      required:
        - ce-specversion
        - ce-id
        - ce-type
        - ce-source
        - ce-accountid
        - ce-aggregatetype
        - ce-aggregateid
        - ce-aggregateversion
        - ce-time
        - content-type
        - Nats-Msg-Id
      properties:
        ce-specversion:
          type: string
          const: '1.0'
        ce-id:
          type: string
          format: uuid
          description: Id of the event, the same for every delivery. Handle each id once.
        ce-type:
          type: string
          description: Full name of the message in the payload. Skip a type that you do not know.
        ce-source:
          type: string
          description: The service that owns the aggregate.
          enum: [/frontdesk/assignment, /frontdesk/bot-session, /frontdesk/conversation, /frontdesk/notification]
        ce-accountid:
          type: string
          format: uuid
          description: Id of the account.
        ce-aggregatetype:
          type: string
          description: Kind of the aggregate, such as `conversation`.
        ce-aggregateid:
          type: string
          description: Id of the aggregate that changed.
        ce-aggregateversion:
          type: string
          pattern: '^[1-9][0-9]*$'
          description: >-
            1, 2, 3 ... for each aggregate, without gaps. Of two events the one with the higher version is newer.
        ce-time:
          type: string
          format: date-time
          description: When the change was made, by the clock of the owning service.
        traceparent:
          type: string
          description: W3C trace context of the call that caused the event. Absent where it was not traced.
        content-type:
          type: string
          const: application/protobuf
        Nats-Msg-Id:
          type: string
          description: The id of the event, by which the broker recognises one that is published again within two minutes.
  messages:
";

const PACKAGE: &str = "frontdesk.event.v1";

/// The services whose stream has the event. They own its aggregate.
fn services(message: &MessageDescriptor) -> &'static [&'static str] {
    const ALL_BUT_CONVERSATION: &[&str] = &["assignment", "bot-session", "notification"];
    let file = message.parent_file();
    match (file.name().rsplit('/').next().unwrap(), message.name()) {
        ("account_events.proto", "AccountStateConfirmed") | ("erasure_events.proto", _) => ALL_BUT_CONVERSATION,
        ("account_events.proto" | "conversation_events.proto", _) => &["conversation"],
        ("assignment_events.proto", _) => &["assignment"],
        ("bot_session_events.proto", _) => &["bot-session"],
        ("notification_events.proto", _) => &["notification"],
        (file, name) => panic!("{file}: {name}: name its service in proto/tests/asyncapi.rs"),
    }
}

/// The comment before the message, on one line.
fn comment(message: &MessageDescriptor) -> String {
    let info = message.parent_file().file_descriptor_proto().source_code_info.clone().unwrap();
    let location = info.location.iter().find(|location| location.path == message.path()).unwrap();
    location.leading_comments().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn channel(service: &str, events: &[&MessageDescriptor]) -> String {
    let stream = format!("FRONTDESK_{}", service.to_uppercase().replace('-', "_"));
    let mut text = format!(
        "  {service}:
    address: frontdesk.v1.{service}.{{event}}.{{account_id}}.{{partition}}
    description: Events of the {service} service, in the stream {stream}.
    parameters:
      event:
        $ref: '#/components/parameters/event'
      account_id:
        $ref: '#/components/parameters/account_id'
      partition:
        $ref: '#/components/parameters/partition'
    messages:
"
    );
    for event in events {
        let name = event.name();
        write!(text, "      {name}:\n        $ref: '#/components/messages/{name}'\n").unwrap();
    }
    text
}

fn operation(service: &str) -> String {
    format!(
        "  {service}:
    action: receive
    channel:
      $ref: '#/channels/{service}'
"
    )
}

fn component(event: &MessageDescriptor) -> String {
    let (name, full_name, file) = (event.name(), event.full_name(), event.parent_file());
    format!(
        "    {name}:
      title: {name}
      summary: {}
      headers:
        allOf:
          - $ref: '#/components/schemas/Headers'
          - properties:
              ce-type:
                const: {full_name}
      payload:
        schemaFormat: application/vnd.google.protobuf;version=3
        schema:
          $ref: ../proto/{}#{name}
",
        serde_json::to_string(&comment(event)).unwrap(),
        file.name(),
    )
}

#[test]
fn the_asyncapi_document_is_that_of_the_contract() {
    let pool = DescriptorPool::decode(frontdesk_proto::DESCRIPTORS).unwrap();
    let mut events: Vec<MessageDescriptor> = pool
        .all_messages()
        .filter(|message| message.package_name() == PACKAGE && message.parent_message().is_none())
        // The others are the envelope, and messages of the services that send events.
        .filter(|message| message.parent_file().name().ends_with("_events.proto"))
        .collect();
    events.sort_by(|one, other| one.name().cmp(other.name()));
    let mut channels: BTreeMap<&str, Vec<&MessageDescriptor>> = BTreeMap::new();
    for event in &events {
        for service in services(event) {
            channels.entry(service).or_default().push(event);
        }
    }
    let mut document = format!("{HEADER}channels:\n");
    document.extend(channels.iter().map(|(service, events)| channel(service, events)));
    document.push_str("operations:\n");
    document.extend(channels.keys().map(|service| operation(service)));
    document.push_str(COMPONENTS);
    document.extend(events.iter().map(component));

    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/asyncapi.yaml");
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, &document).unwrap();
    }
    assert!(
        fs::read_to_string(file).unwrap_or_default() == document,
        "docs/asyncapi.yaml is outdated; its first line says how to write it again"
    );
}
