//! Rust sources as the rules look at them: without comments, and the paths that they use.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// The folder of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The services' names, which are also their folders.
pub const SERVICES: [&str; 4] = ["conversation", "assignment", "bot-session", "notification"];

/// A file and where it is, relative to the workspace.
pub struct Source {
    pub path: String,
    pub text: String,
}

/// Every file below `folder` (relative to the workspace) whose name ends like one of `endings`.
pub fn files(folder: &str, endings: &[&str]) -> Vec<Source> {
    let root = workspace();
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && name != "node_modules" {
                folders.push(path);
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                let text = std::fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                found.push(Source { path, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The sources below `folder`, without their unit tests.
pub fn product_sources(folder: &str) -> Vec<Source> {
    let mut sources = files(folder, &[".rs"]);
    sources.retain(|source| !source.path.ends_with("tests.rs") && !source.path.contains("/tests/"));
    for source in &mut sources {
        source.text = source.text.split("#[cfg(test)]").next().unwrap().to_owned();
    }
    sources
}

/// The text without comments; without `strings`, also without what is in quotes. Lines stay where they are.
pub fn code(text: &str, strings: bool) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let token = token(rest);
        let skipped = token.starts_with("//") || token.starts_with("/*") || (!strings && token.contains('"'));
        match skipped {
            true => code.extend(token.chars().filter(|character| *character == '\n')),
            false if token.len() > first.len_utf8() => code.push_str(token),
            false => code.push(first),
        }
        rest = &rest[token.len()..];
    }
    code
}

/// A comment, a string with its quotes, or one character.
fn token(rest: &str) -> &str {
    let up_to = |end: &str, from: usize| {
        let length = rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len());
        &rest[..length]
    };
    if rest.starts_with("//") {
        return rest.split_inclusive('\n').next().unwrap().trim_end_matches('\n');
    }
    if rest.starts_with("/*") {
        return up_to("*/", 2);
    }
    if rest.starts_with("'\"'") {
        return &rest[..3];
    }
    let raw = rest.strip_prefix('r').unwrap_or("");
    let hashes = raw.len() - raw.trim_start_matches('#').len();
    if raw[hashes..].starts_with('"') {
        return up_to(&format!("\"{}", "#".repeat(hashes)), hashes + 2);
    }
    if rest.starts_with('"') {
        let mut escaped = false;
        for (at, character) in rest.char_indices().skip(1) {
            match character {
                '"' if !escaped => return &rest[..=at],
                '\\' => escaped = !escaped,
                _ => escaped = false,
            }
        }
        return rest;
    }
    &rest[..rest.chars().next().map_or(0, char::len_utf8)]
}

/// The paths that a source uses: those of its `use` items one by one, and every path within its code.
pub fn paths(text: &str) -> BTreeSet<String> {
    let code = code(text, false);
    let mut paths = BTreeSet::new();
    let mut rest = code.as_str();
    while let Some(at) = rest.find("use ") {
        let begins = rest[..at].chars().next_back().is_none_or(|before| before.is_whitespace() || before == ')');
        rest = &rest[at + 4..];
        if begins && let Some((tree, _)) = rest.split_once(';') {
            let tree: String = tree.split_whitespace().collect();
            flatten("", &tree, &mut paths);
        }
    }
    let is_path = |character: char| character.is_alphanumeric() || character == '_' || character == ':';
    for path in code.split(|character: char| !is_path(character)).filter(|path| path.contains("::")) {
        paths.insert(path.trim_matches(':').to_owned());
    }
    paths
}

/// `a::{b, c::{d, e}}` as `a::b`, `a::c::d`, `a::c::e`.
fn flatten(prefix: &str, tree: &str, paths: &mut BTreeSet<String>) {
    let Some((head, group)) = tree.split_once('{') else {
        paths.insert(format!("{prefix}{tree}"));
        return;
    };
    let group = group.strip_suffix('}').unwrap_or(group);
    let (mut depth, mut from) = (0, 0);
    for (at, character) in group.char_indices().chain([(group.len(), ',')]) {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if at > from {
                    flatten(&format!("{prefix}{head}"), &group[from..at], paths);
                }
                from = at + 1;
            }
            _ => {}
        }
    }
}

#[test]
fn sources_are_read_without_comments_and_with_every_path_that_they_use() {
    let text =
        "// a::comment\nuse crate::{store, domain::{self, Entry}};\nfn f() { crate::grpc::x(\"b::text\") } /* c::d */";
    let expected = ["crate::domain::Entry", "crate::domain::self", "crate::grpc::x", "crate::store"];
    let found = paths(text);
    assert!(expected.iter().all(|path| found.contains(*path)), "{found:?}");
    assert!(!found.iter().any(|path| path.contains("comment") || path.contains("text") || path == "c::d"), "{found:?}");
    assert_eq!(code("a // \"b\nc \"//d\" r#\"\"e\"#", true), "a \nc \"//d\" r#\"\"e\"#");
}
