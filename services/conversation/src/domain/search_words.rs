//! The words of a text, as searches compare them (rule C9). Both sides are cut and folded here, so that both databases find the
//! same, in every script.
//!
//! A word is a run of letters and digits, and a number with its separators. Chinese, Japanese, Korean, Thai, Lao, Burmese and Khmer
//! do not separate words, or not reliably: of these, each character and each pair of neighbours is a word. Compatibility characters,
//! case and accents make no difference.

use std::collections::BTreeSet;

use caseless::Caseless;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Maximum number of different words of a text that are indexed; a search does not find the text by further ones.
const MAX_WORDS: usize = 2_000;
/// Maximum length of a word (characters). A longer one is cut to it, in texts and in queries.
const MAX_WORD_LENGTH: usize = 40;

/// A word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// In the form that is compared.
    pub(super) folded: String,
    /// Its first character in the text, from 0.
    pub(super) start: usize,
    /// Number of its characters in the text.
    pub(super) length: usize,
    pub(super) kind: WordKind,
}

/// What a word consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WordKind {
    /// A run of letters and digits.
    Run,
    /// A character of a script without spaces. `is_alone`: it has no neighbour of such a script.
    Character { is_alone: bool },
    /// Two neighbours of such scripts.
    Pair,
}

/// The different words of a text, as they are indexed.
pub(crate) fn indexed_words(text: &str) -> BTreeSet<String> {
    let mut different = BTreeSet::new();
    for word in words(&text.chars().collect::<Vec<_>>()) {
        if different.len() == MAX_WORDS {
            break;
        }
        different.insert(word.folded);
    }
    different
}

/// All words of a text, in the order of their beginnings.
pub(super) fn words(text: &[char]) -> Vec<Word> {
    let (mut words, mut place) = (Vec::new(), 0);
    while place < text.len() {
        let end = if !text[place].is_alphanumeric() {
            place + 1
        } else if is_unspaced(text[place]) {
            let units = units(text, place);
            let end = units.last().map_or(place + 1, |(start, length)| start + length);
            push_unspaced(&mut words, text, &units);
            end
        } else {
            let end = end_of_run(text, place);
            push(&mut words, text, place, end, WordKind::Run);
            end
        };
        place = end;
    }
    words
}

/// The end of the run of letters and digits that begins at `start`. A point or comma between two digits belongs to it.
fn end_of_run(text: &[char], start: usize) -> usize {
    let mut end = start + 1;
    while let Some(next) = text.get(end) {
        let is_separator = matches!(next, '.' | ',')
            && text[end - 1].is_numeric()
            && text.get(end + 1).is_some_and(|after| after.is_numeric());
        let continues = next.is_alphanumeric() && !is_unspaced(*next);
        if !(continues || is_combining_mark(*next) || is_separator) {
            break;
        }
        end += 1;
    }
    end
}

/// The characters of the run of unspaced scripts that begins at `start`, each with the marks that follow it: start and length.
fn units(text: &[char], start: usize) -> Vec<(usize, usize)> {
    let mut units: Vec<(usize, usize)> = vec![(start, 1)];
    for (place, character) in text.iter().enumerate().skip(start + 1) {
        match units.last_mut() {
            Some((_, length)) if is_combining_mark(*character) || is_half_width_voice_mark(*character) => *length += 1,
            _ if character.is_alphanumeric() && is_unspaced(*character) => units.push((place, 1)),
            _ => break,
        }
    }
    units
}

fn push_unspaced(words: &mut Vec<Word>, text: &[char], units: &[(usize, usize)]) {
    let is_alone = units.len() == 1;
    for (place, (start, length)) in units.iter().enumerate() {
        push(words, text, *start, start + length, WordKind::Character { is_alone });
        if let Some((next, next_length)) = units.get(place + 1) {
            push(words, text, *start, next + next_length, WordKind::Pair);
        }
    }
}

fn push(words: &mut Vec<Word>, text: &[char], start: usize, end: usize, kind: WordKind) {
    let folded = fold(&text[start..end]);
    if !folded.is_empty() {
        words.push(Word { folded, start, length: end - start, kind });
    }
}

/// The form in which words are compared. Case is folded after accents are removed, because some letters lose their case only without
/// their accent, as the Turkish İ.
fn fold(word: &[char]) -> String {
    let bare = word.iter().copied().nfkd().filter(|character| !is_accent(*character));
    let folded = bare.default_case_fold().nfkd().filter(|character| !is_accent(*character));
    let mut form = String::new();
    for character in folded.nfc().take(MAX_WORD_LENGTH) {
        match character {
            // Letters that have no accent in Unicode, and that people type without it.
            'ı' => form.push('i'),
            'ø' => form.push('o'),
            'ł' => form.push('l'),
            'đ' => form.push('d'),
            'æ' => form.push_str("ae"),
            'œ' => form.push_str("oe"),
            other => form.push(other),
        }
    }
    form
}

/// Whether the mark can be left out in writing: accents of European letters, vowels of Arabic and Hebrew, and the marks that choose
/// how a character is shown. Marks of other scripts, such as the vowels of Thai and the voice marks of Japanese, make another word.
fn is_accent(character: char) -> bool {
    matches!(character,
        '\u{300}'..='\u{36F}'
        | '\u{483}'..='\u{487}'
        | '\u{591}'..='\u{5C7}'
        | '\u{610}'..='\u{61A}'
        | '\u{640}'
        | '\u{64B}'..='\u{65F}'
        | '\u{670}'
        | '\u{6D6}'..='\u{6DC}'
        | '\u{1AB0}'..='\u{1AFF}'
        | '\u{1DC0}'..='\u{1DFF}'
        | '\u{20D0}'..='\u{20FF}'
        | '\u{FE00}'..='\u{FE0F}'
        | '\u{FE20}'..='\u{FE2F}')
}

/// Whether the character is of a script that does not separate words by spaces, or of Korean, whose words end in particles.
fn is_unspaced(character: char) -> bool {
    matches!(character,
        // Thai and Lao, Burmese, Khmer.
        '\u{E00}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}'
        // Hangul: letters and syllables.
        | '\u{1100}'..='\u{11FF}' | '\u{3130}'..='\u{318F}' | '\u{A960}'..='\u{A97F}' | '\u{AC00}'..='\u{D7FF}'
        // Kana, Bopomofo, and their half-width forms.
        | '\u{3040}'..='\u{312F}' | '\u{31A0}'..='\u{31BF}' | '\u{31F0}'..='\u{31FF}' | '\u{FF66}'..='\u{FFDC}'
        // Chinese characters.
        | '\u{3005}'..='\u{3007}' | '\u{3021}'..='\u{3029}' | '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{3FFFF}')
}

/// A voice mark of half-width Katakana, which is a letter by its category.
fn is_half_width_voice_mark(character: char) -> bool {
    matches!(character, '\u{FF9E}' | '\u{FF9F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> Vec<String> {
        words(&text.chars().collect::<Vec<_>>()).into_iter().map(|word| word.folded).collect()
    }

    #[test]
    fn c9_words_are_runs_of_letters_and_digits_and_numbers_keep_their_separators() {
        for (text, words) in [
            ("Order 4711, please!", vec!["order", "4711", "please"]),
            ("12.50 EUR or 1,200.00", vec!["12.50", "eur", "or", "1,200.00"]),
            ("It is 5. Then 6.", vec!["it", "is", "5", "then", "6"]),
            ("ada@shop.example", vec!["ada", "shop", "example"]),
            ("l'avion, don't", vec!["l", "avion", "don", "t"]),
            ("ok a", vec!["ok", "a"]),
            ("  👍 -- ❤\u{FE0F} ", Vec::new()),
            ("", Vec::new()),
        ] {
            assert_eq!(folded(text), words, "{text}");
        }
    }

    #[test]
    fn c9_accents_case_and_compatibility_characters_make_no_difference() {
        for (one, other) in [
            ("café", "CAFE\u{301}"),
            ("café", "cafe"),
            ("Straße", "STRASSE"),
            ("İstanbul", "istanbul"),
            ("ISPARTA", "ısparta"),
            ("ΟΔΟΣ", "οδός"),
            ("Ёлка", "елка"),
            ("ＡＢＣ１２", "abc12"),
            ("ﬁn", "fin"),
            ("Łódź", "lodz"),
            ("smørrebrød", "smorrebrod"),
            ("مَرْحَبًا", "مرحبا"),
            ("ｶﾞｽ", "ガス"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} and {other}");
        }
        for (one, other) in [("は", "ば"), ("มา", "มี"), ("3.5", "35")] {
            assert_ne!(folded(one), folded(other), "{one} and {other}");
        }
    }

    #[test]
    fn c9_of_a_script_without_spaces_each_character_and_each_pair_is_a_word() {
        assert_eq!(folded("搜索中文"), ["搜", "搜索", "索", "索中", "中", "中文", "文"]);
        assert_eq!(folded("订单4711号"), ["订", "订单", "单", "4711", "号"]);
        assert_eq!(folded("カ・タ"), ["カ", "タ"]);
        assert_eq!(folded("주문을"), ["주", "주문", "문", "문을", "을"]);
    }

    #[test]
    fn c9_a_word_has_its_place_in_characters_of_the_text() {
        let text: Vec<_> = "👋 Cafe\u{301} 中文".chars().collect();
        let places: Vec<_> = words(&text).iter().map(|word| (word.start, word.length)).collect();
        assert_eq!(places, [(2, 5), (8, 1), (8, 2), (9, 1)]);
    }

    #[test]
    fn c9_long_words_are_cut_and_a_text_has_a_maximum_of_words() {
        assert_eq!(folded(&"x".repeat(100)), ["x".repeat(MAX_WORD_LENGTH)]);
        let text: Vec<_> = (0..3_000).map(|number| number.to_string()).collect();
        assert_eq!(indexed_words(&text.join(" ")).len(), MAX_WORDS);
        assert_eq!(indexed_words("a A á b").into_iter().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn s8_any_text_has_words_that_lie_within_it() {
        const PIECES: &[&str] =
            &["\u{130}", "ß", "\u{301}", "中", "ｶ", "\u{FF9E}", "1", ".", "\u{E31}", " ", "\u{FE0F}"];
        frontdesk_fuzz::check!().with_generator(frontdesk_fuzz::text(PIECES, 24)).for_each(|text| {
            let text: Vec<_> = text.chars().collect();
            let mut last = 0;
            for word in words(&text) {
                assert!(word.start >= last && word.length > 0 && word.start + word.length <= text.len(), "{text:?}");
                assert!(!word.folded.is_empty(), "{text:?}");
                last = word.start;
            }
        });
    }
}
