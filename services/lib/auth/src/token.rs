//! What a token says, and reading it: one way for every token that is signed.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use frontdesk_clock::{Clock, Time};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, errors::ErrorKind};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{AccountId, Kind};

/// No issuer needs more; what is longer is not even looked at.
const LONGEST: usize = 8 * 1024;

/// The claims of a development token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// For whom: always `frontdesk`.
    pub aud: String,
    /// Whose it is: an agent's or bot's UUID, the platform's own word for a visitor (1 to 128 characters).
    pub sub: String,
    /// The account.
    pub account: AccountId,
    /// The kind of the caller.
    pub kind: Kind,
    /// What it permits; agents and administrators only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<String>,
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Address of the visitor that the issuer vouches for.
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
    /// The signature, issuer, audience or a time is wrong, or a claim is missing.
    #[error("the token is not valid: {0}")]
    Invalid(String),
    /// Nobody can tell now: the issuer's keys, or what is known of a key, cannot be had.
    #[error("the token cannot be checked now: {0}")]
    Unavailable(String),
}

/// The one refusal after which another key may be tried.
const FOREIGN: &str = "it was signed with another key";

impl TokenError {
    pub(crate) fn is_foreign(&self) -> bool {
        matches!(self, Self::Invalid(why) if why == FOREIGN)
    }

    pub(crate) fn foreign() -> Self {
        Self::invalid(FOREIGN)
    }

    pub(crate) fn invalid(why: impl Into<String>) -> Self {
        Self::Invalid(why.into())
    }
}

/// What a token's head says before anybody has checked it: only good for choosing the key.
pub(crate) struct Head {
    pub(crate) algorithm: Algorithm,
    pub(crate) key_id: Option<String>,
    /// As it claims.
    pub(crate) issuer: String,
}

/// Reads the head of a token, and refuses what can be no good one whatever its key.
pub(crate) fn head(token: &str) -> Result<Head, TokenError> {
    let no_token = || TokenError::invalid("it is no token");
    if token.len() > LONGEST {
        return Err(TokenError::invalid("it is longer than 8 KiB"));
    }
    let mut parts = token.split('.');
    let (Some(header), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(no_token());
    };
    let part =
        |part: &str| -> Option<Map<String, Value>> { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok() };
    let (header, claims) = (part(header).ok_or_else(no_token)?, part(claims).ok_or_else(no_token)?);
    // What must be understood, and is not, makes a token void (RFC 7515, 4.1.11).
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
        Some(_) => return Err(no_token()),
    };
    Ok(Head {
        algorithm: algorithm.ok_or_else(|| TokenError::invalid("its algorithm is not one that is accepted"))?,
        key_id,
        issuer: claims.get("iss").and_then(Value::as_str).unwrap_or_default().to_owned(),
    })
}

/// What a token must be.
pub(crate) struct Expected<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) issuer: &'a str,
    pub(crate) audience: &'a str,
    /// Clocks may differ by so much.
    pub(crate) leeway: Duration,
    /// From its beginning to its end at most.
    pub(crate) longest: Option<Duration>,
    /// It must say when it begins.
    pub(crate) begins: bool,
}

/// The claims of a token that was signed with this key, is as expected, and is within its times; and when it ends.
pub(crate) fn read(
    token: &str,
    key: &DecodingKey,
    expected: &Expected<'_>,
    clock: &Clock,
) -> Result<(Map<String, Value>, Time), TokenError> {
    let mut validation = Validation::new(expected.algorithm);
    validation.set_audience(&[expected.audience]);
    validation.set_issuer(&[expected.issuer]);
    let required: &[&str] = if expected.begins { &["exp", "nbf", "iss", "aud"] } else { &["exp", "iss", "aud"] };
    validation.set_required_spec_claims(required);
    // The library asks the machine's clock; ours can be moved, so the times are compared here.
    validation.validate_exp = false;
    let claims = jsonwebtoken::decode::<Map<String, Value>>(token, key, &validation).map_err(explain)?.claims;

    let seconds = |name: &str| {
        let value = claims.get(name).and_then(Value::as_i64);
        value.ok_or_else(|| {
            TokenError::invalid(format!("its claim {name} must be a whole number of seconds since 1970"))
        })
    };
    let now = clock.now().0 / 1_000_000;
    let begins = if expected.begins || claims.contains_key("nbf") { seconds("nbf")? } else { now };
    let ends = seconds("exp")?;
    let leeway = i64::try_from(expected.leeway.as_secs()).unwrap_or(i64::MAX);
    if ends.saturating_add(leeway) <= now {
        return Err(TokenError::invalid("it has expired"));
    }
    if begins.saturating_sub(leeway) > now {
        return Err(TokenError::invalid("it is not valid yet"));
    }
    if let Some(longest) = expected.longest
        && ends.saturating_sub(begins) > i64::try_from(longest.as_secs()).unwrap_or(i64::MAX)
    {
        let hours = longest.as_secs() / 3600;
        let why = format!("it must end at most {hours} hours after it begins, both in whole seconds since 1970");
        return Err(TokenError::Invalid(why));
    }
    Ok((claims, Time(ends.saturating_mul(1_000_000))))
}

fn explain(error: jsonwebtoken::errors::Error) -> TokenError {
    TokenError::Invalid(match error.kind() {
        ErrorKind::InvalidSignature => FOREIGN.into(),
        ErrorKind::InvalidToken => "it is no token".into(),
        ErrorKind::InvalidAudience => "it is for another audience".into(),
        ErrorKind::InvalidIssuer => "it is of another issuer".into(),
        ErrorKind::InvalidAlgorithm => "its algorithm is not one that is accepted".into(),
        ErrorKind::MissingRequiredClaim(claim) => format!("its claim {claim} is missing"),
        _ => error.to_string(),
    })
}

/// A subject as it counts from here on: a UUID in one spelling for agents and bots, else the issuer's own word.
pub(crate) fn subject(kind: Kind, subject: &str) -> Result<String, TokenError> {
    match kind {
        Kind::Agent | Kind::Bot => subject
            .parse::<uuid::Uuid>()
            .map(|id| id.to_string())
            .map_err(|_| TokenError::invalid("the subject of an agent or bot must be a UUID")),
        _ if subject.is_empty()
            || subject.chars().count() > 128
            || subject.chars().any(|character| character.is_control() || is_directional(character)) =>
        {
            let rule = "its subject must be 1 to 128 characters without control characters";
            Err(TokenError::invalid(rule))
        }
        _ => Ok(subject.parse::<uuid::Uuid>().map_or_else(|_| subject.to_owned(), |id| id.to_string())),
    }
}

/// Turns the direction of what follows: one subject could be shown as another.
fn is_directional(character: char) -> bool {
    matches!(character, '\u{061C}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}
