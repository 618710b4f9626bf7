//! Dependencies between crates, from `cargo metadata` and `cargo tree`.

use std::{
    collections::{BTreeMap, HashSet},
    process::Command,
};

use serde_json::Value;

use crate::sources::SERVICES;

/// A package of the workspace.
struct Package {
    /// Its folder, relative to the workspace.
    folder: String,
    /// Packages of the workspace that it depends on.
    dependencies: Vec<String>,
    /// Packages of the workspace that its tests depend on besides.
    dev_dependencies: Vec<String>,
}

impl Package {
    fn is_lib(&self) -> bool {
        self.folder.starts_with("services/lib/")
    }
}

fn packages() -> BTreeMap<String, Package> {
    let output = Command::new(env!("CARGO")).args(["metadata", "--format-version", "1", "--no-deps"]).output().unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let root = metadata["workspace_root"].as_str().unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter().map(|package| {
        let manifest = package["manifest_path"].as_str().unwrap().strip_prefix(root).unwrap();
        let folder = manifest.trim_start_matches('/').trim_end_matches("/Cargo.toml").to_owned();
        let all = package["dependencies"].as_array().unwrap().iter();
        let (dev, normal): (Vec<&Value>, Vec<&Value>) =
            all.filter(|dependency| dependency["path"].is_string()).partition(|dependency| dependency["kind"] == "dev");
        let names = |list: Vec<&Value>| list.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect();
        let package_name = package["name"].as_str().unwrap().to_owned();
        (package_name, Package { folder, dependencies: names(normal), dev_dependencies: names(dev) })
    });
    packages.collect()
}

fn is_service(name: &str) -> bool {
    name.strip_prefix("frontdesk-").is_some_and(|name| SERVICES.contains(&name))
}

#[test]
fn dependencies_point_from_the_binary_to_services_to_libraries() {
    let packages = packages();
    let is_lib_or_proto = |name: &str| name == "frontdesk-proto" || packages[name].is_lib();
    for (name, package) in &packages {
        for dependency in &package.dependencies {
            let allowed = match name.as_str() {
                "frontdesk" => is_service(dependency) || is_lib_or_proto(dependency),
                "frontdesk-tests" | "frontdesk-bench" | "frontdesk-chaos" | "frontdesk-simulation" => true,
                "frontdesk-testkit" => is_lib_or_proto(dependency) || dependency == "frontdesk-test-servers",
                "frontdesk-test-servers" | "frontdesk-proto" => false,
                name if is_service(name) || packages[name].is_lib() => is_lib_or_proto(dependency),
                _ => panic!("{name} ({}) is new: say in tests/layers/arrows.rs what it may depend on", package.folder),
            };
            assert!(
                allowed,
                "{name} ({}) must not depend on {dependency}: dependencies point frontdesk -> service -> lib -> proto",
                package.folder
            );
        }
    }
    assert_eq!(packages.keys().filter(|name| is_service(name)).count(), SERVICES.len());
}

#[test]
fn tests_of_services_use_the_kit_and_no_other_service() {
    for (name, package) in packages() {
        for dependency in package.dev_dependencies.iter().filter(|_| is_service(&name) || package.is_lib()) {
            let allowed = match dependency.as_str() {
                "frontdesk-testkit" | "frontdesk-test-servers" => true,
                other => !is_service(other) && !["frontdesk", "frontdesk-tests"].contains(&other),
            };
            assert!(allowed, "the tests of {name} must not depend on {dependency}: a fake of the kit stands for it");
        }
    }
}

/// The crates that every service is built from are below the one that runs services.
#[test]
fn libraries_form_layers_of_their_own() {
    let packages = packages();
    let forbidden = [
        ("frontdesk-service", packages.keys().filter(|name| packages[*name].is_lib()).cloned().collect::<Vec<_>>()),
        ("frontdesk-server", vec!["frontdesk-api".to_owned(), "frontdesk-client".to_owned()]),
    ];
    for (library, dependents) in forbidden {
        for dependent in dependents {
            let Some(package) = packages.get(&dependent) else { continue };
            assert!(
                !package.dependencies.iter().any(|dependency| dependency == library),
                "{dependent} must not depend on {library}, which is above it"
            );
        }
    }
}

#[test]
fn crates_are_named_by_what_they_do() {
    const DRAWERS: [&str; 9] = ["common", "utils", "util", "helpers", "types", "shared", "core", "base", "misc"];
    for (name, package) in packages() {
        let last = name.rsplit('-').next().unwrap();
        assert!(
            !DRAWERS.contains(&last),
            "{name} ({}): a crate called {last} collects everything; name the one mechanism that it holds",
            package.folder
        );
    }
}

#[test]
fn the_dependency_tree_has_one_version_of_each_framework_and_one_tls_provider() {
    let arguments = ["tree", "--workspace", "--prefix", "none", "--format", "{p}"];
    let tree = Command::new(env!("CARGO")).args(arguments).output().unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    let versions = |name: &str| {
        let lines = tree.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(" v"));
        lines.map(|version| version.split_whitespace().next().unwrap()).collect::<HashSet<_>>().len()
    };
    for name in ["tonic", "prost", "rustls", "axum", "hyper", "h2", "opentelemetry", "sqlx", "tokio"] {
        assert_eq!(versions(name), 1, "the tree must have one version of {name}: see `cargo tree --invert {name}`");
    }
    for name in ["ring", "openssl-sys", "native-tls"] {
        assert_eq!(
            versions(name),
            0,
            "{name} is in the tree: with a second TLS provider the first connection panics; see `cargo tree --invert {name}`"
        );
    }
}
