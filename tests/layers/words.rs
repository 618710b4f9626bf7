//! Plain words: phrases of the project's first drafts that a reader has to translate are found, and what to write
//! instead is said.

use crate::sources::{Source, files, workspace};

/// Quoted words of users, which stay as they are: file, and a part of the line.
const QUOTED: &[(&str, &str)] = &[];

/// The phrases, in two parts so that this file does not contain them, and what to write instead.
const PHRASES: [([&str; 2], &str); 9] = [
    (["so", " many"], "name the quantity: \"Maximum number of ...\""),
    (["so", " long"], "name the duration and its unit: \"How long ... before ...\", \"Interval between ...\""),
    (["so", " often"], "name the number of times or the interval"),
    (["so", " much"], "name the quantity and its unit"),
    (["who", "ever"], "name the caller: \"callers that ...\", \"a client that ...\""),
    (["whatever", " waits"], "name what waits: \"queued requests\", \"pending events\""),
    (["of", " nobody"], "write \"unassigned\", or name the owner that is missing"),
    (["is", " told"], "write what is returned, logged or sent, and to which caller"),
    (["no", " good"], "name the reason: \"invalid\", \"expired\", \"unknown\""),
];

#[test]
fn comments_and_docs_are_in_plain_words() {
    let folders = ["services", "tests", "proto", "docs", "deploy"];
    let endings = [".rs", ".md", ".proto", ".sql", ".toml", ".py", ".yaml", ".yml", ".in", ".conf", ".html", ".txt"];
    let mut sources: Vec<Source> = folders.iter().flat_map(|folder| files(folder, &endings)).collect();
    assert!(sources.len() > 300, "{} files", sources.len());
    for entry in std::fs::read_dir(workspace()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name == "Makefile" || name.ends_with(".md") {
            sources.push(Source { text: std::fs::read_to_string(&path).unwrap(), path: name });
        }
    }
    let mut wrong = Vec::new();
    for source in &sources {
        for (number, line) in source.text.lines().enumerate() {
            let quoted = QUOTED.iter().any(|(path, part)| source.path == *path && line.contains(part));
            for (phrase, instead) in PHRASES.iter().filter(|_| !quoted) {
                let phrase = phrase.concat();
                if contains_words(line, &phrase) {
                    wrong.push(format!("{}:{}: \"{phrase}\": {instead}", source.path, number + 1));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "\n{}\n{} lines to rewrite; docs/glossary.md has the terms. Quoted words of a user go to QUOTED in tests/layers/words.rs.\n",
        wrong.join("\n"),
        wrong.len()
    );
}

/// Whether the line holds the phrase, in any case, and not as a part of longer words.
fn contains_words(line: &str, phrase: &str) -> bool {
    let line = line.to_lowercase();
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    line.match_indices(phrase).any(|(at, _)| {
        !line[..at].chars().next_back().is_some_and(is_word)
            && !line[at + phrase.len()..].chars().next().is_some_and(is_word)
    })
}

#[test]
fn phrases_are_found_as_whole_words_in_any_case() {
    let phrase = PHRASES[4].0.concat();
    assert!(contains_words(&format!("{} calls", phrase.to_uppercase()), &phrase));
    assert!(!contains_words(&format!("{phrase}s"), &phrase) && !contains_words(&format!("_{phrase}"), &phrase));
}
