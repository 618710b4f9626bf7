//! Compiles the contract without an installed protoc: protox reads the protos, tonic and prost generate the Rust types,
//! protovalidate's generator the validation of the fields, [`normalize`] the normalisation of their texts, and
//! [`field_descriptions`] the descriptions of violated rules.
use std::{
    collections::BTreeSet,
    env,
    error::Error,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use heck::{ToSnakeCase, ToUpperCamelCase};
use protox::prost_reflect::{
    DescriptorPool, DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, OneofDescriptor,
};

#[path = "build/oneofs.rs"]
mod oneofs;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=frontdesk");
    println!("cargo:rerun-if-changed=third_party");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let files = protos(Path::new("frontdesk"))?;

    let mut compiler = protox::Compiler::new([".", "third_party"])?;
    compiler.include_imports(true).include_source_info(true).open_files(files)?;
    // The encoded form keeps the custom options (access, text, field rules) that the typed one drops.
    let descriptors = out.join("descriptors.binpb");
    let encoded = compiler.encode_file_descriptor_set();
    let pool = DescriptorPool::decode(encoded.as_slice())?;
    fs::write(out.join("normalize_impl.rs"), normalize(&pool)?)?;
    fs::write(out.join("field_description_impl.rs"), field_descriptions(&pool)?)?;
    fs::write(&descriptors, &encoded)?;

    let mut names = prost_build::Config::new();
    names.enable_type_names();
    tonic_prost_build::configure()
        .btree_map(".")
        .extern_path(".buf.validate", "::prost_protovalidate_types")
        .compile_fds_with_config(compiler.file_descriptor_set(), names)?;
    let without_oneofs = out.join("descriptors_without_oneof_rules.binpb");
    fs::write(&without_oneofs, oneofs::without_rules(&pool, &encoded)?)?;
    prost_protovalidate_build::Builder::new()
        .file_descriptor_set_path(&without_oneofs)?
        .fail_on_runtime_only(true)
        .compile()?;
    let validation = out.join("validate_impl.rs");
    let rules = pool.get_extension_by_name("buf.validate.field").ok_or("no option buf.validate.field")?;
    let checked = oneofs::add_checks(&fs::read_to_string(&validation)?, &request_messages(&pool), &rules)?;
    fs::write(&validation, checked)?;
    Ok(())
}

/// The protos in a folder and its subfolders, in the order of their paths.
fn protos(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(protos(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// All requests, and the messages of Frontdesk in them.
fn request_messages(pool: &DescriptorPool) -> Vec<MessageDescriptor> {
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let mut pending: Vec<MessageDescriptor> = methods.map(|method| method.input()).collect();
    let (mut seen, mut messages) = (BTreeSet::new(), Vec::new());
    while let Some(message) = pending.pop() {
        if seen.insert(message.full_name().to_owned()) {
            pending.extend(message.fields().filter_map(|field| inner_message(&field)));
            messages.push(message);
        }
    }
    messages
}

/// The type of a field's values. The values of a map count; its keys are identifiers.
fn value_kind(field: &FieldDescriptor) -> Kind {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => entry.map_entry_value_field().kind(),
        kind => kind,
    }
}

/// The message of Frontdesk that a field contains. None: it contains none.
fn inner_message(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    match value_kind(field) {
        Kind::Message(inner) if is_ours(&inner) => Some(inner),
        _ => None,
    }
}

fn is_ours(message: &MessageDescriptor) -> bool {
    message.full_name().starts_with("frontdesk.")
}

/// The type whose seconds and nanoseconds are brought into their ranges before the rules.
const DURATION: &str = "google.protobuf.Duration";

/// Generates `impl Normalize` for the messages of requests, by the option `text` of their fields.
fn normalize(pool: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    let option = pool.get_extension_by_name("frontdesk.text.v1.text").ok_or("no option frontdesk.text.v1.text")?;
    let mut code = String::new();
    for message in request_messages(pool) {
        writeln!(code, "impl Normalize for {} {{\nfn normalize(&mut self) {{", path(&message))?;
        for field in message.fields() {
            let call = match (value_kind(&field), rule(&field, &option)?) {
                (Kind::String, Some(rule)) => rule,
                (_, Some(_)) => {
                    return Err(format!("{} has the option text and is not a string", field.full_name()).into());
                }
                (Kind::Message(inner), None) if is_ours(&inner) || inner.full_name() == DURATION => {
                    "Normalize::normalize"
                }
                (_, None) => continue,
            };
            writeln!(code, "{}", statement(&message, &field, call))?;
        }
        writeln!(code, "}}\n}}")?;
    }
    Ok(code)
}

/// Generates `impl FieldDescription` for the messages of requests, by their required oneofs and by the patterns and minimums of their
/// fields.
fn field_descriptions(pool: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    let mut code = String::new();
    for message in request_messages(pool) {
        let mut arms = String::new();
        for oneof in message.oneofs() {
            if is_required(pool, &oneof)? {
                writeln!(arms, "({:?}, _) => Some({:?}),", oneof.name(), choices(&oneof))?;
            }
        }
        for field in message.fields() {
            if let Some(inner) = inner_message(&field) {
                let inner = path(&inner);
                writeln!(
                    arms,
                    "({:?}, rest) => <{inner} as FieldDescription>::field_description(rest),",
                    field.name()
                )?;
            } else if let Some(description) = field_description(pool, &field)? {
                writeln!(arms, "({:?}, _) => Some({description:?}),", field.name())?;
            }
        }
        let (argument, body) = match arms.is_empty() {
            true => ("_", "None".to_owned()),
            false => ("path", format!("match split_path(path) {{\n{arms}_ => None,\n}}")),
        };
        writeln!(code, "impl FieldDescription for {} {{", path(&message))?;
        writeln!(code, "fn field_description({argument}: &str) -> Option<&'static str> {{\n{body}\n}}\n}}")?;
    }
    Ok(code)
}

/// Whether one field of the oneof must be set.
fn is_required(pool: &DescriptorPool, oneof: &OneofDescriptor) -> Result<bool, Box<dyn Error>> {
    let rules = oneof.options().get_extension(&extension(pool, "buf.validate.oneof")?).into_owned();
    let required = rules.as_message().and_then(|rules| rules.get_field_by_name("required"));
    Ok(required.is_some_and(|required| required.as_bool() == Some(true)))
}

/// What to set of a required oneof.
fn choices(oneof: &OneofDescriptor) -> String {
    let names: Vec<String> = oneof.fields().map(|field| field.name().to_owned()).collect();
    match names.split_last() {
        Some((last, others)) if !others.is_empty() => format!("is required: set {} or {last}", others.join(", ")),
        _ => format!("is required: set {}", names.join(", ")),
    }
}

/// What a field with a pattern or with a minimum above 0 must be: by its option, or by its kind of text or its name. None: it has
/// neither.
fn field_description(pool: &DescriptorPool, field: &FieldDescriptor) -> Result<Option<String>, Box<dyn Error>> {
    let options = field.options();
    let rules = options.get_extension(&extension(pool, "buf.validate.field")?).into_owned();
    let rules = rules.as_message();
    let described = |name: &str, is_needed: bool| -> Result<Option<String>, Box<dyn Error>> {
        let description =
            options.get_extension(&extension(pool, &format!("frontdesk.validation.v1.{name}"))?).into_owned();
        let description = description.as_str().filter(|description| !description.is_empty()).map(str::to_owned);
        match (is_needed, &description) {
            (false, Some(_)) => Err(format!("{} has a {name} and no rule for it", field.full_name()).into()),
            _ => Ok(description),
        }
    };
    let (has_pattern, has_minimum) = (rules.is_some_and(has_pattern), rules.is_some_and(has_minimum));
    let text = rule(field, &extension(pool, "frontdesk.text.v1.text")?)?;
    let number = described("number_description", has_minimum)?;
    match (has_pattern, described("pattern_description", has_pattern)?, text, field.name()) {
        (false, ..) if has_minimum && number.is_none() => {
            Err(format!("{} has a minimum above 0 and no number_description", field.full_name()).into())
        }
        (false, ..) => Ok(number),
        (true, Some(description), ..) => Ok(Some(description)),
        (true, None, Some("line"), _) => Ok(Some("must be one line without control characters".to_owned())),
        (true, None, Some(_), _) => {
            Ok(Some("must not contain control characters other than tabs and line breaks".to_owned()))
        }
        (true, None, None, "request_id") => Ok(Some(REQUEST_ID.to_owned())),
        (true, None, None, _) => Err(format!("{} has a pattern and no pattern_description", field.full_name()).into()),
    }
}

fn extension(pool: &DescriptorPool, name: &str) -> Result<ExtensionDescriptor, String> {
    pool.get_extension_by_name(name).ok_or_else(|| format!("no option {name}"))
}

/// What a request id must be, in all methods that have one.
const REQUEST_ID: &str =
    "must be 1 to 64 of A-Z a-z 0-9 . _ : -, for example a UUID; keep it for every retry of this call";

/// Whether field rules have a pattern, for the field, for its items, or for the keys or values of a map.
fn has_pattern(rules: &DynamicMessage) -> bool {
    let set = |name: &str| rules.get_field_by_name(name).filter(|_| rules.has_field_by_name(name));
    let nested = |name: &str, inner: &dyn Fn(&DynamicMessage) -> bool| {
        set(name).is_some_and(|value| value.as_message().is_some_and(inner))
    };
    nested("string", &|string| string.has_field_by_name("pattern"))
        || nested("repeated", &|repeated| {
            repeated.get_field_by_name("items").is_some_and(|items| items.as_message().is_some_and(has_pattern))
        })
        || nested("map", &|map| {
            ["keys", "values"].iter().any(|part| {
                map.get_field_by_name(part).is_some_and(|rules| rules.as_message().is_some_and(has_pattern))
            })
        })
}

/// Whether field rules have a minimum above 0, so that a number that was left out violates them.
fn has_minimum(rules: &DynamicMessage) -> bool {
    let number = rules.get_field_by_name("int32");
    let minimum = number.as_ref().and_then(|rules| rules.as_message()?.get_field_by_name("gte"));
    minimum.and_then(|minimum| minimum.as_i32()).is_some_and(|minimum| minimum > 0)
}

/// Whether field rules are set.
fn has_rules(rules: &DynamicMessage) -> bool {
    rules.fields().next().is_some()
}

/// The normalising function of a field. None: the field does not have the option `text`.
fn rule(field: &FieldDescriptor, option: &ExtensionDescriptor) -> Result<Option<&'static str>, String> {
    match field.options().get_extension(option).as_enum_number() {
        None | Some(0) => Ok(None),
        Some(1) => Ok(Some("line")),
        Some(2) => Ok(Some("block")),
        Some(other) => Err(format!("{}: no function for the value {other} of the option text", field.full_name())),
    }
}

/// The statement that normalises one field.
fn statement(message: &MessageDescriptor, field: &FieldDescriptor, call: &str) -> String {
    match field.containing_oneof() {
        // `optional` is a synthetic oneof, which prost generates as an Option.
        Some(oneof) if !oneof.is_synthetic() => {
            let variants = format!("{}::{}", module(message), oneof.name().to_upper_camel_case());
            let variant = field.name().to_upper_camel_case();
            format!("if let Some({variants}::{variant}(field)) = &mut self.r#{} {{ {call}(field); }}", oneof.name())
        }
        _ => format!("{call}(&mut self.r#{});", field.name()),
    }
}

/// The Rust path that prost gives the message.
fn path(message: &MessageDescriptor) -> String {
    let name = message.name().to_upper_camel_case();
    match message.parent_message() {
        Some(parent) => format!("{}::{name}", module(&parent)),
        None => format!("crate::{}::{name}", message.package_name().replace('.', "::")),
    }
}

/// The Rust module that prost gives the declarations within the message.
fn module(message: &MessageDescriptor) -> String {
    let (parent, name) = match message.parent_message() {
        Some(parent) => (module(&parent), message.name()),
        None => (format!("crate::{}", message.package_name().replace('.', "::")), message.name()),
    };
    format!("{parent}::{}", name.to_snake_case())
}
