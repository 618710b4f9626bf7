//! Normalisation of texts, as `frontdesk/text/v1/text.proto` promises. The build script generates the impls for the messages.
#![warn(clippy::all, missing_docs)]

use std::collections::BTreeMap;

use unicode_normalization::{IsNormalized, UnicodeNormalization, char::is_combining_mark, is_nfc_quick};

use crate::characters::{is_invisible, is_isolate, is_override, is_zero_width};

/// Some files begin with it; a text does not.
const BYTE_ORDER_MARK: char = '\u{FEFF}';

/// A request, or a part of one, whose texts can be brought into the form in which they are stored.
pub trait Normalize {
    /// Brings all texts into the form in which they are stored. A second call changes nothing.
    fn normalize(&mut self);
}

impl<T: Normalize> Normalize for Option<T> {
    fn normalize(&mut self) {
        self.iter_mut().for_each(T::normalize);
    }
}

impl<T: Normalize> Normalize for Vec<T> {
    fn normalize(&mut self) {
        self.iter_mut().for_each(T::normalize);
    }
}

impl<K, T: Normalize> Normalize for BTreeMap<K, T> {
    fn normalize(&mut self) {
        self.values_mut().for_each(T::normalize);
    }
}

/// Seconds and nanoseconds of one sign, and less than a second of nanoseconds: rules compare them as they are.
impl Normalize for prost_types::Duration {
    fn normalize(&mut self) {
        Self::normalize(self);
    }
}

/// A field with texts: one, an optional one, or many.
trait Texts {
    fn for_each(&mut self, rule: fn(&mut String));
}

impl Texts for String {
    fn for_each(&mut self, rule: fn(&mut String)) {
        rule(self);
    }
}

impl Texts for Option<String> {
    fn for_each(&mut self, rule: fn(&mut String)) {
        self.iter_mut().for_each(rule);
    }
}

impl Texts for Vec<String> {
    fn for_each(&mut self, rule: fn(&mut String)) {
        self.iter_mut().for_each(rule);
    }
}

impl<K> Texts for BTreeMap<K, String> {
    fn for_each(&mut self, rule: fn(&mut String)) {
        self.values_mut().for_each(rule);
    }
}

/// A text that is not part of a request, normalised like a line of one.
pub fn normalized_line(text: &str) -> String {
    let mut text = text.to_owned();
    line(&mut text);
    text
}

/// An address, a number or a label that a person typed or pasted: normalised like a line of a request, and without any invisible
/// character. Not for names and sentences: some languages and emoji need the joiners.
pub fn visible_line(text: &str) -> String {
    let mut text: String = text.chars().filter(|character| !is_invisible(*character)).collect();
    line(&mut text);
    text
}

/// True: the text has a character that is shown by itself. An accent is shown on a letter.
pub fn says_something(text: &str) -> bool {
    let is_shown =
        |character: char| !character.is_whitespace() && !is_invisible(character) && !is_combining_mark(character);
    text.chars().any(is_shown)
}

/// The rule `TEXT_LINE`.
fn line(texts: &mut impl Texts) {
    texts.for_each(|text| {
        if !text.is_ascii() {
            compose(text, |character| is_override(character) || is_isolate(character) || is_zero_width(character));
        }
        if !says_something(text) {
            text.clear();
        }
        text.truncate(text.trim_end().len());
        text.drain(..text.len() - text.trim_start().len());
    });
}

/// The rule `TEXT_BLOCK`.
fn block(texts: &mut impl Texts) {
    texts.for_each(|text| {
        if !text.is_ascii() {
            compose(text, |character| is_override(character) || character == BYTE_ORDER_MARK);
        }
        // After composing: a removed character may have stood between '\r' and '\n'.
        if text.contains('\r') {
            *text = text.replace("\r\n", "\n").replace('\r', "\n");
        }
    });
}

/// Removes characters, then composes (NFC), in this order: a removed character may have stood between a letter and its accent.
fn compose(text: &mut String, is_removed: fn(char) -> bool) {
    text.retain(|character| !is_removed(character));
    if is_nfc_quick(text.chars()) != IsNormalized::Yes {
        *text = text.nfc().collect();
    }
}

include!(concat!(env!("OUT_DIR"), "/normalize_impl.rs"));

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

    use super::{block, line, says_something, visible_line};
    use prost_types::Duration;

    use crate::{
        Normalize, Validate,
        botsession::v1::{
            ButtonsStep, CreateBotRequest, Flow, FlowButton, Step, UpdateBotRequest, step::Action,
            update_bot_request::Inactivity,
        },
        conversation::v1::{PostMessageRequest, StartChatRequest},
    };

    fn lined(text: &str) -> String {
        let mut text = text.to_owned();
        line(&mut text);
        text
    }

    fn blocked(text: &str) -> String {
        let mut text = text.to_owned();
        block(&mut text);
        text
    }

    /// A text as it is sent, as it is stored as a line, and as a block.
    const CASES: &[(&str, &str, &str)] = &[
        ("", "", ""),
        ("Ada", "Ada", "Ada"),
        ("  Ada Lovelace\t\n", "Ada Lovelace", "  Ada Lovelace\t\n"),
        ("\u{3000}Ada\u{A0}", "Ada", "\u{3000}Ada\u{A0}"),
        ("Ame\u{301}lie", "Amélie", "Amélie"),
        ("e\u{202C}\u{301}", "é", "é"),
        ("\u{212B}", "Å", "Å"),
        ("ﬁ", "ﬁ", "ﬁ"),
        ("a\r\nb\rc\n", "a\r\nb\rc", "a\nb\nc\n"),
        ("a\r\u{202E}\nb", "a\r\nb", "a\nb"),
        ("\u{FEFF}a\u{202A}b\u{202B}c\u{202C}d\u{202D}e\u{202E}f", "abcdef", "abcdef"),
        ("a\u{2066}b\u{2067}c\u{2068}d\u{2069}", "abcd", "a\u{2066}b\u{2067}c\u{2068}d\u{2069}"),
        ("\u{200B} a \u{200B}", "a", "\u{200B} a \u{200B}"),
        // Direction marks and joiners are part of ordinary writing.
        ("\u{200E}שלום\u{200F}", "\u{200E}שלום\u{200F}", "\u{200E}שלום\u{200F}"),
        ("👩\u{200D}💻", "👩\u{200D}💻", "👩\u{200D}💻"),
        // Control characters stay, for the field's rule to refuse them.
        ("a\0b\u{9F}", "a\0b\u{9F}", "a\0b\u{9F}"),
    ];

    #[test]
    fn c4_texts_are_normalised_as_the_contract_says() {
        for (sent, line, block) in CASES {
            assert_eq!(lined(sent), *line, "{sent:?} as a line");
            assert_eq!(blocked(sent), *block, "{sent:?} as a block");
        }
    }

    #[test]
    fn c4_normalising_twice_changes_nothing_more_and_leaves_no_forbidden_character() {
        let odd: Vec<char> =
            CASES.iter().flat_map(|(sent, ..)| sent.chars()).chain("\u{344}\u{1100}\u{1161}".chars()).collect();
        let mut random = StdRng::seed_from_u64(7);
        for _ in 0..50_000 {
            let sent: String = (0..random.random_range(0..12))
                .map(|_| match random.random_range(0..3) {
                    0 => random.random(),
                    // The range in which characters compose.
                    1 => char::from_u32(random.random_range(0x2C0..0x2000)).unwrap_or('a'),
                    _ => *odd.choose(&mut random).unwrap(),
                })
                .collect();
            let (line, block) = (lined(&sent), blocked(&sent));
            assert_eq!((lined(&line), blocked(&block)), (line.clone(), block.clone()), "{sent:?}");
            for text in [&line, &block] {
                assert!(unicode_normalization::is_nfc(text), "{sent:?}");
                assert!(!text.contains(|char| matches!(char, '\u{202A}'..='\u{202E}' | '\u{FEFF}')), "{sent:?}");
            }
            assert!(!line.contains(|char| matches!(char, '\u{2066}'..='\u{2069}' | '\u{200B}')), "{sent:?}");
            assert!(line.trim() == line && !block.contains('\r'), "{sent:?}");
        }
    }

    #[test]
    fn b6_what_a_person_pasted_as_an_address_or_a_number_keeps_no_invisible_character() {
        let address = "anna@visitor.example";
        for pasted in [
            format!("\u{200B}{address}"),
            format!("\u{2068}{address}\u{2069}"),
            format!("\u{200E}{address}"),
            format!("\u{FEFF} {address}\u{A0}"),
            "an\u{2060}na@visi\u{AD}tor.example".to_owned(),
            format!("\u{202A}{address}\u{202C}"),
        ] {
            assert_eq!(visible_line(&pasted), address, "{pasted:?}");
        }
        assert_eq!(visible_line("e\u{200B}\u{301}"), "é");
    }

    #[test]
    fn c4_a_text_of_spaces_and_invisible_characters_says_nothing() {
        for empty in [
            "",
            " \n\t",
            "\u{200B}",
            "\u{2060}\u{FEFF} \u{AD}",
            "\u{200D}\u{FE0F}",
            "\u{3164}",
            "\u{2800}",
            "\u{301}",
            " \u{20E3}",
        ] {
            assert!(!says_something(empty), "{empty:?}");
        }
        for text in ["a", " . ", "👩\u{200D}💻", "\u{200F}שלום"] {
            assert!(says_something(text), "{text:?}");
        }
    }

    #[test]
    fn plain_text_is_not_reallocated() {
        let mut request = PostMessageRequest { text: "Hello, how can I help?\n".into(), ..Default::default() };
        let (before, length) = (request.text.as_ptr(), request.text.capacity());
        request.normalize();
        assert_eq!((request.text.as_ptr(), request.text.capacity()), (before, length), "the same allocation");
    }

    #[test]
    fn c4_nested_texts_are_normalised_and_ids_and_addresses_are_not() {
        let label = |label: &str| FlowButton { label: label.into(), ..Default::default() };
        let buttons = ButtonsStep {
            text: "Which\r\none?".into(),
            buttons: vec![label(" e\u{301} "), label("b\u{200B}")],
            ..Default::default()
        };
        let flow = Flow { steps: vec![Step { action: Some(Action::Buttons(buttons)), ..Default::default() }] };
        let mut create = CreateBotRequest { name: " Bot ".into(), flow: Some(flow), ..Default::default() };
        create.normalize();
        let Some(Action::Buttons(buttons)) = create.flow.unwrap().steps.remove(0).action else { panic!("no buttons") };
        assert_eq!((create.name.as_str(), buttons.text.as_str()), ("Bot", "Which\none?"));
        assert_eq!(buttons.buttons.iter().map(|button| button.label.as_str()).collect::<Vec<_>>(), ["é", "b"]);

        let mut update =
            UpdateBotRequest { name: Some("e\u{301}\n".into()), etag: " e\u{301}".into(), ..Default::default() };
        update.normalize();
        assert_eq!((update.name.as_deref(), update.etag.as_str()), (Some("é"), " e\u{301}"));

        let page_url = "https://shop.example/e\u{301}".to_owned();
        let mut start =
            StartChatRequest { page_url: page_url.clone(), page_title: "Café \u{202E}".into(), ..Default::default() };
        start.normalize();
        assert_eq!((start.page_url, start.page_title.as_str()), (page_url, "Café"));
    }

    #[test]
    fn b2_a_duration_is_compared_with_its_limits_in_its_normal_form() {
        let accepted = |seconds, nanos| {
            let inactivity = Some(Inactivity::InactivityTimeout(Duration { seconds, nanos }));
            let mut request = UpdateBotRequest { inactivity, ..Default::default() };
            request.bot_id = "01890a5d-ac96-774b-bcce-b302099a8057".into();
            request.normalize();
            request.validate().is_ok()
        };
        assert!(accepted(59, 1_000_000_000) && accepted(86_401, -1_000_000_000));
        for (seconds, nanos) in [(86_399, 2_000_000_000), (61, -2_000_000_000), (i64::MAX, i32::MAX), (i64::MIN, 0)] {
            assert!(!accepted(seconds, nanos), "{seconds} {nanos}");
        }
    }

    #[test]
    fn c4_lengths_count_the_stored_text() {
        let long = |name: String| {
            let mut request = UpdateBotRequest { name: Some(name), ..Default::default() };
            request.bot_id = "01890a5d-ac96-774b-bcce-b302099a8057".into();
            request.normalize();
            request.validate().is_ok()
        };
        assert!(long("e\u{301}".repeat(200)), "200 letters, sent as 400");
        assert!(!long("e\u{301}".repeat(201)));
        for empty in [" \u{200B}\u{FEFF}", "\u{AD}\u{2060}", "\u{200E} \u{200D}"] {
            assert!(!long(empty.into()), "the stored text is empty");
        }
    }
}
