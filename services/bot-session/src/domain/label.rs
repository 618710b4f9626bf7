//! Labels of buttons, as visitors type them (rule B6).

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

use super::answer_check::decimal_digit;

/// Returns the form in which a typed label is compared with that of a button: compatibility characters, such as full-width
/// letters, the case of every script and its own digits make no difference, and neither does the number of spaces between words.
pub(super) fn label_key(label: &str) -> String {
    let folded: String = label.nfkd().default_case_fold().nfkd().default_case_fold().nfkc().collect();
    // Turkish has an i with a dot and one without in both cases: visitors type either.
    let folded = folded.replace("i\u{307}", "i").replace('ı', "i");
    let folded: String = folded.chars().map(|character| decimal_digit(character).unwrap_or(character)).collect();
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b6_a_typed_label_is_recognised_in_every_script() {
        for (label, typed) in [
            ("Straße", "STRASSE"),
            ("ΟΔΟΣ", "οδος"),
            ("Οδός", "ΟΔΌΣ"),
            ("Да", "ДА"),
            ("Yes", "ＹＥＳ"),
            ("カード", "ｶｰﾄﾞ"),
            ("İade", "iade"),
            ("ISI", "ısı"),
            ("Café", "CAFE\u{301}"),
            ("Talk to us", " talk  to\u{a0}us "),
            ("ᏣᎳᎩ", "ꮳꮃꭹ"),
            ("1️⃣", "1️⃣"),
            ("متجر ١", "متجر 1"),
            ("१", "1"),
            ("1", "۱"),
        ] {
            assert_eq!(label_key(label), label_key(typed), "{label} and {typed}");
        }
        for (label, other) in [("Yes", "No"), ("resume", "résumé"), ("は", "ば")] {
            assert_ne!(label_key(label), label_key(other), "{label} and {other}");
        }
    }

    #[test]
    fn s8_any_label_has_a_form_to_compare() {
        const PIECES: &[&str] =
            &["\u{130}", "ı", "\u{307}", "ß", "ﬁ", "Ⅷ", "\u{345}", "١", "1️⃣", "\u{FDFA}", " ", "\u{A0}", "\u{200D}"];
        frontdesk_fuzz::check!().with_generator(frontdesk_fuzz::text(PIECES, 24)).for_each(|label| {
            let key = label_key(label);
            assert_eq!(key, label_key(&format!("  {label}\u{3000}")), "{label:?}");
            assert_eq!(key.split_whitespace().collect::<Vec<_>>().join(" "), key, "{label:?}");
        });
    }
}
