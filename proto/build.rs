//! Compiles the contract without an installed protoc: protox reads the protos, tonic and prost generate the Rust types,
//! protovalidate's generator the validation of the fields, and [`normalize`] the normalisation of their texts.
use std::{collections::BTreeSet, env, error::Error, fmt::Write, fs, path::PathBuf};

use heck::{ToSnakeCase, ToUpperCamelCase};
use protox::prost_reflect::{DescriptorPool, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=frontdesk");
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let mut files = Vec::new();
    for package in fs::read_dir("frontdesk")? {
        for file in fs::read_dir(package?.path().join("v1"))? {
            files.push(file?.path());
        }
    }
    files.sort();

    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_imports(true).include_source_info(true).open_files(files)?;
    // The encoded form keeps the custom options (access, text, field rules) that the typed one drops.
    let descriptors = out.join("descriptors.binpb");
    let encoded = compiler.encode_file_descriptor_set();
    fs::write(out.join("normalize_impl.rs"), normalize(&DescriptorPool::decode(encoded.as_slice())?)?)?;
    fs::write(&descriptors, encoded)?;

    let mut names = prost_build::Config::new();
    names.enable_type_names();
    tonic_prost_build::configure()
        .btree_map(".")
        .extern_path(".buf.validate", "::prost_protovalidate_types")
        .compile_fds_with_config(compiler.file_descriptor_set(), names)?;
    prost_protovalidate_build::Builder::new()
        .file_descriptor_set_path(&descriptors)?
        .fail_on_runtime_only(true)
        .compile()?;
    Ok(())
}

/// Generates `impl Normalize` for all requests and the messages of Frontdesk in them, by the option `text` of their fields.
fn normalize(pool: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    let option = pool.get_extension_by_name("frontdesk.text.v1.text").ok_or("no option frontdesk.text.v1.text")?;
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let mut pending: Vec<MessageDescriptor> = methods.map(|method| method.input()).collect();
    let mut done = BTreeSet::new();
    let mut code = String::new();
    while let Some(message) = pending.pop() {
        if !done.insert(message.full_name().to_owned()) {
            continue;
        }
        writeln!(code, "impl Normalize for {} {{\nfn normalize(&mut self) {{", path(&message))?;
        for field in message.fields() {
            // The values of a map are texts; its keys are identifiers.
            let inner = match field.kind() {
                Kind::Message(entry) if field.is_map() => entry.map_entry_value_field().kind(),
                kind => kind,
            };
            let call = match (inner, rule(&field, &option)?) {
                (Kind::String, Some(rule)) => rule,
                (Kind::Message(nested), None) if nested.full_name().starts_with("frontdesk.") => {
                    pending.push(nested);
                    "Normalize::normalize"
                }
                (_, None) => continue,
                (_, Some(_)) => {
                    return Err(format!("{} has the option text and is not a string", field.full_name()).into());
                }
            };
            writeln!(code, "{}", statement(&message, &field, call))?;
        }
        writeln!(code, "}}\n}}")?;
    }
    Ok(code)
}

/// The normalising function of a field. None: the field does not have the option.
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
