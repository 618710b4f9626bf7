//! docs/methods.md, the table of all methods, is generated from the descriptors.

use std::{env, fmt::Write, fs, path::Path};

use prost_reflect::{DescriptorPool, MethodDescriptor, prost_types::method_options::IdempotencyLevel};

const HEADER: &str = "\
# Methods

Generated from the contract: `UPDATE_DOCS=1 cargo test -p frontdesk-proto --test methods` writes it again. The comment of each method
in its `.proto` has its codes and reasons.

- **Callers.** Kinds of tokens that may call the method; the permission is one that the token of an agent or administrator must have.
- **Retry.** *read*: has no effect, repeat it freely. *request id*: a repeat with the same `request_id` gets the first result.
  *repeatable*: a repeat changes nothing more. *no*: a repeat takes effect again.
- **Audited.** Each call is recorded in the audit log before it takes effect.
";

/// How a program may retry the method.
fn retry(method: &MethodDescriptor) -> &'static str {
    let level = method.method_descriptor_proto().options.clone().unwrap_or_default().idempotency_level();
    match (level, method.input().get_field_by_name("request_id").is_some()) {
        (IdempotencyLevel::NoSideEffects, _) => "read",
        (IdempotencyLevel::Idempotent, true) => "request id",
        (IdempotencyLevel::Idempotent, false) => "repeatable",
        (IdempotencyLevel::IdempotencyUnknown, _) => "no",
    }
}

fn row(pool: &DescriptorPool, method: &MethodDescriptor) -> String {
    let access = pool.get_extension_by_name("frontdesk.auth.v1.access").unwrap();
    let access = method.options().get_extension(&access).as_message().unwrap().clone();
    let principal = pool.get_enum_by_name("frontdesk.auth.v1.Principal").unwrap();
    let callers = access.get_field_by_name("principals").unwrap();
    let name = |number| principal.get_value(number).unwrap().name().trim_start_matches("PRINCIPAL_").to_lowercase();
    let callers = callers.as_list().unwrap().iter().filter_map(|kind| kind.as_enum_number()).map(name);
    let permission = access.get_field_by_name("permission").unwrap().as_str().unwrap().to_owned();
    let permission = if permission.is_empty() { String::new() } else { format!("`{permission}`") };
    let audited = access.get_field_by_name("audited").unwrap().as_bool() == Some(true);
    let stream = if method.is_server_streaming() { " (stream)" } else { "" };
    format!(
        "| `{}`{stream} | {} | {permission} | {} | {} |\n",
        method.name(),
        callers.collect::<Vec<_>>().join(", "),
        retry(method),
        if audited { "yes" } else { "" },
    )
}

#[test]
fn s1_the_table_of_methods_is_that_of_the_contract() {
    let pool = DescriptorPool::decode(frontdesk_proto::DESCRIPTORS).unwrap();
    let mut services: Vec<_> =
        pool.services().filter(|service| service.full_name().starts_with("frontdesk.")).collect();
    services.sort_by_key(|service| (service.full_name().contains(".internal."), service.full_name().to_owned()));
    let mut page = HEADER.to_owned();
    for service in services {
        let note =
            if service.full_name().contains(".internal.") { "\nOnly for Frontdesk's own services.\n" } else { "" };
        write!(
            page,
            "\n## {}\n{note}\n| method | callers | permission | retry | audited |\n|---|---|---|---|---|\n",
            service.full_name()
        )
        .unwrap();
        for method in service.methods() {
            page.push_str(&row(&pool, &method));
        }
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/methods.md");
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, &page).unwrap();
    }
    assert!(
        fs::read_to_string(file).unwrap_or_default() == page,
        "docs/methods.md is outdated; its first lines say how to write it again"
    );
}
