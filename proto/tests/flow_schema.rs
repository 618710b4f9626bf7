//! `services/bot-session/flows/flow.schema.json`, the JSON schema of flows, is generated from the descriptors, and accepts what the
//! contract accepts (rule B6).

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
};

use frontdesk_proto::{Normalize, Validate, botsession::v1::Flow};
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor};
use regex::Regex;
use serde_json::{Map, Value as Json, json};

const UUID: &str = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}";

fn flows() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/bot-session/flows")
}

fn pool() -> DescriptorPool {
    DescriptorPool::decode(frontdesk_proto::DESCRIPTORS).unwrap()
}

/// The schema of the message, with those of the messages in it as definitions.
fn schema(pool: &DescriptorPool, root: &MessageDescriptor) -> Json {
    let (mut definitions, mut pending) = (BTreeMap::new(), vec![root.clone()]);
    while let Some(message) = pending.pop() {
        if !definitions.contains_key(message.name()) {
            definitions.insert(message.name().to_owned(), object(pool, &message));
            pending.extend(message.fields().filter_map(|field| field.kind().as_message().cloned()));
        }
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Flow of a bot",
        "description": "Generated from frontdesk.botsession.v1.Flow. A flow that this schema accepts can still have problems that \
                        ValidateFlow explains, such as a step that is never reached.",
        "$ref": format!("#/$defs/{}", root.name()),
        "$defs": definitions,
    })
}

fn object(pool: &DescriptorPool, message: &MessageDescriptor) -> Json {
    let properties = message.fields().map(|field| (field.json_name().to_owned(), property(pool, &field)));
    let properties: Map<String, Json> = properties.collect();
    let mut schema = json!({
        "type": "object",
        "description": comment(message, message.path()),
        "properties": properties,
        "additionalProperties": false,
    });
    let required: Vec<_> = message.fields().filter(|field| is_required(pool, field)).collect();
    if !required.is_empty() {
        schema["required"] = required.iter().map(FieldDescriptor::json_name).collect();
    }
    if let Some(oneof) = message.oneofs().find(|oneof| !oneof.is_synthetic()) {
        schema["oneOf"] = oneof.fields().map(|field| json!({ "required": [field.json_name()] })).collect();
    }
    schema
}

fn property(pool: &DescriptorPool, field: &FieldDescriptor) -> Json {
    let rules = rules(pool, field);
    let mut schema = match field.is_list() {
        false => value(field, rules.as_ref()),
        true => {
            let repeated = rules.as_ref().and_then(|rules| message_of(rules, "repeated"));
            let items = repeated.as_ref().and_then(|repeated| message_of(repeated, "items"));
            let mut list = json!({ "type": "array", "items": value(field, items.as_ref()) });
            for (rule, keyword) in [("min_items", "minItems"), ("max_items", "maxItems")] {
                if let Some(limit) = repeated.as_ref().and_then(|repeated| number(repeated, rule)) {
                    list[keyword] = limit.into();
                }
            }
            list
        }
    };
    schema["description"] = comment(field.parent_message(), field.path()).into();
    schema
}

/// The schema of one value of the field, without its description.
fn value(field: &FieldDescriptor, rules: Option<&DynamicMessage>) -> Json {
    match field.kind() {
        Kind::Message(inner) => json!({ "$ref": format!("#/$defs/{}", inner.name()) }),
        Kind::Enum(values) => {
            json!({ "enum": values.values().map(|value| value.name().to_owned()).collect::<Vec<_>>() })
        }
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Int32 => {
            let mut schema = json!({ "type": "integer" });
            let limits = rules.and_then(|rules| message_of(rules, "int32"));
            for (rule, keyword) in [("gte", "minimum"), ("lte", "maximum")] {
                if let Some(limit) = limits.as_ref().and_then(|limits| number(limits, rule)) {
                    schema[keyword] = limit.into();
                }
            }
            schema
        }
        Kind::String => {
            let mut schema = json!({ "type": "string" });
            let string = rules.and_then(|rules| message_of(rules, "string"));
            for (rule, keyword) in [("min_len", "minLength"), ("max_len", "maxLength")] {
                if let Some(limit) = string.as_ref().and_then(|string| number(string, rule)) {
                    schema[keyword] = limit.into();
                }
            }
            if let Some(pattern) = rules.and_then(pattern) {
                schema["pattern"] = pattern.into();
            }
            schema
        }
        kind => panic!("{}: no schema of {kind:?}", field.full_name()),
    }
}

/// The pattern of a string, as JSON schemas write it.
fn pattern(rules: &DynamicMessage) -> Option<String> {
    let string = message_of(rules, "string")?;
    if string.get_field_by_name("uuid").and_then(|uuid| uuid.as_bool()) == Some(true) {
        let may_be_empty = rules.get_field_by_name("ignore").and_then(|ignore| ignore.as_enum_number()) != Some(0);
        return Some(if may_be_empty { format!("^({UUID})?$") } else { format!("^{UUID}$") });
    }
    let pattern = string.get_field_by_name("pattern")?.as_str()?.to_owned();
    let wide = Regex::new(r"\\x\{([0-9A-F]{2})\}").unwrap();
    (!pattern.is_empty()).then(|| wide.replace_all(&pattern, "\\u00$1").into_owned())
}

/// Whether the rules of the field refuse what it is when it is left out.
fn is_required(pool: &DescriptorPool, field: &FieldDescriptor) -> bool {
    let Some(rules) = rules(pool, field) else { return false };
    if field.is_list() {
        let repeated = message_of(&rules, "repeated");
        return repeated.and_then(|repeated| number(&repeated, "min_items")).is_some_and(|least| least > 0);
    }
    let least = message_of(&rules, "string").and_then(|string| number(&string, "min_len"));
    let refuses_empty = pattern(&rules).is_some_and(|pattern| !Regex::new(&pattern).unwrap().is_match(""));
    least.is_some_and(|least| least > 0) || refuses_empty
}

fn rules(pool: &DescriptorPool, field: &FieldDescriptor) -> Option<DynamicMessage> {
    let option = pool.get_extension_by_name("buf.validate.field").unwrap();
    let options = field.options();
    options.has_extension(&option).then(|| options.get_extension(&option).as_message().unwrap().clone())
}

fn message_of(message: &DynamicMessage, field: &str) -> Option<DynamicMessage> {
    message.has_field_by_name(field).then(|| message.get_field_by_name(field).unwrap().as_message().unwrap().clone())
}

fn number(message: &DynamicMessage, field: &str) -> Option<i64> {
    if !message.has_field_by_name(field) {
        return None;
    }
    let value = message.get_field_by_name(field)?;
    value.as_i32().map(i64::from).or_else(|| value.as_u64().and_then(|value| value.try_into().ok()))
}

/// The comment before a declaration, on one line.
fn comment(message: &MessageDescriptor, path: &[i32]) -> String {
    let info = message.parent_file().file_descriptor_proto().source_code_info.clone().unwrap();
    let location = info.location.iter().find(|location| location.path == path).unwrap();
    location.leading_comments().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether the schema accepts the value. It knows the keywords that [`schema`] writes.
fn accepts(root: &Json, schema: &Json, value: &Json) -> bool {
    schema.as_object().unwrap().iter().all(|(keyword, rule)| {
        let limit = || rule.as_i64().unwrap();
        let length = |count: Option<usize>| count.map(|count| i64::try_from(count).unwrap());
        let characters = length(value.as_str().map(|text| text.chars().count()));
        let items = length(value.as_array().map(Vec::len));
        match keyword.as_str() {
            "$schema" | "title" | "description" | "$defs" => true,
            "$ref" => {
                let name = rule.as_str().unwrap().trim_start_matches("#/$defs/");
                accepts(root, &root["$defs"][name], value)
            }
            "type" => match rule.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "integer" => value.is_i64(),
                "boolean" => value.is_boolean(),
                other => panic!("unknown type {other}"),
            },
            "enum" => rule.as_array().unwrap().contains(value),
            "minLength" => characters.is_none_or(|count| count >= limit()),
            "maxLength" => characters.is_none_or(|count| count <= limit()),
            "minItems" => items.is_none_or(|count| count >= limit()),
            "maxItems" => items.is_none_or(|count| count <= limit()),
            "minimum" => value.as_i64().is_none_or(|number| number >= limit()),
            "maximum" => value.as_i64().is_none_or(|number| number <= limit()),
            "pattern" => value.as_str().is_none_or(|text| Regex::new(rule.as_str().unwrap()).unwrap().is_match(text)),
            "items" => value.as_array().is_none_or(|items| items.iter().all(|item| accepts(root, rule, item))),
            "properties" => value.as_object().is_none_or(|fields| {
                let known =
                    |(name, value): (&String, &Json)| rule.get(name).is_none_or(|schema| accepts(root, schema, value));
                fields.iter().all(known)
            }),
            "additionalProperties" => value.as_object().is_none_or(|fields| {
                let known = schema["properties"].as_object().unwrap();
                fields.keys().all(|name| known.contains_key(name))
            }),
            "required" => value.as_object().is_none_or(|fields| {
                rule.as_array().unwrap().iter().all(|name| fields.contains_key(name.as_str().unwrap()))
            }),
            "oneOf" => rule.as_array().unwrap().iter().filter(|one| accepts(root, one, value)).count() == 1,
            other => panic!("unknown keyword {other}"),
        }
    })
}

/// Whether the contract accepts the JSON form of a flow.
fn parses(pool: &DescriptorPool, json: &str) -> bool {
    let descriptor = pool.get_message_by_name("frontdesk.botsession.v1.Flow").unwrap();
    let mut reader = serde_json::Deserializer::from_str(json);
    let Ok(message) = DynamicMessage::deserialize(descriptor, &mut reader) else { return false };
    let mut flow: Flow = message.transcode_to().unwrap();
    flow.normalize();
    flow.validate().is_ok()
}

#[test]
fn b6_the_schema_of_flows_is_that_of_the_contract() {
    let pool = pool();
    let flow = pool.get_message_by_name("frontdesk.botsession.v1.Flow").unwrap();
    let (generated, file) = (schema(&pool, &flow), flows().join("flow.schema.json"));
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, serde_json::to_string_pretty(&generated).unwrap() + "\n").unwrap();
    }
    let stored: Json = serde_json::from_str(&fs::read_to_string(file).unwrap_or_default()).unwrap_or_default();
    assert!(
        stored == generated,
        "flow.schema.json is outdated: UPDATE_DOCS=1 cargo test -p frontdesk-proto --test flow_schema writes it again"
    );
}

#[test]
fn b6_the_schema_accepts_what_the_contract_accepts() {
    let pool = pool();
    let schema = schema(&pool, &pool.get_message_by_name("frontdesk.botsession.v1.Flow").unwrap());
    let id = "0190b1c2-7a3e-7c3a-9d55-3f3f0c8a1b2c";
    let step = |action: Json| json!({ "steps": [with(json!({ "id": "a" }), action)] });
    let buttons = |count: usize| {
        let buttons: Vec<_> = (0..count).map(|n| json!({ "id": format!("b{n}"), "label": format!("{n}") })).collect();
        step(json!({ "buttons": { "text": "?", "buttons": buttons } }))
    };
    let ask = |more: Json| step(json!({ "ask": with(json!({ "text": "?", "property": "size" }), more) }));
    let branch = |condition: Json| step(json!({ "branch": { "cases": [{ "conditions": [condition] }] } }));
    let mut flows: Vec<Json> = vec![
        step(json!({ "say": { "text": "Hi {{contact.name}}", "insertIds": [id] }, "nextStepId": "b" })),
        step(json!({ "say": { "text": "Hi", "insertIds": ["x"] } })),
        step(json!({ "say": { "text": "Hi", "insertIds": [id, id, id, id, id, id] } })),
        step(json!({ "say": { "text": "" } })),
        step(json!({ "say": { "text": "a\u{1}b" } })),
        step(json!({ "say": { "text": "a\u{85}b" } })),
        step(json!({ "say": { "text": "é".repeat(2_000) } })),
        step(json!({ "say": { "text": "é".repeat(2_001) } })),
        step(json!({ "say": { "text": 5 } })),
        step(json!({ "say": { "text": "Hi" }, "close": {} })),
        step(json!({ "says": { "text": "Hi" } })),
        step(json!({ "close": { "reason": "x" } })),
        step(json!({ "close": {}, "id": "a b" })),
        step(json!({ "close": {}, "id": "" })),
        step(json!({})),
        ask(json!({ "check": "ANSWER_CHECK_PHONE", "choices": ["S", "L"], "acceptsFirstMessage": true })),
        ask(json!({ "check": "PHONE" })),
        ask(json!({ "maxAttempts": 2, "fallbackStepId": "b" })),
        ask(json!({ "maxAttempts": 11 })),
        ask(json!({ "maxAttempts": -1 })),
        ask(json!({ "fallbackStepId": "b b" })),
        ask(json!({ "property": "Size" })),
        ask(json!({ "choices": "S" })),
        ask(json!({ "choices": ["é".repeat(101)] })),
        ask(json!({ "acceptsFirstMessage": 1 })),
        buttons(0),
        buttons(1),
        buttons(10),
        buttons(11),
        branch(json!({ "answer": { "stepId": "a", "values": ["x"] }, "negated": true })),
        branch(json!({ "answer": { "values": ["x"] } })),
        branch(json!({ "openingHours": { "openingHoursId": id } })),
        branch(json!({ "openingHours": { "openingHoursId": "" } })),
        branch(json!({ "contactProperty": { "property": "plan" } })),
        branch(json!({ "language": { "languages": ["pt-BR"] } })),
        branch(json!({ "language": { "languages": [] } })),
        branch(json!({ "language": { "languages": ["p"] } })),
        branch(json!({ "negated": true })),
        step(json!({ "setProperty": { "property": "plan", "value": "gold" } })),
        step(json!({ "setProperty": { "property": "plan" } })),
        step(json!({ "createTicket": { "subject": "Call back" } })),
        step(json!({ "createTicket": { "subject": "a\nb" } })),
        step(json!({ "handOff": { "agentId": "", "routingPolicyId": id } })),
        step(json!({ "handOff": { "routingPolicyId": "policy" } })),
        step(json!({ "handOff": { "teamId": id } })),
        step(json!({ "handOff": { "teamId": "sales" } })),
        json!({ "steps": [] }),
        json!({}),
        json!([]),
        json!({ "steps": vec![json!({ "id": "a", "close": {} }); 100] }),
        json!({ "steps": vec![json!({ "id": "a", "close": {} }); 101] }),
    ];
    for name in ["greeter.json", "faq.json"] {
        flows.push(serde_json::from_str(&fs::read_to_string(self::flows().join(name)).unwrap()).unwrap());
    }
    let mut seen = BTreeSet::new();
    for flow in flows {
        let accepted = accepts(&schema, &schema, &flow);
        assert_eq!(accepted, parses(&pool, &flow.to_string()), "{flow}");
        seen.insert(accepted);
    }
    assert_eq!(seen.len(), 2, "some are accepted and some are refused");
}

/// The object with the fields of another one, which count where both have one.
fn with(mut object: Json, fields: Json) -> Json {
    object.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    object
}
