//! What a search looks for, and where a text has it (rule C9).

use std::collections::BTreeSet;

use unicode_normalization::char::is_combining_mark;

use super::search_words::{Word, WordKind, words};

/// Maximum number of different words of a query.
pub(crate) const MAX_QUERY_WORDS: usize = 32;
/// Minimum length of the last word of a query that also finds longer words (characters).
const MIN_PREFIX_LENGTH: usize = 2;
/// Maximum length of a snippet (characters).
const SNIPPET_LENGTH: usize = 200;
/// Number of characters of a snippet before its first range, where the text has as many.
const SNIPPET_LEAD: usize = 40;

/// A query: a text matches if it has all words, and a word that begins with the prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SearchQuery {
    pub(crate) words: BTreeSet<String>,
    /// The last word, of which only the beginning may have been typed.
    pub(crate) prefix: Option<String>,
}

/// Why a text is no query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueryError {
    /// It has no letter and no digit.
    NoWord,
    /// It has more than [`MAX_QUERY_WORDS`] words.
    TooManyWords,
}

/// A part of a text with what was found in it, both in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snippet {
    pub(crate) text: String,
    /// Start and length of each, in the order of the text. They do not overlap.
    pub(crate) ranges: Vec<(usize, usize)>,
}

impl SearchQuery {
    pub(crate) fn parse(text: &str) -> Result<Self, QueryError> {
        let found = words(&text.chars().collect::<Vec<_>>());
        // Between neighbours the pairs say more than each character.
        let mut found: Vec<Word> =
            found.into_iter().filter(|word| word.kind != WordKind::Character { is_alone: false }).collect();
        let is_prefix =
            |last: &mut Word| last.kind == WordKind::Run && last.folded.chars().count() >= MIN_PREFIX_LENGTH;
        let prefix = found.pop_if(is_prefix).map(|last| last.folded);
        let words: BTreeSet<_> = found.into_iter().map(|word| word.folded).collect();
        match words.len() + usize::from(prefix.is_some()) {
            0 => Err(QueryError::NoWord),
            1..=MAX_QUERY_WORDS => Ok(Self { words, prefix }),
            _ => Err(QueryError::TooManyWords),
        }
    }

    /// The part of the text around the first match. None: the text does not match.
    pub(crate) fn snippet(&self, text: &str) -> Option<Snippet> {
        let text: Vec<_> = text.chars().collect();
        let ranges = self.find(&text)?;
        let (first, first_length) = *ranges.first()?;
        let mut end = text.len().min(first.saturating_sub(SNIPPET_LEAD) + SNIPPET_LENGTH);
        let mut start = end.saturating_sub(SNIPPET_LENGTH).min(first);
        while start < first && is_joined(&text, start) {
            start += 1;
        }
        let least_end = end.min(first + first_length);
        while end > least_end && is_joined(&text, end) {
            end -= 1;
        }
        let within = ranges.into_iter().filter(|(start, _)| *start < end);
        Some(Snippet {
            text: text[start..end].iter().collect(),
            ranges: within.map(|(from, length)| (from - start, length.min(end - from))).collect(),
        })
    }

    /// Where the text has what the query looks for. None: it does not have all of it.
    fn find(&self, text: &[char]) -> Option<Vec<(usize, usize)>> {
        let (mut missing, mut has_prefix) = (self.words.clone(), self.prefix.is_none());
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        for word in words(text) {
            let begins = self.prefix.as_ref().is_some_and(|prefix| word.folded.starts_with(prefix.as_str()));
            if !begins && !self.words.contains(&word.folded) {
                continue;
            }
            missing.remove(&word.folded);
            has_prefix |= begins;
            match ranges.last_mut() {
                // Pairs of neighbours overlap.
                Some((start, length)) if word.start < *start + *length => {
                    *length = (*length).max(word.start + word.length - *start);
                }
                _ => ranges.push((word.start, word.length)),
            }
        }
        (missing.is_empty() && has_prefix).then_some(ranges)
    }
}

/// Whether the character at this place is shown together with the one before it.
fn is_joined(text: &[char], place: usize) -> bool {
    const JOINER: char = '\u{200D}';
    let Some(&character) = text.get(place) else { return false };
    let is_modifier = matches!(character, '\u{1F3FB}'..='\u{1F3FF}' | '\u{E0020}'..='\u{E007F}' | JOINER);
    is_modifier || is_combining_mark(character) || (place > 0 && text[place - 1] == JOINER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> SearchQuery {
        SearchQuery::parse(text).unwrap()
    }

    fn marked(query_text: &str, text: &str) -> Option<Vec<String>> {
        let snippet = query(query_text).snippet(text)?;
        let text: Vec<_> = snippet.text.chars().collect();
        Some(snippet.ranges.iter().map(|(start, length)| text[*start..start + length].iter().collect()).collect())
    }

    #[test]
    fn c9_all_words_are_looked_for_and_the_last_one_as_a_beginning() {
        let parsed = query("Refund for ORDER");
        assert_eq!(parsed.words, ["for", "refund"].map(str::to_owned).into());
        assert_eq!(parsed.prefix.as_deref(), Some("order"));
        assert_eq!(query("a"), SearchQuery { words: ["a".to_owned()].into(), prefix: None });
        assert_eq!(query("中文"), SearchQuery { words: ["中文".to_owned()].into(), prefix: None });
        assert_eq!(query("中"), SearchQuery { words: ["中".to_owned()].into(), prefix: None });
        assert_eq!(query("訂單 4711").prefix.as_deref(), Some("4711"));
    }

    #[test]
    fn c9_a_query_without_a_word_or_with_too_many_is_refused() {
        assert_eq!(SearchQuery::parse(" 👍 !? "), Err(QueryError::NoWord));
        let words: Vec<_> = (0..=MAX_QUERY_WORDS).map(|number| number.to_string()).collect();
        assert_eq!(SearchQuery::parse(&words.join(" ")), Err(QueryError::TooManyWords));
        assert!(SearchQuery::parse(&words[1..].join(" ")).is_ok());
    }

    #[test]
    fn c9_a_snippet_marks_what_was_found() {
        for (query, text, expected) in [
            ("cafe", "👋🏽 In the Café, not the cafeteria", Some(vec!["Café", "cafeteria"])),
            ("索中文", "这是搜索中文的", Some(vec!["索中文"])),
            ("order refund", "Refunds of order 7, Order 8", Some(vec!["Refunds", "order", "Order"])),
            ("order refund", "order 7", None),
            ("ok", "OK", Some(vec!["OK"])),
            ("a", "a as A", Some(vec!["a", "A"])),
            ("12.50", "It costs 12.50.", Some(vec!["12.50"])),
        ] {
            let expected = expected.map(|words| words.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(marked(query, text), expected, "{query} in {text}");
        }
    }

    #[test]
    fn c9_a_snippet_is_a_part_of_the_text_around_the_first_match() {
        let (before, after) = ("x ".repeat(300), " y".repeat(300));
        let snippet = query("needle").snippet(&format!("{before}needle{after}")).unwrap();
        assert_eq!((snippet.text.chars().count(), snippet.ranges), (SNIPPET_LENGTH, vec![(SNIPPET_LEAD, 6)]));
        let at_the_end = query("needle").snippet(&format!("{before}needle")).unwrap();
        assert_eq!(at_the_end.ranges, [(SNIPPET_LENGTH - 6, 6)]);
        let whole = query("needle").snippet("a needle").unwrap();
        assert_eq!(whole, Snippet { text: "a needle".into(), ranges: vec![(2, 6)] });
        let long = "z".repeat(500);
        let cut = query(&long).snippet(&long).unwrap();
        assert_eq!(cut, Snippet { text: "z".repeat(SNIPPET_LENGTH), ranges: vec![(0, SNIPPET_LENGTH)] });
    }

    #[test]
    fn c9_a_snippet_begins_and_ends_between_characters_that_are_shown() {
        let family = "👨\u{200D}👩\u{200D}👧";
        let text = format!("{} needle {}", family.repeat(30), "e\u{301}".repeat(200));
        let snippet = query("needle").snippet(&text).unwrap();
        assert!(snippet.text.starts_with('👨'), "{}", snippet.text);
        assert!(snippet.text.ends_with("e\u{301}"), "{}", snippet.text);
        let (start, length) = snippet.ranges[0];
        assert_eq!(snippet.text.chars().skip(start).take(length).collect::<String>(), "needle");
    }
}
