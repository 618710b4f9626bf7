//! Validation of the fields of oneofs, which protovalidate's generator does not support: it gets descriptors without these
//! fields' rules, and the missing checks are added to what it generated.
use std::{error::Error, fmt::Write};

use protox::prost_reflect::{
    DescriptorPool, DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, OneofDescriptor,
    Value, prost::Message as _,
};

use super::{has_rules, module, path};

/// Types of fields, as `google.protobuf.FieldDescriptorProto.Type` numbers them.
const TYPE_STRING: i32 = 9;

/// The descriptors with each field of a oneof of Frontdesk as a string without rules.
pub fn without_rules(pool: &DescriptorPool, encoded: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let set = pool.get_message_by_name("google.protobuf.FileDescriptorSet").ok_or("no FileDescriptorSet")?;
    let mut set = DynamicMessage::decode(set, encoded)?;
    for_each(&mut set, "file", &mut |file| {
        let package = file.get_field_by_name("package").and_then(|name| name.as_str().map(str::to_owned));
        if package.is_some_and(|package| package.starts_with("frontdesk.")) {
            for_each(file, "message_type", &mut strip);
        }
    });
    Ok(set.encode_to_vec())
}

fn strip(message: &mut DynamicMessage) {
    for_each(message, "field", &mut |field| {
        let optional = field.get_field_by_name("proto3_optional").and_then(|set| set.as_bool()).unwrap_or(false);
        if field.has_field_by_name("oneof_index") && !optional {
            field.set_field_by_name("type", Value::EnumNumber(TYPE_STRING));
            field.clear_field_by_name("type_name");
            field.clear_field_by_name("options");
        }
    });
    for_each(message, "nested_type", &mut strip);
}

fn for_each(message: &mut DynamicMessage, field: &str, change: &mut dyn FnMut(&mut DynamicMessage)) {
    let Some(Value::List(items)) = message.get_field_by_name_mut(field) else { return };
    for item in items {
        if let Value::Message(item) = item {
            change(item);
        }
    }
}

/// Adds the checks of the messages' oneofs to the generated code.
pub fn add_checks(
    code: &str,
    messages: &[MessageDescriptor],
    rules: &ExtensionDescriptor,
) -> Result<String, Box<dyn Error>> {
    let mut code = code.to_owned();
    for message in messages {
        let mut checks = String::new();
        for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            for field in oneof.fields() {
                if let Some(check) = check(&field, rules, &code)? {
                    write!(checks, "{}", on_variant(message, &oneof, &field, &check))?;
                }
            }
        }
        if checks.is_empty() {
            continue;
        }
        let missing = || format!("no generated validation of {} to add its oneofs to", message.full_name());
        let start = code.find(&header(message)).ok_or_else(missing)?;
        let end = code[start..].find("if violations.is_empty()").ok_or_else(missing)?;
        code.insert_str(start + end, &checks);
    }
    Ok(code)
}

/// How the generated validation of a message begins.
fn header(message: &MessageDescriptor) -> String {
    format!("for {} {{", path(message).trim_start_matches("crate::"))
}

fn on_variant(message: &MessageDescriptor, oneof: &OneofDescriptor, field: &FieldDescriptor, check: &str) -> String {
    let name = |name: &str| heck::ToUpperCamelCase::to_upper_camel_case(name);
    let variant = format!("{}::{}::{}", module(message), name(oneof.name()), name(field.name()));
    format!("if let Some({variant}(value)) = &self.{} {{ {check} }}\n", oneof.name())
}

/// The statement that checks the `value` of a field. None: it has no rules. `code` has the validation of all messages with
/// rules.
fn check(field: &FieldDescriptor, rules: &ExtensionDescriptor, code: &str) -> Result<Option<String>, Box<dyn Error>> {
    let name = field.name();
    let options = field.options();
    let rules = options.get_extension(rules);
    let rules = rules.as_message().filter(|rules| has_rules(rules));
    match (field.kind(), rules) {
        (Kind::Message(inner), None) if code.contains(&header(&inner)) => Ok(Some(format!(
            "if let Err(error) = ::prost_protovalidate::Validate::validate(value) {{
                for mut violation in error.into_violations() {{
                    violation.prepend_field_path({name:?});
                    violations.push(violation);
                }}
            }}"
        ))),
        (_, None) => Ok(None),
        (Kind::String, Some(rules)) if only(rules, "string", &["uuid"])? => Ok(Some(format!(
            "if !::prost_protovalidate::validators::is_uuid(value) {{
                violations.push(::prost_protovalidate::Violation::new({name:?}, \"string.uuid\", \"value must be a valid UUID\"));
            }}"
        ))),
        (Kind::String, Some(rules)) if only(rules, "string", &["min_len", "max_len"])? => {
            let (least, most) = (number(rules, "string", "min_len")?, number(rules, "string", "max_len")?);
            Ok(Some(format!(
                "if !({least}..={most}).contains(&value.chars().count()) || value.chars().any(char::is_control) {{
                    violations.push(::prost_protovalidate::Violation::new({name:?}, \"string.line\",
                        \"must be one line of {least} to {most} characters\"));
                }}"
            )))
        }
        (Kind::Message(inner), Some(rules))
            if inner.full_name() == "google.protobuf.Duration" && only(rules, "duration", &["gte", "lte"])? =>
        {
            let (least, most) = (seconds(rules, "gte")?, seconds(rules, "lte")?);
            Ok(Some(format!(
                "if (value.seconds, value.nanos) < ({least}i64, 0i32) || (value.seconds, value.nanos) > ({most}i64, 0i32) {{
                    violations.push(::prost_protovalidate::Violation::new({name:?}, \"duration.gte_lte\",
                        \"value must be greater than or equal to {least}s and less than or equal to {most}s\"));
                }}"
            )))
        }
        (Kind::Int32, Some(rules)) if only(rules, "int32", &["gte", "lte"])? => {
            let (least, most) = (number(rules, "int32", "gte")?, number(rules, "int32", "lte")?);
            Ok(Some(format!(
                "if *value < {least}i32 || *value > {most}i32 {{
                    violations.push(::prost_protovalidate::Violation::new({name:?}, \"int32.gte_lte\",
                        \"value must be greater than or equal to {least} and less than or equal to {most}\"));
                }}"
            )))
        }
        (_, Some(_)) => Err(format!("{}: no check for its rules within a oneof", field.full_name()).into()),
    }
}

/// Whether the only rules are these of one kind.
fn only(rules: &DynamicMessage, kind: &str, names: &[&str]) -> Result<bool, Box<dyn Error>> {
    let set: Vec<_> = rules.fields().map(|(field, _)| field.name().to_owned()).collect();
    if set != [kind] {
        return Ok(false);
    }
    let rules = rules.get_field_by_name(kind).ok_or("no such kind of rules")?;
    let rules = rules.as_message().ok_or("rules are no message")?;
    Ok(rules.fields().all(|(field, _)| names.contains(&field.name())))
}

fn seconds(rules: &DynamicMessage, limit: &str) -> Result<i64, Box<dyn Error>> {
    let duration = rules.get_field_by_name("duration").ok_or("no rules of a duration")?;
    let limit = duration.as_message().and_then(|rules| rules.get_field_by_name(limit)).ok_or("no such limit")?;
    let seconds = limit.as_message().and_then(|limit| limit.get_field_by_name("seconds")).ok_or("no seconds")?;
    seconds.as_i64().ok_or_else(|| "seconds are no number".into())
}

fn number(rules: &DynamicMessage, kind: &str, limit: &str) -> Result<i64, Box<dyn Error>> {
    let numbers = rules.get_field_by_name(kind).ok_or("no rules of this kind")?;
    let limit = numbers.as_message().and_then(|rules| rules.get_field_by_name(limit)).ok_or("no such limit")?;
    let number = limit.as_i32().map(i64::from).or_else(|| limit.as_u64().and_then(|limit| i64::try_from(limit).ok()));
    number.ok_or_else(|| "a limit is no number".into())
}
