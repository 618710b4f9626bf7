//! Tokens that an account's own back end mints for its visitors, with a key that Frontdesk gave it.
//!
//! The key belongs to a scope (a UUID of the account's) and has a number; a token names both in its `kid`, as
//! `<scope>.<number>`. Its secret is derived from the installation's, so that the signature is checked without a query; then
//! the [`VisitorKeyStore`] says whether the key is still active.

use std::time::Duration;

use frontdesk_db::AccountId;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    caller::{Actor, Caller, CallerKind},
    claims::Claim,
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
    let claimed = jsonwebtoken::dangerous::insecure_decode_claims::<Map<String, Value>>(token)
        .map_err(|_| TokenError::invalid("it is not a JSON Web Token"))?;
    let account = Claim { name: "account", value: claimed.get("account") }.account()?;
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
    for secret in installation_secret.derive_all(account, scope, number) {
        let key = DecodingKey::from_secret(secret.as_bytes());
        verified = token::verify(token, &key, &expected, installation_secret.clock());
        if !matches!(verified, Err(TokenError::UnknownKey)) {
            break;
        }
    }
    let (claims, ends) = verified.map_err(|error| match error {
        TokenError::UnknownKey => TokenError::invalid(
            "it was signed with another key: kid must name the key that signed it, and the claim account the account of that key",
        ),
        error => error,
    })?;
    let claim = |name| Claim { name, value: claims.get(name) };
    let text = |name| claim(name).optional_text("a text").map(|text| text.map(str::to_owned));
    // Two scopes of an account may use the same subject for different people.
    let id = format!("{scope}/{}", claim("sub").subject(CallerKind::Visitor)?);
    Ok(Caller {
        account,
        kind: CallerKind::Visitor,
        actor: Actor { kind: CallerKind::Visitor, id },
        name: text("name")?,
        email: text("email")?,
        permissions: Default::default(),
        scope: Some(scope),
        ends: Some(ends),
    })
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header};
    use serde_json::json;

    use super::*;

    #[test]
    fn i22_a_visitor_token_that_is_refused_names_what_is_wrong_with_it() {
        let (scope, account) = (Uuid::from_u128(3), AccountId(Uuid::from_u128(7)));
        let clock = frontdesk_clock::Clock::system();
        let installation = InstallationSecret::from_development_key(&[7; 48], &clock);
        let secret = installation.derive(installation.current_id(), account, scope, 1).unwrap();
        let now = clock.now().0 / 1_000_000;
        let verified = |header: &Header, change: &dyn Fn(&mut Value)| {
            let mut claims = json!({
                "iss": scope, "aud": "frontdesk", "sub": "mario", "account": account, "nbf": now, "exp": now + 60
            });
            change(&mut claims);
            let token = jsonwebtoken::encode(header, &claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap();
            verify(&token, (scope, 1), &installation, "frontdesk", Duration::ZERO)
        };
        let header = Header::new(Algorithm::HS256);
        assert!(verified(&header, &|_| ()).is_ok());
        assert!(verified(&header, &|claims| claims["name"] = Value::Null).is_ok());
        for (name, value, mistake) in [
            ("account", Value::Null, "its claim account is missing: it must be the account's UUID"),
            ("account", json!(Uuid::from_u128(8)), "the claim account the account of that key"),
            ("sub", json!(5), "its claim sub is a number"),
            ("name", json!(5), "its claim name is a number: it must be a text"),
            ("email", json!(["a@b.example"]), "its claim email is a list: it must be a text"),
            ("aud", json!("others"), "its claim aud must be \"frontdesk\""),
            ("aud", Value::Null, "its claim aud must be \"frontdesk\""),
            ("iss", json!("shop"), "its claim iss must be \"00000000-0000-0000-0000-000000000003\""),
        ] {
            let refused = verified(&header, &|claims| claims[name] = value.clone()).err().unwrap().to_string();
            assert!(refused.contains(mistake), "{name} {value}: {refused}");
        }
    }
}
