//! Each string of a request is declared: as text that people write, or by a rule that names its alphabet.

use std::collections::BTreeSet;

use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

/// The fields that are neither: values that the server issued and compares or looks up unchanged, and addresses of pages, which
/// must not change.
const UNCHANGED: &[&str] = &[
    "allowed_origins",
    "anonymous_token",
    "cursor",
    "etag",
    "language",
    "link_url",
    "next_step_id",
    "page_token",
    "page_url",
    "previous_token",
    "source_etag",
    "source_url",
    "target_etag",
    "thumbnail_url",
    "time_zone",
    "url",
    "visitor_id",
    "website_url",
];

fn pool() -> DescriptorPool {
    DescriptorPool::decode(frontdesk_proto::DESCRIPTORS).unwrap()
}

/// The string fields of all requests and of the messages of Frontdesk in them.
fn strings(pool: &DescriptorPool) -> Vec<FieldDescriptor> {
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let mut pending: Vec<MessageDescriptor> = methods.map(|method| method.input()).collect();
    let mut done = BTreeSet::new();
    let mut strings = Vec::new();
    while let Some(message) = pending.pop() {
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
                Kind::Message(nested) if nested.full_name().starts_with("frontdesk.") => pending.push(nested),
                _ => {}
            }
        }
    }
    strings
}

/// The value of the option `text`; 0 when the field does not have it.
fn text(pool: &DescriptorPool, field: &FieldDescriptor) -> i32 {
    let option = pool.get_extension_by_name("frontdesk.text.v1.text").unwrap();
    field.options().get_extension(&option).as_enum_number().unwrap()
}

fn names_its_alphabet(pool: &DescriptorPool, field: &FieldDescriptor) -> bool {
    let option = pool.get_extension_by_name("buf.validate.field").unwrap();
    let options = field.options();
    let rules = options.get_extension(&option);
    let rules: Option<DynamicMessage> = rules.as_message().and_then(|rules| {
        let string = |rules: &DynamicMessage| rules.get_field_by_name("string")?.as_message().cloned();
        match field.is_list() {
            true => {
                string(rules.get_field_by_name("repeated")?.as_message()?.get_field_by_name("items")?.as_message()?)
            }
            false => string(rules),
        }
    });
    let Some(rules) = rules else { return false };
    let is = |rule| rules.get_field_by_name(rule).is_some_and(|value| value.as_ref() == &Value::Bool(true));
    let pattern = rules.get_field_by_name("pattern");
    let pattern = pattern.as_ref().and_then(|pattern| pattern.as_str()).unwrap_or_default();
    is("uuid") || is("email") || is_ascii_pattern(pattern)
}

/// True: the pattern consists of characters and of character classes that list their characters.
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
fn c4_each_string_of_a_request_declares_whether_it_is_text() {
    let pool = pool();
    let strings = strings(&pool);
    assert!(strings.len() > 100, "{}", strings.len());
    for field in &strings {
        let (name, alphabet) = (field.full_name(), names_its_alphabet(&pool, field));
        match text(&pool, field) {
            0 => assert!(
                alphabet || UNCHANGED.contains(&field.name()),
                "{name}: add the option (frontdesk.text.v1.text), or a rule that names its alphabet: uuid, email, a pattern"
            ),
            _ => {
                assert!(!alphabet, "{name} has the option text and a rule that names its alphabet: remove one of them")
            }
        }
    }
    for name in UNCHANGED {
        assert!(strings.iter().any(|field| field.name() == *name), "no request has a field {name} any more");
    }
}

#[test]
fn c4_the_comment_of_each_text_says_how_it_is_normalised() {
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
fn a_pattern_names_its_alphabet_only_with_listed_characters() {
    for pattern in ["^[A-Za-z0-9._:-]{1,64}$", "^[0-9]{8}$", "^([0-9a-f]{8}(-[0-9a-f]{4}){3})?$", "^(de|en)$"] {
        assert!(is_ascii_pattern(pattern), "{pattern}");
    }
    for pattern in ["", "^[^\\x00-\\x1F]*$", "^https?://.+$", "^\\w+$", "[a-z]", "^ä$"] {
        assert!(!is_ascii_pattern(pattern), "{pattern}");
    }
}
