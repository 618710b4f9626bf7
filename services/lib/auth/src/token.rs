//! What a token says, and verifying it: one way for all signed tokens.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use frontdesk_clock::{Clock, Time};
use frontdesk_db::AccountId;
use frontdesk_proto::characters::{is_directional, is_line_break, is_zero_width};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, errors::ErrorKind};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::caller::CallerKind;

/// Maximum length of a token in bytes; a longer one is refused before it is decoded.
const MAX_LENGTH: usize = 8 * 1024;
/// Maximum length of a subject in characters.
const MAX_SUBJECT_LENGTH: usize = 128;
/// A time from which on it is one in milliseconds, as JavaScript counts them: in seconds it is in the year 5138.
const MIN_MILLISECONDS: i64 = 100_000_000_000;

/// The claims of a development token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// The issuer.
    pub iss: String,
    /// The audience: always `frontdesk`.
    pub aud: String,
    /// The subject: an agent's or bot's UUID, or an id of the platform's choice for a visitor (1 to 128 characters).
    pub sub: String,
    /// The account.
    pub account: AccountId,
    /// The kind of the caller.
    pub kind: CallerKind,
    /// The permissions; agents and administrators only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<String>,
    /// The caller's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The visitor's mail address, which the issuer has verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Issued at, seconds since 1970.
    pub iat: i64,
    /// Not before, seconds since 1970.
    pub nbf: i64,
    /// Expires at, seconds since 1970.
    pub exp: i64,
}

/// Why a token is not accepted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TokenError {
    /// The issuer, audience or a time is wrong, or a claim is missing.
    #[error("the token is not valid: {0}")]
    Invalid(String),
    /// The signature does not match the key: another key may be tried.
    #[error("the token is not valid: it was signed with another key")]
    UnknownKey,
    /// The issuer's keys, or the state of a visitor's key, cannot be read now.
    #[error("the token cannot be checked now: {0}")]
    Unavailable(String),
}

impl TokenError {
    pub(crate) fn invalid(why: impl Into<String>) -> Self {
        Self::Invalid(why.into())
    }
}

/// The header and issuer of a token whose signature is not verified yet: for choosing the key, and nothing else.
pub(crate) struct UnverifiedHeader {
    pub(crate) algorithm: Algorithm,
    pub(crate) key_id: Option<String>,
    pub(crate) issuer: String,
}

/// Reads the header of a token, and refuses one that is not valid under any key.
pub(crate) fn unverified_header(token: &str) -> Result<UnverifiedHeader, TokenError> {
    let malformed = || TokenError::invalid("it is not a JSON Web Token");
    if token.len() > MAX_LENGTH {
        return Err(TokenError::invalid("it is longer than 8 KiB"));
    }
    let mut parts = token.split('.');
    let (Some(header), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(malformed());
    };
    let part =
        |part: &str| -> Option<Map<String, Value>> { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok() };
    let (header, claims) = (part(header).ok_or_else(malformed)?, part(claims).ok_or_else(malformed)?);
    // A critical extension that is not understood makes the token invalid (RFC 7515, 4.1.11).
    if header.contains_key("crit") {
        return Err(TokenError::invalid("its header demands extensions that are not known"));
    }
    if let Some(kind) = header.get("typ")
        && !kind.as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("jwt") || kind.eq_ignore_ascii_case("at+jwt"))
    {
        return Err(TokenError::invalid("it is not of type JWT"));
    }
    let algorithm = header.get("alg").and_then(Value::as_str).and_then(|name| name.parse().ok());
    let key_id = match header.get("kid") {
        None => None,
        Some(Value::String(id)) => Some(id.clone()),
        Some(_) => return Err(malformed()),
    };
    Ok(UnverifiedHeader {
        algorithm: algorithm.ok_or_else(|| TokenError::invalid("its algorithm is not one that is accepted"))?,
        key_id,
        issuer: claims.get("iss").and_then(Value::as_str).unwrap_or_default().to_owned(),
    })
}

/// What a token must satisfy.
pub(crate) struct Expected<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) issuer: &'a str,
    pub(crate) audience: &'a str,
    /// How far the clocks of the issuer and the server may differ.
    pub(crate) leeway: Duration,
    /// Longest time from `nbf` to `exp`. None: any.
    pub(crate) max_lifetime: Option<Duration>,
    /// Whether the claim `nbf` is required.
    pub(crate) require_nbf: bool,
}

/// The claims of a token that was signed with this key, is as expected and has not expired; and when it expires.
pub(crate) fn verify(
    token: &str,
    key: &DecodingKey,
    expected: &Expected<'_>,
    clock: &Clock,
) -> Result<(Map<String, Value>, Time), TokenError> {
    let mut validation = Validation::new(expected.algorithm);
    validation.set_audience(&[expected.audience]);
    validation.set_issuer(&[expected.issuer]);
    validation.set_required_spec_claims(&["iss", "aud"]);
    // The library compares the times with the machine's clock, and takes one of another type for missing; check_times compares them
    // with the movable clock.
    validation.validate_exp = false;
    let claims = jsonwebtoken::decode::<Map<String, Value>>(token, key, &validation).map_err(from_library)?.claims;
    let expires_at = check_times(&claims, expected, clock)?;
    Ok((claims, expires_at))
}

/// Checks `nbf` and `exp`, and returns the latter.
fn check_times(claims: &Map<String, Value>, expected: &Expected<'_>, clock: &Clock) -> Result<Time, TokenError> {
    let seconds = |name: &str| time_claim(name, claims.get(name));
    let now = clock.now().0 / 1_000_000;
    let not_before = if expected.require_nbf || claims.contains_key("nbf") { seconds("nbf")? } else { now };
    let expires = seconds("exp")?;
    let leeway = i64::try_from(expected.leeway.as_secs()).unwrap_or(i64::MAX);
    if expires.saturating_add(leeway) <= now {
        return Err(TokenError::invalid("it has expired"));
    }
    if not_before.saturating_sub(leeway) > now {
        return Err(TokenError::invalid("it is not valid yet"));
    }
    if let Some(max_lifetime) = expected.max_lifetime
        && expires.saturating_sub(not_before) > i64::try_from(max_lifetime.as_secs()).unwrap_or(i64::MAX)
    {
        let hours = max_lifetime.as_secs() / 3600;
        let why = format!("it must end at most {hours} hours after it begins, both in whole seconds since 1970");
        return Err(TokenError::Invalid(why));
    }
    Ok(Time(expires.saturating_mul(1_000_000)))
}

/// A time in a token, in seconds since 1970.
fn time_claim(name: &str, value: Option<&Value>) -> Result<i64, TokenError> {
    let mistake = match value {
        None => "is missing: it must be",
        Some(value) => match value.as_i64() {
            Some(seconds) if seconds < MIN_MILLISECONDS => return Ok(seconds),
            Some(_) => "is in milliseconds: it must be",
            None if value.is_string() => "is a text: it must be a number,",
            None => "must be",
        },
    };
    Err(TokenError::Invalid(format!("its claim {name} {mistake} a whole number of seconds since 1970")))
}

fn from_library(error: jsonwebtoken::errors::Error) -> TokenError {
    TokenError::Invalid(match error.kind() {
        ErrorKind::InvalidSignature => return TokenError::UnknownKey,
        ErrorKind::InvalidToken => "it is not a JSON Web Token".into(),
        ErrorKind::InvalidAudience => "it is for another audience".into(),
        ErrorKind::InvalidIssuer => "it is of another issuer".into(),
        ErrorKind::InvalidAlgorithm => "its algorithm is not one that is accepted".into(),
        ErrorKind::MissingRequiredClaim(claim) => format!("its claim {claim} is missing"),
        _ => error.to_string(),
    })
}

/// A subject in the spelling in which it is stored and compared: a UUID in lower case; for visitors and administrators it may be
/// another text.
pub(crate) fn subject(kind: CallerKind, subject: &str) -> Result<String, TokenError> {
    match kind {
        CallerKind::Agent | CallerKind::Bot => subject
            .parse::<uuid::Uuid>()
            .map(|id| id.to_string())
            .map_err(|_| TokenError::invalid("the subject of an agent or bot must be a UUID")),
        _ if subject.is_empty()
            || subject.chars().count() > MAX_SUBJECT_LENGTH
            || subject.chars().any(is_deceptive) =>
        {
            let rule = "its subject must be 1 to 128 characters without control characters";
            Err(TokenError::invalid(rule))
        }
        _ => Ok(subject.parse::<uuid::Uuid>().map_or_else(|_| subject.to_owned(), |id| id.to_string())),
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

    #[test]
    fn i22_a_time_that_is_not_in_seconds_is_named_with_what_is_wrong() {
        let mistake = |value: Option<Value>| time_claim("nbf", value.as_ref()).unwrap_err().to_string();
        assert_eq!(time_claim("nbf", Some(&json!(1_795_000_000))).ok(), Some(1_795_000_000));
        for (value, words) in [
            (None, "nbf is missing: it must be a whole number of seconds"),
            (Some(json!("1795000000")), "nbf is a text: it must be a number, a whole number of seconds"),
            (Some(json!(1_795_000_000_000_i64)), "nbf is in milliseconds: it must be a whole number of seconds"),
            (Some(json!(1_795_000_000.5)), "nbf must be a whole number of seconds"),
        ] {
            let mistake = mistake(value);
            assert!(mistake.contains(words), "{mistake}");
        }
    }

    #[test]
    fn s5_a_subject_has_one_spelling_and_no_deceptive_characters() {
        let spelt = |kind, text: &str| subject(kind, text).ok();
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
