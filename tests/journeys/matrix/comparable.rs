//! Responses in a form in which two of them can be compared.

use std::collections::BTreeMap;

use frontdesk_tests::fixture::{Declared, Fixture};
use prost_reflect::{DynamicMessage, ReflectMessage, Value};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

/// A response, without what differs between two equal responses: times and etags are left out, ids are masked.
#[derive(Debug, PartialEq)]
pub(super) struct Comparable {
    pub(super) code: Code,
    message: String,
    pub(super) reason: String,
    facts: BTreeMap<String, String>,
    fields: Vec<(String, String)>,
    details: Vec<u8>,
    answer: String,
}

pub(super) fn comparable(method: &Declared, fixture: &Fixture, answer: Result<Vec<u8>, Status>) -> Comparable {
    match answer {
        Ok(bytes) => {
            let answer = DynamicMessage::decode(method.method.output(), bytes.as_slice()).unwrap();
            let mut plain = String::new();
            write_plain(&mut plain, &Value::Message(answer));
            Comparable {
                code: Code::Ok,
                message: String::new(),
                reason: String::new(),
                facts: BTreeMap::new(),
                fields: Vec::new(),
                details: Vec::new(),
                answer: plain.replace(&fixture.word, "<word>"),
            }
        }
        Err(status) => {
            let info = status.get_details_error_info().unwrap_or_else(|| panic!("no reason in {status:?}"));
            let facts: BTreeMap<String, String> =
                info.metadata.into_iter().map(|(key, value)| (key, masked(&value))).collect();
            let fields = status.get_details_bad_request().map(|request| request.field_violations).unwrap_or_default();
            Comparable {
                code: status.code(),
                message: status.message().replace(&fixture.word, "<word>"),
                reason: info.reason,
                // They have the ids, and the order of several metadata entries is not defined.
                details: if facts.len() > 1 || facts.values().any(|value| value == "<id>") {
                    Vec::new()
                } else {
                    status.details().to_vec()
                },
                facts: facts.into_iter().map(|(key, value)| (key, value.replace(&fixture.word, "<word>"))).collect(),
                fields: fields.into_iter().map(|field| (field.field, field.description)).collect(),
                answer: String::new(),
            }
        }
    }
}

fn masked(text: &str) -> String {
    if text.parse::<Uuid>().is_ok() { "<id>".into() } else { text.to_owned() }
}

fn write_plain(plain: &mut String, value: &Value) {
    match value {
        Value::Message(message) if message.descriptor().full_name() == "google.protobuf.Timestamp" => {
            plain.push_str("<time>")
        }
        Value::Message(message) => {
            for (field, value) in message.fields() {
                if [
                    "etag",
                    "version",
                    "handle",
                    "email",
                    "recipient_email",
                    "mail_message_id",
                    "key_id",
                    "secret",
                    "content",
                    "payload",
                ]
                .contains(&field.name())
                {
                    continue;
                }
                plain.push_str(&format!(" {}:", field.name()));
                match value {
                    Value::String(token) if ["next_page_token", "watch_cursor", "cursor"].contains(&field.name()) => {
                        plain.push_str(&token.is_empty().to_string())
                    }
                    value => write_plain(plain, value),
                }
            }
        }
        Value::Map(pairs) => pairs.iter().for_each(|(key, value)| {
            plain.push_str(&format!(" {key:?}:"));
            write_plain(plain, value);
        }),
        Value::List(items) => items.iter().for_each(|item| write_plain(plain, item)),
        Value::String(text) => plain.push_str(&masked(text)),
        other => plain.push_str(&format!("{other:?}")),
    }
}
