//! What a token says, and verifying it: one way for all signed tokens.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use frontdesk_clock::{Clock, Time};
use frontdesk_db::AccountId;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, errors::ErrorKind};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{caller::CallerKind, claims::Claim};

/// Maximum length of a token in bytes; a longer one is refused before it is decoded.
const MAX_LENGTH: usize = 8 * 1024;

/// The claims of a development token.
#[derive(Clone, Debug, Serialize)]
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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<String>,
    /// The caller's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The visitor's mail address, which the issuer has verified.
    #[serde(skip_serializing_if = "Option::is_none")]
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
    /// It is not in force at this time: it has expired, is not valid yet, or its key was replaced or withdrawn.
    #[error("the token is not valid: {0}")]
    NotInForce(String),
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

    /// The same error of a token whose signature was verified before.
    pub(crate) fn of_verified(self) -> Self {
        match self {
            Self::Invalid(why) => Self::NotInForce(why),
            other => other,
        }
    }
}

/// The header and issuer of a token whose signature is not verified yet: for choosing the key, and nothing else.
pub(crate) struct UnverifiedHeader {
    pub(crate) algorithm: Algorithm,
    pub(crate) key_id: Option<String>,
    pub(crate) issuer: String,
    claims: Map<String, Value>,
}

impl UnverifiedHeader {
    /// Refuses a token that cannot be in force at this time, before the time that its signature takes.
    pub(crate) fn check_times(&self, leeway: Duration, clock: &Clock) -> Result<(), TokenError> {
        let seconds = |name: &str| self.claims.get(name).and_then(Value::as_i64);
        check_force(seconds("nbf"), seconds("exp"), leeway, clock)
    }
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
        Some(_) => return Err(TokenError::invalid("its header kid must be a text: the id of its key, or left out")),
    };
    let issuer = Claim { name: "iss", value: claims.get("iss") }.text("the issuer, a text")?;
    Ok(UnverifiedHeader {
        algorithm: algorithm.ok_or_else(|| TokenError::invalid("its algorithm is not one that is accepted"))?,
        key_id,
        issuer: issuer.to_owned(),
        claims,
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
    let claims = jsonwebtoken::decode::<Map<String, Value>>(token, key, &validation)
        .map_err(|error| from_library(&error, expected))?
        .claims;
    let expires_at = check_times(&claims, expected, clock)?;
    Ok((claims, expires_at))
}

/// Checks `nbf` and `exp`, and returns the latter.
fn check_times(claims: &Map<String, Value>, expected: &Expected<'_>, clock: &Clock) -> Result<Time, TokenError> {
    let seconds = |name: &str| Claim { name, value: claims.get(name) }.time();
    let now = clock.now().0 / 1_000_000;
    let not_before = if expected.require_nbf || claims.contains_key("nbf") { seconds("nbf")? } else { now };
    let expires = seconds("exp")?;
    check_force(Some(not_before), Some(expires), expected.leeway, clock)?;
    if let Some(max_lifetime) = expected.max_lifetime
        && expires.saturating_sub(not_before) > i64::try_from(max_lifetime.as_secs()).unwrap_or(i64::MAX)
    {
        let hours = max_lifetime.as_secs() / 3600;
        let why = format!("it must end at most {hours} hours after it begins, both in whole seconds since 1970");
        return Err(TokenError::Invalid(why));
    }
    Ok(Time(expires.saturating_mul(1_000_000)))
}

/// Fails when a token with these times, in seconds since 1970, is not in force now.
fn check_force(
    not_before: Option<i64>,
    expires: Option<i64>,
    leeway: Duration,
    clock: &Clock,
) -> Result<(), TokenError> {
    let (now, leeway) = (clock.now().0 / 1_000_000, i64::try_from(leeway.as_secs()).unwrap_or(i64::MAX));
    if expires.is_some_and(|expires| expires.saturating_add(leeway) <= now) {
        return Err(TokenError::NotInForce("it has expired".into()));
    }
    if not_before.is_some_and(|not_before| not_before.saturating_sub(leeway) > now) {
        return Err(TokenError::NotInForce("it is not valid yet".into()));
    }
    Ok(())
}

fn from_library(error: &jsonwebtoken::errors::Error, expected: &Expected<'_>) -> TokenError {
    let audience = || format!("its claim aud must be {:?}, or a list with it", expected.audience);
    let issuer = || format!("its claim iss must be {:?}", expected.issuer);
    TokenError::Invalid(match error.kind() {
        ErrorKind::InvalidSignature => return TokenError::UnknownKey,
        ErrorKind::InvalidToken => "it is not a JSON Web Token".into(),
        ErrorKind::InvalidAudience => audience(),
        ErrorKind::InvalidIssuer => issuer(),
        ErrorKind::MissingRequiredClaim(claim) if claim == "aud" => audience(),
        ErrorKind::MissingRequiredClaim(claim) if claim == "iss" => issuer(),
        ErrorKind::InvalidAlgorithm => "its algorithm is not one that is accepted".into(),
        _ => error.to_string(),
    })
}
