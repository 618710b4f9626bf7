//! Checks of visitors' answers against what an `ask` step asked for (rule B6).

use unicode_normalization::UnicodeNormalization;

use super::{AnswerCheck, VisitorInput};

/// Maximum length of an answer in characters, as long as the conversation service accepts for a property.
const MAX_ANSWER_CHARS: usize = 2_000;

/// The digit zero of each script that has decimal digits, in the order of Unicode: the digits up to nine follow it. Forms that
/// compatibility normalisation makes ASCII, such as full-width digits, are left out.
const ZEROS: [char; 59] = [
    '\u{30}',
    '\u{660}',
    '\u{6F0}',
    '\u{7C0}',
    '\u{966}',
    '\u{9E6}',
    '\u{A66}',
    '\u{AE6}',
    '\u{B66}',
    '\u{BE6}',
    '\u{C66}',
    '\u{CE6}',
    '\u{D66}',
    '\u{DE6}',
    '\u{E50}',
    '\u{ED0}',
    '\u{F20}',
    '\u{1040}',
    '\u{1090}',
    '\u{17E0}',
    '\u{1810}',
    '\u{1946}',
    '\u{19D0}',
    '\u{1A80}',
    '\u{1A90}',
    '\u{1B50}',
    '\u{1BB0}',
    '\u{1C40}',
    '\u{1C50}',
    '\u{A620}',
    '\u{A8D0}',
    '\u{A900}',
    '\u{A9D0}',
    '\u{A9F0}',
    '\u{AA50}',
    '\u{ABF0}',
    '\u{104A0}',
    '\u{10D30}',
    '\u{11066}',
    '\u{110F0}',
    '\u{11136}',
    '\u{111D0}',
    '\u{112F0}',
    '\u{11450}',
    '\u{114D0}',
    '\u{11650}',
    '\u{116C0}',
    '\u{11730}',
    '\u{118E0}',
    '\u{11950}',
    '\u{11C50}',
    '\u{11D50}',
    '\u{11DA0}',
    '\u{16A60}',
    '\u{16AC0}',
    '\u{16B50}',
    '\u{1E140}',
    '\u{1E2F0}',
    '\u{1E950}',
];

impl AnswerCheck {
    /// Returns the check that applies to a property: `email` is checked as an address even when the step asks for no
    /// check.
    pub(super) fn for_property(self, property: &str) -> Self {
        if property == "email" { Self::Email } else { self }
    }

    /// Returns the answer as it is recorded. None: it does not pass the check.
    pub(super) fn accept(self, input: &VisitorInput) -> Option<String> {
        if input.line.is_empty() {
            return None;
        }
        let answer = match self {
            Self::Anything => Some(input.text.trim().to_owned()),
            Self::Email => frontdesk_mail_address::normalized(&input.line),
            Self::Phone => Some(typed_number(&input.line)).filter(|answer| is_phone(answer)),
            Self::Number => Some(typed_number(&input.line)).filter(|answer| is_number(answer)),
        };
        answer.filter(|answer| answer.chars().count() <= MAX_ANSWER_CHARS)
    }

    /// Returns what the bot says after an answer that does not pass, when the step has no text of its own for it.
    pub(super) fn default_retry_text(self) -> &'static str {
        match self {
            Self::Anything => "Please type an answer of at most 2,000 characters.",
            Self::Email => "That does not look like an e-mail address. Please try again.",
            Self::Phone => "That does not look like a phone number. Please try again.",
            Self::Number => "Please answer with a whole number.",
        }
    }
}

/// Returns the answer with the digits, spaces, dashes and signs of all scripts in their ASCII form. Phones and word processors
/// put no-break spaces and dashes of several lengths between digits.
fn typed_number(line: &str) -> String {
    let ascii = |character: char| match character {
        // Hyphens and dashes, the minus sign, and the long vowel mark, which Japanese keyboards have in the hyphen's place.
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{30FC}' => '-',
        character if character.is_whitespace() => ' ',
        character => decimal_digit(character).unwrap_or(character),
    };
    line.nfkc().map(ascii).collect::<String>().trim().to_owned()
}

/// Returns the ASCII form of a decimal digit of any script. None: the character is none.
pub(super) fn decimal_digit(character: char) -> Option<char> {
    let zero = ZEROS[..ZEROS.partition_point(|zero| *zero <= character)].last()?;
    char::from_digit(u32::from(character) - u32::from(*zero), 10)
}

/// Returns whether the answer has 5 to 15 digits (15 is the maximum of E.164), with the usual separators.
fn is_phone(answer: &str) -> bool {
    let digits = answer.chars().filter(char::is_ascii_digit).count();
    let rest = answer.strip_prefix('+').unwrap_or(answer);
    (5..=15).contains(&digits) && rest.chars().all(|c| c.is_ascii_digit() || " -./()".contains(c))
}

/// Returns whether the answer is a whole number of 1 to 18 digits, which fits a 64-bit integer.
fn is_number(answer: &str) -> bool {
    let digits = answer.strip_prefix(['-', '+']).unwrap_or(answer);
    (1..=18).contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use frontdesk_fuzz::{check, text};

    use super::*;

    fn accepted(check: AnswerCheck, text: &str) -> Option<String> {
        check.accept(&VisitorInput { text: text.into(), line: text.trim().into(), ..VisitorInput::default() })
    }

    #[test]
    fn b6_answers_are_checked_for_their_shape() {
        for (check, fitting, others) in [
            (
                AnswerCheck::Email,
                vec!["a@b.co", " ada.l+x@mail.example.org "],
                vec!["a@b", "a b@c.de", "@c.de", "a@.de", "a@b..c", "", "a!b@c.de", "änna@b.de"],
            ),
            (AnswerCheck::Phone, vec!["+49 (30) 123-456", "0301234"], vec!["call me", "12", "1234567890123456"]),
            (AnswerCheck::Number, vec!["42", "-7"], vec!["4.2", "many", "-", "1234567890123456789"]),
            (AnswerCheck::Anything, vec!["x"], vec!["  "]),
        ] {
            fitting.iter().for_each(|text| assert!(accepted(check, text).is_some(), "{check:?} {text}"));
            others.iter().for_each(|text| assert_eq!(accepted(check, text), None, "{check:?} {text}"));
        }
        assert_eq!(accepted(AnswerCheck::Anything, &"x".repeat(2_001)), None);
        let invisible = VisitorInput { text: "\u{200B}".into(), ..VisitorInput::default() };
        assert_eq!(AnswerCheck::Anything.accept(&invisible), None);
    }

    #[test]
    fn b6_an_answer_is_recorded_in_the_form_that_the_contact_keeps() {
        for (check, typed, recorded) in [
            (AnswerCheck::Anything, " Ann  Lee\n", "Ann  Lee"),
            (AnswerCheck::Email, "anna@bücher.example", "anna@xn--bcher-kva.example"),
            (AnswerCheck::Email, "anna＠visitor.example", "anna@visitor.example"),
            (AnswerCheck::Email, "\u{2068}anna@visitor.example\u{2069}", "anna@visitor.example"),
            (AnswerCheck::Phone, "٠٥٠١٢٣٤٥٦٧", "0501234567"),
            (AnswerCheck::Phone, "۰۹۱۲۳۴۵۶۷۸۹", "09123456789"),
            (AnswerCheck::Phone, "０９０-１２３４-５６７８", "090-1234-5678"),
            (AnswerCheck::Phone, "０９０ー１２３４ー５６７８", "090-1234-5678"),
            (AnswerCheck::Phone, "＋８１（９０）１２３４", "+81(90)1234"),
            (AnswerCheck::Phone, "+33\u{a0}6\u{202f}12\u{a0}34\u{202f}56\u{a0}78", "+33 6 12 34 56 78"),
            (AnswerCheck::Phone, "030\u{2013}1234567", "030-1234567"),
            (AnswerCheck::Phone, "030\u{2011}1234567", "030-1234567"),
            (AnswerCheck::Phone, "०९८७६५४३२१", "0987654321"),
            (AnswerCheck::Number, "٤٢", "42"),
            (AnswerCheck::Number, "４２", "42"),
            (AnswerCheck::Number, "\u{2212}7", "-7"),
        ] {
            assert_eq!(accepted(check, typed).as_deref(), Some(recorded), "{typed}");
        }
    }

    #[test]
    fn s8_an_accepted_answer_is_accepted_again_and_unchanged() {
        const PIECES: &[&str] = &[
            "@", ".", "a", "example", "ü", "＠", "0", "7", "٣", "９", "²", "+", "＋", "-", "\u{2011}", "ー", " ",
            "\u{a0}", "(", ")", "/", "\u{300}", "\u{2212}", "\n",
        ];
        check!().with_generator(text(PIECES, 16)).for_each(|text| {
            for check in [AnswerCheck::Anything, AnswerCheck::Email, AnswerCheck::Phone, AnswerCheck::Number] {
                let Some(answer) = accepted(check, text) else { continue };
                assert_eq!(accepted(check, &answer).as_deref(), Some(answer.as_str()), "{check:?} {text:?}");
                assert!(check == AnswerCheck::Anything || answer.is_ascii(), "{check:?} {answer:?}");
            }
        });
    }

    #[test]
    fn b6_the_digits_of_every_script_are_known() {
        assert!(ZEROS.is_sorted());
        for zero in ZEROS {
            for value in 0..10 {
                let digit = char::from_u32(u32::from(zero) + value).unwrap();
                assert!(digit.is_numeric(), "{digit:?}");
                assert_eq!(decimal_digit(digit), char::from_digit(value, 10));
            }
        }
        assert_eq!((decimal_digit('/'), decimal_digit(':'), decimal_digit('a')), (None, None, None));
    }

    #[test]
    fn b6_the_property_email_is_always_checked() {
        assert_eq!(AnswerCheck::Anything.for_property("email"), AnswerCheck::Email);
        assert_eq!(AnswerCheck::Anything.for_property("name"), AnswerCheck::Anything);
    }
}
