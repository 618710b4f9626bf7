//! Nobody forgets to say what a string of a request is: text that people write, or something with an alphabet of its own.

use std::collections::BTreeSet;

use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

/// Neither: what the server gave out and compares, or looks up, as it is; and addresses of pages, of which every letter counts.
const AS_SENT: &[&str] = &["etag", "page_token", "next_step_id", "time_zone", "page_url", "website_url", "url"];

fn pool() -> DescriptorPool {
    DescriptorPool::decode(frontdesk_proto::DESCRIPTORS).unwrap()
}

/// Every string field of every request and of our messages in it.
fn strings(pool: &DescriptorPool) -> Vec<FieldDescriptor> {
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let mut ahead: Vec<MessageDescriptor> = methods.map(|method| method.input()).collect();
    let mut done = BTreeSet::new();
    let mut strings = Vec::new();
    while let Some(message) = ahead.pop() {
        if !done.insert(message.full_name().to_owned()) {
            continue;
        }
        for field in message.fields() {
            let kind = match field.kind() {
                Kind::Message(entry) if field.is_map() => entry.map_entry_value_field().kind(),
                kind => kind,
            };
            match kind {
                Kind::String => strings.push(field),
                Kind::Message(held) if held.full_name().starts_with("frontdesk.") => ahead.push(held),
                _ => {}
            }
        }
    }
    strings
}

/// The option's value: 0 where there is none.
fn text(pool: &DescriptorPool, field: &FieldDescriptor) -> i32 {
    let option = pool.get_extension_by_name("frontdesk.text.v1.text").unwrap();
    field.options().get_extension(&option).as_enum_number().unwrap()
}

fn names_its_alphabet(pool: &DescriptorPool, field: &FieldDescriptor) -> bool {
    let option = pool.get_extension_by_name("buf.validate.field").unwrap();
    let options = field.options();
    let rules = options.get_extension(&option);
    let rules: Option<DynamicMessage> =
        rules.as_message().and_then(|rules| rules.get_field_by_name("string")?.as_message().cloned());
    let Some(rules) = rules else { return false };
    let is = |rule| rules.get_field_by_name(rule).is_some_and(|value| value.as_ref() == &Value::Bool(true));
    let pattern = rules.get_field_by_name("pattern");
    let pattern = pattern.as_ref().and_then(|pattern| pattern.as_str()).unwrap_or_default();
    is("uuid") || is("email") || is_ascii_pattern(pattern)
}

/// Only characters and classes of characters that are written out.
fn is_ascii_pattern(pattern: &str) -> bool {
    let outside: String = pattern.split('[').map(|part| part.rsplit(']').next().unwrap()).collect();
    pattern.starts_with('^')
        && pattern.ends_with('$')
        && pattern.is_ascii()
        && !pattern.contains("[^")
        && !pattern.contains('\\')
        && !outside.contains('.')
}

#[test]
fn c4_every_string_of_a_request_says_whether_it_is_text() {
    let pool = pool();
    let strings = strings(&pool);
    assert!(strings.len() > 100, "{}", strings.len());
    for field in &strings {
        let (name, alphabet) = (field.full_name(), names_its_alphabet(&pool, field));
        match text(&pool, field) {
            0 => assert!(
                alphabet || AS_SENT.contains(&field.name()),
                "{name}: add the option (frontdesk.text.v1.text), or a rule that names its alphabet: uuid, email, a pattern"
            ),
            _ => assert!(
                !alphabet,
                "{name} is text, and its rule allows some characters only: one of the two is too many"
            ),
        }
    }
    for name in AS_SENT {
        assert!(strings.iter().any(|field| field.name() == *name), "no request has a field {name} any more");
    }
}

#[test]
fn c4_the_comment_of_every_text_says_how_it_is_normalised() {
    let pool = pool();
    for field in strings(&pool) {
        let file = field.parent_message().parent_file();
        let info = file.file_descriptor_proto().source_code_info.clone().unwrap();
        let comment = info.location.iter().find(|location| location.path == field.path()).unwrap().leading_comments();
        let words = comment.split_whitespace().collect::<Vec<_>>().join(" ");
        let said = [(1, "Normalised as a line."), (2, "Normalised as a block.")].map(|(rule, sentence)| {
            let is = text(&pool, &field) == rule;
            (words.contains(sentence), is)
        });
        assert!(said.iter().all(|(said, is)| said == is), "{}: {words}", field.full_name());
    }
}

#[test]
fn a_pattern_names_its_alphabet_or_does_not() {
    for pattern in ["^[A-Za-z0-9._:-]{1,64}$", "^[0-9]{8}$", "^([0-9a-f]{8}(-[0-9a-f]{4}){3})?$", "^(de|en)$"] {
        assert!(is_ascii_pattern(pattern), "{pattern}");
    }
    for pattern in ["", "^[^\\x00-\\x1F]*$", "^https?://.+$", "^\\w+$", "[a-z]", "^ä$"] {
        assert!(!is_ascii_pattern(pattern), "{pattern}");
    }
}
