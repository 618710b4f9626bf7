//! What the widget says of a chat's start. A browser gives most of it, so that what cannot be used is cleaned or left out: it refuses
//! no chat (rule C1).

use std::collections::BTreeMap;

use frontdesk_proto::{conversation::v1 as pb, normalized_line};

use crate::domain::{MAX_CONVERSATION_PROPERTIES_SIZE, StartContext};

/// Maximum length of the address of a page (characters).
const MAX_PAGE_URL_LENGTH: usize = 2_000;
/// Maximum length of the title of a page (characters).
const MAX_PAGE_TITLE_LENGTH: usize = 300;
/// Maximum length of a property's value (characters).
const MAX_PROPERTY_LENGTH: usize = 500;

/// What is stored of the context of a start: a language and a time zone that exist, texts without control characters, and nothing that
/// is too long.
pub(crate) fn start_context(request: &pb::StartChatRequest) -> StartContext {
    let given = |text: &str, is_valid: bool| if is_valid { text.to_owned() } else { String::new() };
    StartContext {
        page_url: shortened_url(&request.page_url).to_owned(),
        page_title: cleaned_title(&request.page_title),
        language: given(&request.language, is_language_tag(&request.language)),
        time_zone: given(&request.time_zone, frontdesk_time_zone::parse(&request.time_zone).is_some()),
        properties: cleaned_properties(&request.properties),
    }
}

/// An address without its fragment or query opens the page still.
fn shortened_url(url: &str) -> &str {
    let is_short = |url: &&str| url.chars().count() <= MAX_PAGE_URL_LENGTH;
    let without = |marks: &[char]| url.split(marks).next().unwrap_or_default();
    [url, without(&['#']), without(&['?', '#'])].into_iter().find(is_short).unwrap_or_else(|| cut_url(url))
}

/// The first characters of the address, without a part of an escape (`%C3`) at their end, nor escapes that are the first of a
/// character only.
fn cut_url(url: &str) -> &str {
    let end = url.char_indices().nth(MAX_PAGE_URL_LENGTH).map_or(url.len(), |(at, _)| at);
    let cut = &url[..end];
    let cut = match cut.rfind('%') {
        Some(at) if cut.len() - at < 3 => &cut[..at],
        _ => cut,
    };
    &cut[..complete_escapes(cut.as_bytes())]
}

/// The length of the text without the escapes at its end that begin a character of UTF-8 and do not complete it.
fn complete_escapes(text: &[u8]) -> usize {
    let mut escaped = Vec::new();
    let mut at = text.len();
    while at >= 3 && text[at - 3] == b'%' && escaped.len() < 4 {
        let Some(byte) = std::str::from_utf8(&text[at - 2..at]).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok())
        else {
            break;
        };
        at -= 3;
        escaped.insert(0, byte);
        // A byte that continues a character has the bits 10 at its beginning.
        if byte & 0xC0 != 0x80 {
            let is_incomplete = std::str::from_utf8(&escaped).is_err_and(|error| error.error_len().is_none());
            return if is_incomplete { at } else { text.len() };
        }
    }
    text.len()
}

/// One line without control characters; those that separate words become spaces.
fn cleaned_title(title: &str) -> String {
    let spaced = title.chars().map(|character| match character.is_whitespace() && character.is_control() {
        true => ' ',
        false => character,
    });
    let line: String = spaced.filter(|character| !character.is_control()).collect();
    normalized_line(&line).chars().take(MAX_PAGE_TITLE_LENGTH).collect()
}

/// True: the text has the form of a BCP 47 tag, such as `pt-BR`.
pub(super) fn is_language_tag(text: &str) -> bool {
    let mut parts = text.split('-');
    let is_language = |part: &str| (2..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_subtag = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    parts.next().is_some_and(is_language) && parts.clone().count() <= 8 && parts.all(is_subtag)
}

/// The properties in the order of their names, as far as they have room, with values without control characters.
fn cleaned_properties(properties: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let is_allowed = |character: &char| !character.is_control() || matches!(character, '\t' | '\n');
    let cleaned = |value: &str| value.chars().filter(is_allowed).take(MAX_PROPERTY_LENGTH).collect::<String>();
    let mut stored = BTreeMap::new();
    let mut room = MAX_CONVERSATION_PROPERTIES_SIZE;
    for (name, value) in properties {
        let value = cleaned(value);
        if let Some(left) = room.checked_sub(name.len() + value.len()) {
            room = left;
            stored.insert(name.clone(), value);
        }
    }
    stored
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c1_the_address_of_a_page_is_kept_as_browsers_give_it_and_shortened_when_it_is_too_long() {
        let shortened = |page_url: &str| shortened_url(page_url).to_owned();
        let page = "https://shop.example/p?a=b\\c#f{x}";
        assert_eq!(shortened(page), page);
        let long = "é".repeat(MAX_PAGE_URL_LENGTH);
        assert_eq!(shortened(&format!("{page}{long}")), "https://shop.example/p?a=b\\c");
        assert_eq!(shortened(&format!("https://shop.example/p?{long}#f")), "https://shop.example/p");
        let cut = shortened(&format!("https://shop.example/{long}?a"));
        assert!(cut.starts_with("https://shop.example/é") && cut.chars().count() == MAX_PAGE_URL_LENGTH);
    }

    #[test]
    fn c1_an_address_is_not_cut_within_an_escaped_character() {
        for character in ["%41", "%C3%A9", "%E2%82%AC", "%F0%9F%92%BB"] {
            for start in 0..12 {
                let begin = format!("https://shop.example/{}", "a".repeat(start));
                let url = format!("{begin}{}", character.repeat(1_000));
                let cut = shortened_url(&url);
                let escapes = cut.strip_prefix(&begin).unwrap();
                assert!(escapes.replace(character, "").is_empty(), "{character} after {start}: {}", &cut[1_980..]);
                assert!(cut.len() + character.len() > MAX_PAGE_URL_LENGTH, "{character}: {}", cut.len());
            }
        }
        // Bytes that are no UTF-8 are cut between escapes.
        assert_eq!(cut_url(&format!("https://h/{}", "%80".repeat(1_000))).len() % 3, "https://h/".len() % 3);
    }

    #[test]
    fn c1_a_language_is_the_form_of_a_tag() {
        for tag in ["it", "pt-BR", "en-US-u-hc-h12", "zh-Hant-TW", "gsw"] {
            assert!(is_language_tag(tag), "{tag}");
        }
        for text in ["", "en-US@posix", "it_IT", "x-pig", "italiano", "en-", "e", "\0", "en-a-b-c-d-e-f-g-h-i"] {
            assert!(!is_language_tag(text), "{text:?}");
        }
    }

    #[test]
    fn s8_any_address_and_title_of_a_page_are_shortened() {
        const PIECES: &[&str] =
            &["https://h/", "?", "#", "%", "%C3", "%A9", "%F0%9F", "%zz", "é", "\u{1F4BB}", "\0", "\n"];
        // Lengths around the maximum are those that are cut.
        let texts = (frontdesk_fuzz::text(PIECES, 12), 0..12_usize, frontdesk_fuzz::text(PIECES, 12));
        frontdesk_fuzz::check!().with_generator(texts).for_each(|(begin, missing, end)| {
            let fill = MAX_PAGE_URL_LENGTH.saturating_sub(begin.chars().count() + missing);
            let url = format!("{begin}{}{end}", "a".repeat(fill));
            let kept = shortened_url(&url);
            assert!(url.starts_with(kept) && kept.chars().count() <= MAX_PAGE_URL_LENGTH, "{url:?}");
            assert!(kept == url || url.chars().count() > MAX_PAGE_URL_LENGTH, "{url:?}");
            let title = cleaned_title(&url);
            assert!(
                title.chars().count() <= MAX_PAGE_TITLE_LENGTH && !title.chars().any(char::is_control),
                "{title:?}"
            );
        });
    }
}
