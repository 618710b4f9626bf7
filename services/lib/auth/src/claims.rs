//! The claims of a verified token, read one by one, so that an error names the one that is wrong.

use frontdesk_db::AccountId;
use frontdesk_proto::characters::{is_directional, is_line_break, is_zero_width};
use serde_json::Value;
use uuid::Uuid;

use crate::{caller::CallerKind, token::TokenError};

/// Maximum length of a subject in characters.
const MAX_SUBJECT_LENGTH: usize = 128;
/// A time from which on it is one in milliseconds, as JavaScript counts them: in seconds it is in the year 5138.
const MIN_MILLISECONDS: i64 = 100_000_000_000;

/// A claim with its name, which an issuer's settings may change. No value: the token does not have it.
#[derive(Clone, Copy)]
pub(crate) struct Claim<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: Option<&'a Value>,
}

impl<'a> Claim<'a> {
    /// The text that the token must have. `what` says what it must be.
    pub(crate) fn text(self, what: &str) -> Result<&'a str, TokenError> {
        self.optional_text(what)?.ok_or_else(|| self.mistake(&format!("is missing: it must be {what}")))
    }

    /// The text. None: it is missing, or null.
    pub(crate) fn optional_text(self, what: &str) -> Result<Option<&'a str>, TokenError> {
        match self.value {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(value) => Err(self.mistake(&format!("is {}: it must be {what}", type_of(value)))),
        }
    }

    /// The account.
    pub(crate) fn account(self) -> Result<AccountId, TokenError> {
        let what = "the account's UUID";
        let id: Result<Uuid, _> = self.text(what)?.parse();
        id.map(AccountId).map_err(|_| self.mistake(&format!("must be {what}")))
    }

    /// The kind of the caller.
    pub(crate) fn kind(self) -> Result<CallerKind, TokenError> {
        let what = "agent, admin, bot or visitor";
        self.text(what)?.parse().map_err(|_| self.mistake(&format!("must be {what}")))
    }

    /// The subject in the spelling in which it is stored and compared: a UUID in lower case; for visitors and administrators it may
    /// be another text.
    pub(crate) fn subject(self, kind: CallerKind) -> Result<String, TokenError> {
        match kind {
            CallerKind::Agent | CallerKind::Bot => {
                let what = format!("the {}'s UUID", kind.as_str());
                let id: Result<Uuid, _> = self.text(&what)?.parse();
                id.map(|id| id.to_string()).map_err(|_| self.mistake(&format!("must be {what}")))
            }
            _ => {
                let what = "a text of 1 to 128 characters without control characters";
                let subject = self.text(what)?;
                let length = subject.chars().count();
                if length == 0 || length > MAX_SUBJECT_LENGTH || subject.chars().any(is_deceptive) {
                    return Err(self.mistake(&format!("must be {what}")));
                }
                Ok(subject.parse::<Uuid>().map_or_else(|_| subject.to_owned(), |id| id.to_string()))
            }
        }
    }

    /// A list of texts. An empty one: the claim is missing.
    pub(crate) fn texts(self) -> Result<Vec<String>, TokenError> {
        let texts = match self.value {
            None => Some(Vec::new()),
            Some(Value::Array(items)) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
            Some(_) => None,
        };
        texts.ok_or_else(|| self.mistake("must be a list of texts"))
    }

    /// A time in seconds since 1970.
    pub(crate) fn time(self) -> Result<i64, TokenError> {
        let mistake = match self.value {
            None => "is missing: it must be",
            Some(value) => match value.as_i64() {
                Some(seconds) if seconds < MIN_MILLISECONDS => return Ok(seconds),
                Some(_) => "is in milliseconds: it must be",
                None if value.is_string() => "is a text: it must be a number,",
                None => "must be",
            },
        };
        Err(self.mistake(&format!("{mistake} a whole number of seconds since 1970")))
    }

    /// The error that says what is wrong with it.
    pub(crate) fn mistake(self, what: &str) -> TokenError {
        TokenError::Invalid(format!("its claim {} {what}", self.name))
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// True: with the character one subject could be shown as another.
fn is_deceptive(character: char) -> bool {
    character.is_control() || is_line_break(character) || is_directional(character) || is_zero_width(character)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claim<'a>(name: &'a str, value: &'a Value) -> Claim<'a> {
        Claim { name, value: Some(value) }
    }

    fn mistake<T>(result: Result<T, TokenError>) -> String {
        result.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn i22_a_time_that_is_not_in_seconds_is_named_with_what_is_wrong() {
        assert_eq!(claim("nbf", &json!(1_795_000_000)).time().ok(), Some(1_795_000_000));
        let missing = mistake(Claim { name: "nbf", value: None }.time());
        assert!(missing.contains("nbf is missing: it must be a whole number of seconds"), "{missing}");
        for (value, words) in [
            (json!("1795000000"), "nbf is a text: it must be a number, a whole number of seconds"),
            (json!(1_795_000_000_000_i64), "nbf is in milliseconds: it must be a whole number of seconds"),
            (json!(1_795_000_000.5), "nbf must be a whole number of seconds"),
        ] {
            let mistake = mistake(claim("nbf", &value).time());
            assert!(mistake.contains(words), "{mistake}");
        }
    }

    #[test]
    fn i22_a_claim_that_is_missing_or_of_another_type_is_named_with_what_it_must_be() {
        let (number, null, list, word) = (json!(5), json!(null), json!([7]), json!("shop"));
        let required = "its claim account is missing: it must be the account's UUID";
        for (mistake, expected) in [
            (mistake(Claim { name: "account", value: None }.account()), required),
            (mistake(claim("account", &null).account()), required),
            (mistake(claim("account", &list).account()), "account is a list: it must be the account's UUID"),
            (mistake(claim("account", &word).account()), "its claim account must be the account's UUID"),
            (mistake(claim("sub", &number).subject(CallerKind::Visitor)), "sub is a number: it must be a text of 1"),
            (mistake(claim("id", &word).subject(CallerKind::Agent)), "its claim id must be the agent's UUID"),
            (mistake(claim("name", &number).optional_text("a text")), "name is a number: it must be a text"),
            (mistake(claim("kind", &word).kind()), "its claim kind must be agent, admin, bot or visitor"),
            (mistake(claim("permissions", &word).texts()), "its claim permissions must be a list of texts"),
        ] {
            assert!(mistake.contains(expected), "{mistake}");
        }
        assert_eq!(claim("name", &null).optional_text("a text").ok(), Some(None));
    }

    #[test]
    fn s5_a_subject_has_one_spelling_and_no_deceptive_characters() {
        let spelt = |kind, text: &str| Claim { name: "sub", value: Some(&json!(text)) }.subject(kind).ok();
        let id = "01890A5D-AC96-774B-BCCE-B302099A8057";
        for kind in [CallerKind::Agent, CallerKind::Bot, CallerKind::Visitor] {
            assert_eq!(spelt(kind, id), Some(id.to_ascii_lowercase()));
        }
        assert_eq!(spelt(CallerKind::Visitor, "Zoë 👩\u{200D}💻"), Some("Zoë 👩\u{200D}💻".into()));
        assert_eq!(spelt(CallerKind::Agent, "ada"), None);
        for odd in ["", "a\0", "a\u{202E}b", "a\u{2066}b", "a\u{200F}", "a\u{200B}", "\u{FEFF}a", "a\u{2028}b", "a\nb"]
        {
            assert_eq!(spelt(CallerKind::Visitor, odd), None, "{odd:?}");
        }
        assert_eq!(spelt(CallerKind::Admin, &"é".repeat(128)), Some("é".repeat(128)));
        assert_eq!(spelt(CallerKind::Admin, &"é".repeat(129)), None);
    }
}
