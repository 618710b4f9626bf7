//! `docs/rules.md` and the tests agree.

use std::collections::BTreeSet;

use crate::sources::{code, files, workspace};

/// A row of a table of rules.
struct Rule {
    /// Its short name, `E2a` for example.
    name: String,
    /// The tests that hold it.
    tests: Vec<String>,
}

fn rules() -> Vec<Rule> {
    let text = std::fs::read_to_string(workspace().join("docs/rules.md")).unwrap();
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let name = cells.next()?.to_owned();
        let is_rule = name.len() <= 4 && name.starts_with(|first: char| first.is_ascii_uppercase()) && name != "name";
        let (_, tests) = (cells.next()?, cells.next()?);
        let tests = tests.split('`').skip(1).step_by(2).filter(|quoted| is_test_name(quoted)).map(str::to_owned);
        is_rule.then(|| Rule { name, tests: tests.collect() })
    });
    rows.collect()
}

fn is_test_name(text: &str) -> bool {
    text.contains('_')
        && text
            .chars()
            .all(|character| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '_')
}

/// Names of all functions of the workspace that may be tests.
fn functions() -> BTreeSet<String> {
    let sources = ["services", "tests", "proto"].into_iter().flat_map(|folder| files(folder, &[".rs"]));
    let mut names = BTreeSet::new();
    for source in sources {
        for part in code(&source.text, false).split("fn ").skip(1) {
            let name: String =
                part.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect();
            names.insert(name);
        }
    }
    names
}

#[test]
fn every_test_that_the_page_of_rules_names_exists() {
    let (rules, functions) = (rules(), functions());
    assert!(rules.len() > 40, "{} rules", rules.len());
    let missing: Vec<String> = rules
        .iter()
        .flat_map(|rule| {
            rule.tests.iter().filter(|test| !functions.contains(*test)).map(|test| format!("{}: {test}", rule.name))
        })
        .collect();
    assert!(
        missing.is_empty(),
        "docs/rules.md names tests that do not exist; write the test's new name there, or that the rule has none:\n{}",
        missing.join("\n")
    );
}

#[test]
fn every_test_that_begins_with_a_rule_begins_with_a_known_one() {
    let known: BTreeSet<String> = rules().into_iter().map(|rule| rule.name.to_lowercase()).collect();
    let is_rule = |part: &str| {
        let rest = part.strip_prefix(|first: char| "cabextns".contains(first)).unwrap_or_default();
        let digits = rest.trim_end_matches(|last: char| last.is_ascii_lowercase());
        !digits.is_empty() && digits.chars().all(|digit| digit.is_ascii_digit()) && rest.len() - digits.len() <= 1
    };
    let mut unknown = Vec::new();
    for function in functions() {
        let quoted = function.split('_').take_while(|part| is_rule(part));
        unknown.extend(quoted.filter(|rule| !known.contains(*rule)).map(|rule| format!("{function}: {rule}")));
    }
    assert!(unknown.is_empty(), "tests quote rules that docs/rules.md does not have:\n{}", unknown.join("\n"));
}
