//! The habits of the contract (ADR 0021) that descriptors can show: who may call, codes with their reasons, retries, pages,
//! versions, and names that every language takes.

use std::collections::BTreeMap;

use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor,
    MethodDescriptor, Value,
};

/// Codes whose comment names a reason.
const CODES: &[&str] = &[
    "FAILED_PRECONDITION",
    "PERMISSION_DENIED",
    "ABORTED",
    "ALREADY_EXISTS",
    "OUT_OF_RANGE",
    "RESOURCE_EXHAUSTED",
    "UNAVAILABLE",
];

/// Reserved words of Python, Java, C++, C#, Go, TypeScript, Kotlin and Swift that a contract is likely to use as a name.
const RESERVED: &[&str] = &[
    "as",
    "assert",
    "async",
    "await",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "default",
    "defer",
    "delete",
    "do",
    "else",
    "enum",
    "event",
    "except",
    "export",
    "extends",
    "final",
    "finally",
    "for",
    "from",
    "func",
    "function",
    "global",
    "goto",
    "if",
    "implements",
    "import",
    "in",
    "interface",
    "internal",
    "is",
    "lambda",
    "let",
    "map",
    "namespace",
    "native",
    "new",
    "not",
    "object",
    "operator",
    "or",
    "package",
    "private",
    "protected",
    "public",
    "raise",
    "range",
    "return",
    "select",
    "static",
    "struct",
    "super",
    "switch",
    "this",
    "throw",
    "try",
    "type",
    "typeof",
    "union",
    "using",
    "var",
    "void",
    "volatile",
    "while",
    "with",
    "yield",
];

/// Fields that keep a reserved word as their name: CloudEvents names this attribute.
const RESERVED_KEPT: &[&str] = &["frontdesk.event.v1.Event.type"];

/// Resources that each account has once, and never creates.
const SINGLETONS: &[&str] = &["frontdesk.conversation.v1.Settings", "frontdesk.notification.v1.TranscriptTemplate"];

fn pool() -> DescriptorPool {
    DescriptorPool::decode(frontdesk_proto::DESCRIPTORS).unwrap()
}

fn files(pool: &DescriptorPool) -> Vec<FileDescriptor> {
    pool.files().filter(|file| file.package_name().starts_with("frontdesk.")).collect()
}

/// The methods of the published packages: not the internal ones, and not those for development.
fn published(pool: &DescriptorPool) -> Vec<MethodDescriptor> {
    methods(pool).into_iter().filter(|method| is_published(method.parent_service().package_name())).collect()
}

fn is_published(package: &str) -> bool {
    !package.contains(".internal.") && !package.starts_with("frontdesk.dev.")
}

fn methods(pool: &DescriptorPool) -> Vec<MethodDescriptor> {
    let services = pool.services().filter(|service| service.package_name().starts_with("frontdesk."));
    services.flat_map(|service| service.methods().collect::<Vec<_>>()).collect()
}

fn messages(pool: &DescriptorPool) -> Vec<MessageDescriptor> {
    pool.all_messages().filter(|message| message.package_name().starts_with("frontdesk.")).collect()
}

/// The comment before a declaration, on one line.
fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let info = file.file_descriptor_proto().source_code_info.clone().unwrap();
    let location = info.location.iter().find(|location| location.path == path).unwrap();
    location.leading_comments().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn method_comment(method: &MethodDescriptor) -> String {
    comment(&method.parent_file(), method.path())
}

fn field_comment(field: &FieldDescriptor) -> String {
    comment(&field.parent_message().parent_file(), field.path())
}

fn option(pool: &DescriptorPool, method: &MethodDescriptor) -> DynamicMessage {
    let access = pool.get_extension_by_name("frontdesk.auth.v1.access").unwrap();
    method.options().get_extension(&access).as_message().unwrap().clone()
}

/// The sentence about the callers, from the option `access`.
fn callers(pool: &DescriptorPool, method: &MethodDescriptor) -> String {
    let access = option(pool, method);
    let principals = access.get_field_by_name("principals").unwrap();
    let has = |number: i32| principals.as_list().unwrap().contains(&Value::EnumNumber(number));
    let permission = access.get_field_by_name("permission").unwrap().as_str().unwrap().to_owned();
    let team: Vec<_> = [(2, "agents"), (5, "administrators")].iter().filter(|(kind, _)| has(*kind)).collect();
    let mut team = team.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(" and ");
    if !permission.is_empty() {
        team = format!("{team} with `{permission}`");
    }
    let others = [(3, "bots"), (4, "services"), (6, "widgets")]
        .iter()
        .filter(|(kind, _)| has(*kind))
        .map(|(_, name)| name.to_string());
    let visitors = has(1).then(|| "visitors".to_owned());
    let kinds = visitors.into_iter().chain((!team.is_empty()).then_some(team)).chain(others);
    format!("Callers: {}.", kinds.collect::<Vec<_>>().join("; "))
}

/// The reasons of errors by package, with the code at the beginning of their comment.
fn reasons(pool: &DescriptorPool) -> BTreeMap<(String, String), String> {
    let enums = pool.all_enums().filter(|reasons| reasons.name() == "Reason");
    enums.flat_map(|reasons| values_with_code(&reasons)).collect()
}

fn values_with_code(reasons: &EnumDescriptor) -> Vec<((String, String), String)> {
    let values = reasons.values().filter(|value| value.number() > 0);
    let code = |comment: String| comment.split(':').next().unwrap_or_default().to_owned();
    values
        .map(|value| {
            let name = value.name().trim_start_matches("REASON_").to_owned();
            let code = code(comment(&reasons.parent_file(), value.path()));
            ((reasons.package_name().to_owned(), name), code)
        })
        .collect()
}

#[test]
fn s1_the_comment_of_each_method_says_who_may_call_it() {
    let pool = pool();
    for method in methods(&pool) {
        let (comment, callers) = (method_comment(&method), callers(&pool, &method));
        assert!(comment.contains(&callers), "{}: its comment must contain: {callers}", method.full_name());
    }
}

#[test]
fn i22_the_comment_of_each_method_names_its_codes_with_their_reasons() {
    let pool = pool();
    let reasons = reasons(&pool);
    for method in methods(&pool) {
        let (comment, name) = (method_comment(&method), method.full_name().to_owned());
        let package = method.parent_service().package_name().to_owned();
        // A service has one enum of reasons, also for its packages that are not stable.
        let stable = package.replace(".v1beta1", ".v1");
        let packages = [stable.as_str(), "frontdesk.error.v1", "frontdesk.conversation.v1"];
        for (position, code) in CODES.iter().flat_map(|code| comment.match_indices(code)) {
            let rest = &comment[position + code.len()..];
            if comment[..position].ends_with('_') {
                continue;
            }
            let named = rest.strip_prefix(" with ").unwrap_or_else(|| panic!("{name}: {code} names no reason"));
            // The reasons up to the next code, for example "With BOT_UNKNOWN: ... With CHANNEL_DELETED: ...".
            let end =
                CODES.iter().filter_map(|code| named.find(&format!(". {code} with"))).min().unwrap_or(named.len());
            let words = named[..end].split(|end: char| !(end.is_ascii_uppercase() || end == '_'));
            let named: Vec<_> = words.filter(|word| word.len() > 3 && word.contains('_')).collect();
            assert!(!named.is_empty(), "{name}: {code} names no reason");
            for reason in named {
                let known =
                    packages.iter().find_map(|package| reasons.get(&((*package).to_owned(), reason.to_owned())));
                assert_eq!(known.map(String::as_str), Some(code), "{name}: {reason} is no reason with the code {code}");
            }
        }
    }
}

#[test]
fn s2_the_comment_of_each_method_that_takes_an_id_says_what_an_unknown_one_is() {
    let pool = pool();
    for method in published(&pool).iter().filter(|method| !method.name().starts_with("Create")) {
        let takes_id =
            method.input().fields().any(|field| field.name().ends_with("_id") && is_required_uuid(&pool, &field));
        if takes_id {
            let comment = method_comment(method);
            let says = comment.contains("NOT_FOUND:") || comment.contains("is an empty list");
            assert!(says, "{}: say NOT_FOUND, or that it is an empty list", method.full_name());
        }
    }
}

fn is_required_uuid(pool: &DescriptorPool, field: &FieldDescriptor) -> bool {
    let rules = pool.get_extension_by_name("buf.validate.field").unwrap();
    let options = field.options();
    let rules = options.get_extension(&rules);
    let rules = rules.as_message().unwrap();
    let uuid =
        rules.get_field_by_name("string").and_then(|string| string.as_message()?.get_field_by_name("uuid")?.as_bool());
    uuid == Some(true) && rules.get_field_by_name("ignore").and_then(|ignore| ignore.as_enum_number()) == Some(0)
}

#[test]
fn c12_each_method_says_whether_it_may_be_repeated() {
    let pool = pool();
    for method in
        methods(&pool).iter().filter(|method| method.full_name() != "frontdesk.dev.v1.ClockService.AdvanceTime")
    {
        let level = method.method_descriptor_proto().options.as_ref().unwrap().idempotency_level();
        let reads = ["Get", "List", "Watch", "Subscribe", "Explain", "Preview", "Render", "Search", "Validate"];
        let reads = reads.iter().any(|verb| method.name().starts_with(verb));
        let expected = if reads { "NO_SIDE_EFFECTS" } else { "IDEMPOTENT" };
        assert_eq!(level.as_str_name(), expected, "{}", method.full_name());
    }
    for method in published(&pool) {
        let level = method.method_descriptor_proto().options.as_ref().unwrap().idempotency_level();
        let input = method.input();
        if level.as_str_name() == "IDEMPOTENT" && input.get_field_by_name("request_id").is_none() {
            let comment = method_comment(&method);
            let says = ["changes nothing", "A repeat of"].iter().any(|words| comment.contains(words));
            assert!(says, "{}: add a request_id, or say what a repeat does", method.full_name());
        }
    }
}

#[test]
fn c12_fields_of_one_name_have_one_comment() {
    let pool = pool();
    let mut comments: BTreeMap<&str, String> = BTreeMap::new();
    for field in messages(&pool)
        .iter()
        .filter(|message| message.name().ends_with("Request"))
        .flat_map(|message| message.fields())
    {
        for name in ["request_id", "page_token"] {
            if field.name() == name {
                let comment = field_comment(&field);
                let first = comments.entry(name).or_insert_with(|| comment.clone());
                assert!(comment.starts_with(first.as_str()), "{}: {comment}", field.full_name());
            }
        }
    }
}

#[test]
fn c9_each_list_comes_in_pages() {
    let pool = pool();
    let is_list = |name: &str| ["List", "Search"].iter().any(|verb| name.starts_with(verb));
    for method in published(&pool).iter().filter(|method| is_list(method.name())) {
        let (request, name) = (method.input(), method.full_name());
        let size = request.get_field_by_name("page_size").unwrap_or_else(|| panic!("{name} has no page_size"));
        let size = field_comment(&size);
        assert!(size.contains(" 0: ") && size.contains(" are reduced to "), "{name}: {size}");
        let by_token = request.get_field_by_name("page_token").is_some()
            && method.output().get_field_by_name("next_page_token").is_some();
        let by_number = request.fields().any(|field| field.name().starts_with("after_"))
            && method.output().get_field_by_name("has_more").is_some();
        assert!(by_token != by_number, "{name}: page_token and next_page_token, or after_… and has_more");
    }
}

#[test]
fn c10_each_watch_has_updates_that_are_caught_up_and_alive() {
    for method in published(&pool()).iter().filter(|method| method.is_server_streaming()) {
        let output = method.output();
        let update = output.oneofs().find(|oneof| oneof.name() == "update");
        let update = update.unwrap_or_else(|| panic!("{} has no oneof update", output.full_name()));
        let names: Vec<_> = update.fields().map(|field| field.name().to_owned()).collect();
        assert!(names.contains(&"caught_up".into()) && names.contains(&"heartbeat".into()), "{names:?}");
        let words = comment(&output.parent_file(), output.path());
        assert!(words.contains("Skip an update that you do not know"), "{}", output.full_name());
    }
}

#[test]
fn c12_each_editable_resource_has_its_version_and_its_times() {
    let pool = pool();
    let resources: Vec<_> = messages(&pool)
        .into_iter()
        .filter(|message| message.get_field_by_name("etag").is_some() && !message.name().ends_with("Request"))
        .collect();
    assert!(resources.len() >= 6);
    for resource in resources {
        let is_created = !SINGLETONS.contains(&resource.full_name());
        for field in ["version", "create_time", "update_time"] {
            let has = resource.get_field_by_name(field).is_some() || (field == "create_time" && !is_created);
            assert!(has, "{} has no {field}", resource.full_name());
        }
        if !is_created {
            continue;
        }
        // What can be created can be updated.
        let package = resource.package_name();
        let request = |verb: &str| pool.get_message_by_name(&format!("{package}.{verb}{}Request", resource.name()));
        let (create, update) = (request("Create").unwrap(), request("Update").unwrap());
        for field in create.fields() {
            let fixed = ["request_id", "agent_id", "conversation_id"].contains(&field.name())
                || create.full_name().ends_with(".CreateSenderRequest");
            let updates = update.get_field_by_name(field.name()).is_some();
            assert!(fixed || updates, "{} cannot be updated", field.full_name());
        }
    }
}

#[test]
fn names_and_types_suit_every_language() {
    let pool = pool();
    for message in messages(&pool) {
        for field in message.fields() {
            let name = field.full_name();
            let kept = RESERVED_KEPT.contains(&name);
            assert!(kept || !RESERVED.contains(&field.name()), "{name} is a reserved word");
            let wide =
                matches!(field.kind(), Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed64 | Kind::Sfixed64);
            assert!(!wide, "{name}: 64-bit numbers are strings in JSON and no numbers in JavaScript");
        }
    }
    for file in files(&pool) {
        let options = file.file_descriptor_proto().options.clone().unwrap_or_default();
        let (name, package) = (file.name(), file.package_name());
        let folder = name.rsplit_once('/').unwrap().0;
        let go = format!("{folder};{}", package.split('.').skip(1).collect::<String>());
        assert_eq!(options.go_package(), go, "{name}");
        assert_eq!((options.java_package(), options.java_multiple_files()), (package, true), "{name}");
    }
}

#[test]
fn comments_need_no_other_page() {
    for file in files(&pool()) {
        let info = file.file_descriptor_proto().source_code_info.clone().unwrap();
        for location in info.location {
            let comment = location.leading_comments();
            let mut words = comment.split_whitespace().peekable();
            while let Some(word) = words.next() {
                let next = words.peek().copied().unwrap_or_default();
                let is_name = next.starts_with(|first: char| first.is_ascii_uppercase())
                    && next[1..].starts_with(|second: char| second.is_ascii_digit());
                let refers = matches!(word.trim_start_matches('('), "rule" | "rules" | "row") && is_name;
                assert!(!refers, "{}: say the consequence instead of '{word} {next}'", file.name());
            }
        }
    }
}
