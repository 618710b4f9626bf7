//! Inside a service: every service has the same folders, and dependencies between them point one way.

use std::collections::BTreeSet;

use crate::sources::{SERVICES, Source, code, paths, product_sources, workspace};

/// Folders that every service has.
const FOLDERS: [&str; 7] = ["commands", "consumers", "domain", "grpc", "migration", "queries", "store"];
/// Files and folders that a service may have besides; and the clients of other services, `conversation.rs` for example.
const OPTIONAL: [&str; 4] = ["error.rs", "lib.rs", "settings.rs", "workers"];

/// Folders of one service alone: service and folder.
const OWN_FOLDERS: [(&str, &str); 5] = [
    // Plain HTTP on the listener for browsers: the bytes of attachments.
    ("conversation", "web"),
    // Rendering and MIME, without I/O.
    ("notification", "mail"),
    // Ways to send a mail: SMTP, and files for development.
    ("notification", "transport"),
    // Plain HTTP on the listener for browsers: whole transcripts and parts of previews.
    ("notification", "web"),
    // Webhooks on the wire: signatures, the addresses that receivers may have, the HTTP client.
    ("notification", "webhook"),
];

fn sources(service: &str, folder: &str) -> Vec<Source> {
    product_sources(&format!("services/{service}/src/{folder}"))
}

/// Modules that hold the clients of other services.
fn client_modules() -> Vec<String> {
    SERVICES.iter().map(|service| service.replace('-', "_")).collect()
}

/// Fails with every path below `folder` of a service that `forbidden` gives a reason against.
fn require(folder: &str, forbidden: impl Fn(&Source, &str) -> Option<&'static str>) {
    let mut wrong = Vec::new();
    for service in SERVICES {
        for source in sources(service, folder) {
            for path in paths(&source.text) {
                if let Some(reason) = forbidden(&source, &path) {
                    wrong.push(format!("{} uses {path}: {reason}", source.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// The module of the service that the path leads to: `store` of `crate::store::deliveries`.
fn module(path: &str) -> Option<&str> {
    path.strip_prefix("crate::")?.split("::").next()
}

/// Also as it is exported at the root of the service.
fn is_error_of_the_service(path: &str) -> bool {
    module(path).is_some_and(|module| module == "error" || module.ends_with("Error"))
}

#[test]
fn every_service_has_the_same_folders() {
    let mut wrong = Vec::new();
    // A client may have its unit tests in a file beside it.
    let clients: Vec<String> = client_modules()
        .into_iter()
        .flat_map(|module| [format!("{module}.rs"), format!("{module}_tests.rs")])
        .collect();
    for service in SERVICES {
        let folder = workspace().join("services").join(service);
        let entries = std::fs::read_dir(folder.join("src")).unwrap();
        let names: BTreeSet<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        for name in names {
            let known =
                FOLDERS.contains(&name.as_str()) || OPTIONAL.contains(&name.as_str()) || clients.contains(&name);
            if !known && !OWN_FOLDERS.contains(&(service, name.as_str())) {
                wrong.push(format!("services/{service}/src/{name} is in none of the folders that a service has"));
            }
        }
        let files = ["src/lib.rs", "src/error.rs", "src/store/entity", "tests/it/main.rs", "README.md"];
        for required in FOLDERS.map(|folder| format!("src/{folder}")).into_iter().chain(files.map(str::to_owned)) {
            if !folder.join(&required).exists() {
                wrong.push(format!("services/{service} lacks {required}, which every service has"));
            }
        }
    }
    assert!(wrong.is_empty(), "services/README.md says what each folder holds:\n{}", wrong.join("\n"));
}

#[test]
fn the_domain_knows_neither_storage_nor_transport() {
    const REASON: &str = "the domain holds rules over types of its own; convert at its border";
    require("domain", |_, path| {
        let crates = ["frontdesk_proto", "sea_orm", "sqlx", "tonic", "tokio", "frontdesk_db", "frontdesk_api"];
        let modules =
            ["store", "grpc", "entity", "commands", "queries", "consumers", "workers", "migration", "settings"];
        let first = path.split("::").next().unwrap_or_default();
        // The id of the account is a plain value that every row has.
        let forbidden = (crates.contains(&first) && path != "frontdesk_db" && path != "frontdesk_db::AccountId")
            || path.contains("entity::")
            || path.starts_with("super::super::")
            || is_error_of_the_service(path)
            || module(path).is_some_and(|module| modules.contains(&module));
        forbidden.then_some(REASON)
    });
}

#[test]
fn the_domain_reads_no_clock() {
    require("domain", |_, path| {
        let reads = path.starts_with("frontdesk_clock::Clock") || path.ends_with("Utc::now");
        reads.then_some("the caller passes the time, which it reads after the lock")
    });
}

#[test]
fn the_store_knows_no_transport_and_no_error_of_the_service() {
    require("store", |source, path| {
        let modules = ["grpc", "commands", "queries", "consumers", "workers", "settings"];
        let first = path.split("::").next().unwrap_or_default();
        if module(path).is_some_and(|module| modules.contains(&module)) || is_error_of_the_service(path) {
            return Some("the store holds statements; it is called, and returns DbErr or what it found");
        }
        if ["tonic", "frontdesk_api", "frontdesk_client"].contains(&first) {
            return Some("the store knows no transport");
        }
        let events = source.path.ends_with("store/events.rs") || source.path.contains("store/events/");
        (first == "frontdesk_proto" && !events)
            .then_some("messages of events are built in store/events.rs, and no others")
    });
}

#[test]
fn handlers_open_no_transaction_and_call_no_other_service() {
    let clients = client_modules();
    require("grpc", |_, path| {
        if module(path).is_some_and(|module| clients.iter().any(|client| client == module)) {
            return Some(
                "a handler validates, calls one command or query, and converts; the command calls other services",
            );
        }
        let is_client =
            path.starts_with("frontdesk_client::") || path.contains("_client::") || path.ends_with("Client");
        is_client.then_some("a handler calls no other service; the command does")
    });
    let mut wrong = Vec::new();
    for source in SERVICES.into_iter().flat_map(|service| sources(service, "grpc")) {
        for (number, line) in code(&source.text, false).lines().enumerate() {
            let opens = [".begin(", ".begin_for(", ".begin_batch(", ".read_for(", ".read_planned_for(", "db.read("];
            if opens.iter().any(|call| line.contains(call)) {
                wrong.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "a handler opens no transaction: move the read into a query, the write into a command\n{}",
        wrong.join("\n")
    );
}

#[test]
fn nothing_but_the_root_uses_the_handlers() {
    for folder in FOLDERS.into_iter().chain(["workers"]).filter(|folder| *folder != "grpc") {
        require(folder, |_, path| (module(path) == Some("grpc")).then_some("handlers call, and are not called"));
    }
}

#[test]
fn a_command_calls_no_command() {
    let mut wrong = Vec::new();
    for service in SERVICES {
        let commands: Vec<Source> =
            sources(service, "commands").into_iter().filter(|source| !source.path.ends_with("mod.rs")).collect();
        let name = |source: &Source| source.path.rsplit('/').next().unwrap().trim_end_matches(".rs").to_owned();
        let is_step = |source: &Source| source.path.contains("/commands/steps/");
        let names: BTreeSet<String> = commands.iter().filter(|source| !is_step(source)).map(name).collect();
        for source in &commands {
            let own = name(source);
            for path in paths(&source.text) {
                let called = path.strip_prefix("crate::commands::").or_else(|| path.strip_prefix("super::"));
                let called = called.and_then(|rest| rest.split("::").next()).unwrap_or_default();
                if called != own && names.contains(called) {
                    wrong.push(format!("{} uses {path}", source.path));
                }
            }
        }
    }
    let remedy = "what two commands share is a step in commands/steps, or a method of the domain";
    assert!(wrong.is_empty(), "{remedy}:\n{}", wrong.join("\n"));
}

/// Transactions over all accounts among commands, queries and handlers: work of the service itself, on events, timers
/// and deliveries, which span accounts.
const ACROSS_ACCOUNTS: [&str; 21] = [
    "assignment/src/commands/give_back_conversations.rs",
    "assignment/src/commands/record_closes.rs",
    "assignment/src/commands/route_account.rs",
    "bot-session/src/commands/end_session.rs",
    "bot-session/src/commands/settle_timeouts.rs",
    "bot-session/src/commands/start_session.rs",
    "bot-session/src/commands/take_turns.rs",
    // Repeated reads of a watch that was admitted, and the check of a key before the caller is known.
    "conversation/src/queries/is_visitor_key_active.rs",
    "conversation/src/queries/list_entries.rs",
    "conversation/src/queries/watch_chat_entries.rs",
    "notification/src/commands/attempt_delivery.rs",
    "notification/src/commands/claim_deliveries.rs",
    "notification/src/commands/claim_webhooks.rs",
    "notification/src/commands/compose_delivery.rs",
    "notification/src/commands/decide_transcript.rs",
    "notification/src/commands/forget_mails.rs",
    "notification/src/commands/forget_webhook_endpoints.rs",
    "notification/src/commands/queue_webhooks.rs",
    "notification/src/commands/record_webhook.rs",
    "notification/src/commands/renew_claim.rs",
    "notification/src/commands/settle_interrupted.rs",
];

#[test]
fn s2_a_call_reads_and_writes_in_a_transaction_for_its_account() {
    let mut across = BTreeSet::new();
    for service in SERVICES {
        for folder in ["commands", "queries", "grpc"] {
            for source in sources(service, folder) {
                let code = code(&source.text, false);
                let code: String = code.split_whitespace().collect();
                if code.contains("db.begin()") || code.contains("db.read()") {
                    across.insert(source.path.trim_start_matches("services/").to_owned());
                }
            }
        }
    }
    let allowed: BTreeSet<String> = ACROSS_ACCOUNTS.iter().map(|path| (*path).to_owned()).collect();
    let new: Vec<&String> = across.difference(&allowed).collect();
    assert!(
        new.is_empty(),
        "use begin_for or read_for with the caller's account, so that row-level security stands behind the query, or add the \
         file to ACROSS_ACCOUNTS when it works on rows of many accounts: {new:?}"
    );
    let gone: Vec<&String> = allowed.difference(&across).collect();
    assert!(
        gone.is_empty(),
        "these use no transaction over all accounts any more; remove them from ACROSS_ACCOUNTS: {gone:?}"
    );
}
