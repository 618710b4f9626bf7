//! Tokens that an account's own back end mints for its visitors, with a key that Frontdesk gave it.
//!
//! The key belongs to a scope (a UUID of the account's) and has a number; a token names both in its `kid`, as
//! `<scope>.<number>`. Its secret is derived from the installation's, so that the signature is checked without a query; then
//! the [`VisitorKeyStore`] says whether the key is still active.

use std::time::Duration;

use frontdesk_db::AccountId;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    caller::{Actor, Caller, CallerKind},
    installation_secret::InstallationSecret,
    token::{self, Expected, TokenError, UnverifiedHeader},
};

/// Longest time from `nbf` to `exp`: short, since a stolen token works until it expires.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// The keys of visitors' tokens.
#[async_trait::async_trait]
pub trait VisitorKeyStore: Send + Sync {
    /// Whether the scope's key with this number is active now. An error: it cannot be looked up now.
    async fn is_active(&self, account: AccountId, scope: Uuid, number: i32) -> Result<bool, String>;
}

/// The claims of a visitor token; more are allowed and ignored.
#[derive(Deserialize)]
struct VisitorClaims {
    sub: String,
    account: AccountId,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    email: Option<String>,
}

/// The key of a visitor token: a scope and a number.
pub(crate) type VisitorKeyId = (Uuid, i32);

/// Checks that the key that signed a token is still active.
pub(crate) async fn require_active(
    keys: &dyn VisitorKeyStore,
    account: AccountId,
    (scope, number): VisitorKeyId,
) -> Result<(), TokenError> {
    match keys.is_active(account, scope, number).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(TokenError::invalid("its key was replaced; sign with the newest one")),
        Err(why) => Err(TokenError::Unavailable(why)),
    }
}

/// The key that a token names as `<scope>.<number>`. None: it names no key of this form.
pub(crate) fn key_id(header: &UnverifiedHeader) -> Option<VisitorKeyId> {
    let (scope, number) = header.key_id.as_deref()?.split_once('.')?;
    let (id, count) = (scope.parse::<Uuid>().ok()?, number.parse::<i32>().ok().filter(|number| *number > 0)?);
    // One spelling only: the issuer in the token is compared as text.
    (id.to_string() == scope && count.to_string() == number).then_some((id, count))
}

/// The visitor that a token names.
pub(crate) fn verify(
    token: &str,
    (scope, number): VisitorKeyId,
    installation_secret: &InstallationSecret,
    audience: &str,
    leeway: Duration,
) -> Result<Caller, TokenError> {
    // Not verified yet: with another account another secret is derived, and the signature does not match.
    let claimed = jsonwebtoken::dangerous::insecure_decode_claims::<VisitorClaims>(token).map_err(|_| {
        TokenError::invalid("its claims must be: sub, a text; account, a UUID; name and email, texts if they are there")
    })?;
    let issuer = scope.to_string();
    let expected = Expected {
        algorithm: Algorithm::HS256,
        issuer: &issuer,
        audience,
        leeway,
        max_lifetime: Some(MAX_LIFETIME),
        require_nbf: true,
    };
    let mut verified = Err(TokenError::UnknownKey);
    for secret in installation_secret.derive_all(claimed.account, scope, number) {
        let key = DecodingKey::from_secret(secret.as_bytes());
        verified = token::verify(token, &key, &expected, installation_secret.clock());
        if !matches!(verified, Err(TokenError::UnknownKey)) {
            break;
        }
    }
    let (claims, ends) = verified?;
    let claims: VisitorClaims =
        serde_json::from_value(Value::Object(claims)).map_err(|error| TokenError::invalid(error.to_string()))?;
    // Two scopes of an account may use the same subject for different people.
    let id = format!("{scope}/{}", token::subject(CallerKind::Visitor, &claims.sub)?);
    Ok(Caller {
        account: claims.account,
        kind: CallerKind::Visitor,
        actor: Actor { kind: CallerKind::Visitor, id },
        name: claims.name,
        email: claims.email,
        permissions: Default::default(),
        scope: Some(scope),
        ends: Some(ends),
    })
}
