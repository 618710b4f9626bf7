//! Whether an answer looks like what was asked for.

use super::Check;

/// As many characters as a property keeps.
const LONGEST: usize = 2_000;

impl Check {
    /// The check of a property: `email` is always checked.
    pub(super) fn of(self, property: &str) -> Self {
        if property == "email" { Self::Email } else { self }
    }

    /// The answer as it is kept; None: it does not fit.
    pub(super) fn accept(self, text: &str) -> Option<&str> {
        let answer = text.trim();
        let fits = !answer.is_empty()
            && answer.chars().count() <= LONGEST
            && match self {
                Self::Anything => true,
                Self::Email => is_email(answer),
                Self::Phone => is_phone(answer),
                Self::Number => is_number(answer),
            };
        fits.then_some(answer)
    }

    /// What a bot says to an answer that does not fit.
    pub(super) fn plain_sentence(self) -> &'static str {
        match self {
            Self::Anything => "That does not fit. Please try again.",
            Self::Email => "That does not look like an e-mail address. Please try again.",
            Self::Phone => "That does not look like a phone number. Please try again.",
            Self::Number => "Please answer with a whole number.",
        }
    }
}

/// The shape only: whether mail may go there is decided where addresses are kept.
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

/// 5 to 15 digits, as long as numbers are in the world's plan, with what people write between them.
fn is_phone(answer: &str) -> bool {
    let digits = answer.chars().filter(char::is_ascii_digit).count();
    let rest = answer.strip_prefix('+').unwrap_or(answer);
    (5..=15).contains(&digits) && rest.chars().all(|c| c.is_ascii_digit() || " -./()".contains(c))
}

fn is_number(answer: &str) -> bool {
    let digits = answer.strip_prefix(['-', '+']).unwrap_or(answer);
    (1..=18).contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b6_answers_are_checked_for_their_shape() {
        for (check, good, bad) in [
            (
                Check::Email,
                vec!["a@b.co", " ada.l+x@mail.example.org "],
                vec!["a@b", "a b@c.de", "@c.de", "a@.de", "a@b..c", ""],
            ),
            (Check::Phone, vec!["+49 (30) 123-456", "0301234"], vec!["call me", "12", "1234567890123456"]),
            (Check::Number, vec!["42", "-7"], vec!["4.2", "many", "-", "1234567890123456789"]),
            (Check::Anything, vec!["x"], vec!["  "]),
        ] {
            good.iter().for_each(|text| assert!(check.accept(text).is_some(), "{check:?} {text}"));
            bad.iter().for_each(|text| assert!(check.accept(text).is_none(), "{check:?} {text}"));
        }
        assert!(Check::Anything.accept(&"x".repeat(2_001)).is_none());
        assert_eq!(Check::Anything.of("email"), Check::Email, "email is always checked");
    }
}
