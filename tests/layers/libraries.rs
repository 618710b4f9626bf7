//! Libraries know nothing of chat.

use crate::sources::{code, product_sources};

/// Words of the domain, in lower case.
const DOMAIN_WORDS: [&str; 8] =
    ["conversation", "transcript", "assignee", "contact", "botsession", "bot_session", "bot-session", "ticket"];

/// Lines that may hold such a word: file, and a part of the line.
const ALLOWED: &[(&str, &str)] = &[];

#[test]
fn libraries_use_no_message_and_no_word_of_the_services() {
    let sources = product_sources("services/lib");
    assert!(sources.len() > 40, "{} sources of libraries", sources.len());
    let mut wrong = Vec::new();
    for source in sources {
        for (number, line) in code(&source.text, true).lines().enumerate() {
            let lower = line.to_lowercase();
            let word = DOMAIN_WORDS.into_iter().find(|word| lower.contains(word));
            let allowed = ALLOWED.iter().any(|(path, part)| source.path == *path && line.contains(part));
            if let Some(word) = word.filter(|_| !allowed) {
                wrong.push(format!("{}:{}: {word}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "a library is one mechanism that knows nothing of chat. Move the line into the service, or pass the name in:\n{}",
        wrong.join("\n")
    );
}
