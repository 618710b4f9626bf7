//! The layer rules, proved from `cargo metadata` and the sources: arrows point frontdesk -> service -> lib, no service
//! depends on another, and nothing in lib knows a word of chat.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    process::Command,
};

use serde_json::Value;

const SERVICES: [&str; 4] =
    ["frontdesk-conversation", "frontdesk-assignment", "frontdesk-bot-session", "frontdesk-notification"];

/// Package name to its place and its dependencies within the workspace.
fn workspace() -> HashMap<String, (String, Vec<String>)> {
    let output = Command::new(env!("CARGO")).args(["metadata", "--format-version", "1", "--no-deps"]).output().unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let root = metadata["workspace_root"].as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap().iter().map(|package| {
        let manifest = package["manifest_path"].as_str().unwrap();
        let place =
            manifest.strip_prefix(&root).unwrap().trim_start_matches('/').trim_end_matches("/Cargo.toml").to_owned();
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        let ours = dependencies.filter(|dependency| dependency["path"].is_string());
        let names = ours.map(|dependency| dependency["name"].as_str().unwrap().to_owned()).collect();
        (package["name"].as_str().unwrap().to_owned(), (place, names))
    });
    packages.collect()
}

#[test]
fn arrows_point_from_the_binary_to_services_to_libraries() {
    let workspace = workspace();
    let is_lib = |name: &str| workspace[name].0.starts_with("services/lib/");
    for (name, (place, dependencies)) in &workspace {
        for dependency in dependencies {
            let allowed = match name.as_str() {
                "frontdesk" => dependency != "frontdesk-tests",
                "frontdesk-tests" | "frontdesk-bench" | "frontdesk-chaos" => true,
                "frontdesk-test-servers" => false,
                "frontdesk-proto" => false,
                service if SERVICES.contains(&service) => is_lib(dependency) || dependency == "frontdesk-proto",
                lib => is_lib(lib) && (is_lib(dependency) || dependency == "frontdesk-proto"),
            };
            assert!(allowed, "{name} ({place}) must not depend on {dependency}");
        }
    }
    assert_eq!(workspace.keys().filter(|name| SERVICES.contains(&name.as_str())).count(), 4);
}

#[test]
fn libraries_know_no_word_of_chat() {
    let lib = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/lib");
    let mut folders = vec![lib];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            files += 1;
            let source = std::fs::read_to_string(&path).unwrap();
            for part in ["conversation::v1", "assignment::v1", "botsession::v1", "notification::v1"] {
                assert!(
                    !source.contains(part),
                    "{} uses {part}: of the contract a library may use auth.v1 and the event envelope",
                    path.display()
                );
            }
            // Words of the domain in code; the names of permissions are the contract's, and tests may quote it.
            let code = source.split("#[cfg(test)]").next().unwrap();
            for line in code.lines().filter(|line| !line.trim_start().starts_with("//") && !line.contains('"')) {
                for word in ["Conversation", "Transcript", "Assignee", "Contact", "BotSession"] {
                    assert!(!line.contains(word), "{}: {line}", path.display());
                }
            }
        }
    }
    assert!(files > 20);
}

#[test]
fn the_tree_stays_lean_and_has_one_tls_provider() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--prefix", "none", "--format", "{p}"])
        .output()
        .unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    let versions = |name: &str| {
        let lines = tree.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(" v"));
        lines.map(|version| version.split_whitespace().next().unwrap()).collect::<HashSet<_>>().len()
    };
    for one in ["tonic", "prost", "rustls", "axum", "hyper", "h2", "opentelemetry", "sqlx", "tokio"] {
        assert_eq!(versions(one), 1, "{one} must be there in one version");
    }
    for none in ["ring", "openssl-sys", "native-tls"] {
        assert_eq!(versions(none), 0, "{none} came in: a second TLS provider panics at the first connection");
    }
}

#[test]
fn s2_what_a_caller_asks_is_read_and_written_behind_the_wall() {
    // Work of the suite's own among the commands, and the repeated reads of a watch that was let in.
    const OWN: [&str; 9] = [
        "bot-session/src/commands/end_session.rs",
        "bot-session/src/commands/start_session.rs",
        "bot-session/src/commands/take_turn.rs",
        "conversation/src/grpc/thread_service.rs",
        "conversation/src/grpc/visitor_service.rs",
        "notification/src/commands/attempt_delivery.rs",
        "notification/src/commands/compose_delivery.rs",
        "notification/src/commands/decide_transcript.rs",
        "notification/src/commands/settle_interrupted.rs",
    ];
    let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services");
    let mut unwalled = HashSet::new();
    for service in ["conversation", "assignment", "bot-session", "notification"] {
        for folder in ["commands", "queries", "grpc"] {
            for entry in std::fs::read_dir(services.join(service).join("src").join(folder)).unwrap() {
                let path = entry.unwrap().path();
                let source = std::fs::read_to_string(&path).unwrap();
                if source.contains("db.begin()") || source.contains("db.read()") {
                    unwalled.insert(path.strip_prefix(&services).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
    }
    assert_eq!(unwalled, OWN.into_iter().map(str::to_owned).collect());
}
