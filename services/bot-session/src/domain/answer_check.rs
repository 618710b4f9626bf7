//! Checks of visitors' answers against what an `ask` step asked for (rule B6).

use super::AnswerCheck;

/// Maximum length of an answer in characters, as long as the conversation service accepts for a property.
const MAX_ANSWER_CHARS: usize = 2_000;

impl AnswerCheck {
    /// Returns the check that applies to a property: `email` is checked as an address even when the step asks for no
    /// check.
    pub(super) fn for_property(self, property: &str) -> Self {
        if property == "email" { Self::Email } else { self }
    }

    /// Returns the answer without surrounding white space. None: it does not pass the check.
    pub(super) fn accept(self, text: &str) -> Option<&str> {
        let answer = text.trim();
        let passes = !answer.is_empty()
            && answer.chars().count() <= MAX_ANSWER_CHARS
            && match self {
                Self::Anything => true,
                Self::Email => is_email(answer),
                Self::Phone => is_phone(answer),
                Self::Number => is_number(answer),
            };
        passes.then_some(answer)
    }

    /// Returns what the bot says after an answer that does not pass, when the step has no text of its own for it.
    pub(super) fn default_retry_text(self) -> &'static str {
        match self {
            Self::Anything => "That does not fit. Please try again.",
            Self::Email => "That does not look like an e-mail address. Please try again.",
            Self::Phone => "That does not look like a phone number. Please try again.",
            Self::Number => "Please answer with a whole number.",
        }
    }
}

/// Checks the shape only. Whether mail may be sent to the address is decided by the conversation service.
fn is_email(answer: &str) -> bool {
    let Some((local, domain)) = answer.rsplit_once('@') else { return false };
    let plain = |text: &str| !text.chars().any(|c| c.is_whitespace() || c.is_control() || "@<>()[],;:\\\"".contains(c));
    let labels: Vec<&str> = domain.split('.').collect();
    answer.len() <= 254
        && (1..=64).contains(&local.len())
        && plain(local)
        && plain(domain)
        && labels.len() >= 2
        && labels.iter().all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'))
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
    use super::*;

    #[test]
    fn b6_answers_are_checked_for_their_shape() {
        for (check, accepted, rejected) in [
            (
                AnswerCheck::Email,
                vec!["a@b.co", " ada.l+x@mail.example.org "],
                vec!["a@b", "a b@c.de", "@c.de", "a@.de", "a@b..c", ""],
            ),
            (AnswerCheck::Phone, vec!["+49 (30) 123-456", "0301234"], vec!["call me", "12", "1234567890123456"]),
            (AnswerCheck::Number, vec!["42", "-7"], vec!["4.2", "many", "-", "1234567890123456789"]),
            (AnswerCheck::Anything, vec!["x"], vec!["  "]),
        ] {
            accepted.iter().for_each(|text| assert!(check.accept(text).is_some(), "{check:?} {text}"));
            rejected.iter().for_each(|text| assert!(check.accept(text).is_none(), "{check:?} {text}"));
        }
        assert!(AnswerCheck::Anything.accept(&"x".repeat(2_001)).is_none());
    }

    #[test]
    fn b6_the_property_email_is_always_checked() {
        assert_eq!(AnswerCheck::Anything.for_property("email"), AnswerCheck::Email);
        assert_eq!(AnswerCheck::Anything.for_property("name"), AnswerCheck::Anything);
    }
}
