//! Tokens that an account's own back end mints for its visitors, with a key that we handed to it.
//!
//! The key belongs to a scope (a UUID of the account's) and has a number: a token names both in its `kid`, as
//! `<scope>.<number>`. Its secret is derived from the installation's, so that the signature is checked without asking anybody;
//! then whoever keeps the keys is asked whether this one is still good.

use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    AccountId, Actor, Caller, Keyring, Kind, TokenError,
    token::{self, Expected, Head},
};

/// From `nbf` to `exp` at most: short, since a token that got away works until it ends.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Knows which keys of a scope are good.
#[async_trait::async_trait]
pub trait ScopedKeys: Send + Sync {
    /// Is the scope's key with this number good now? An error: nobody can tell now.
    async fn is_good(&self, account: AccountId, scope: Uuid, number: i32) -> Result<bool, String>;
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

/// Is the key that signed a token still good?
pub(crate) async fn is_good(
    keys: &dyn ScopedKeys,
    account: AccountId,
    (scope, number): (Uuid, i32),
) -> Result<(), TokenError> {
    match keys.is_good(account, scope, number).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(TokenError::invalid("its key was replaced; sign with the newest one")),
        Err(why) => Err(TokenError::Unavailable(why)),
    }
}

/// `<scope>.<number>`
pub(crate) fn key_id(head: &Head) -> Option<(Uuid, i32)> {
    let (scope, number) = head.key_id.as_deref()?.split_once('.')?;
    let (id, count) = (scope.parse::<Uuid>().ok()?, number.parse::<i32>().ok().filter(|number| *number > 0)?);
    // One spelling only: what is signed is compared.
    (id.to_string() == scope && count.to_string() == number).then_some((id, count))
}

pub(crate) fn verify(
    token: &str,
    (scope, number): (Uuid, i32),
    keyring: &Keyring,
    audience: &str,
    leeway: Duration,
) -> Result<Caller, TokenError> {
    // As claimed: another account's derives another secret.
    let claimed = jsonwebtoken::dangerous::insecure_decode_claims::<VisitorClaims>(token).map_err(|_| {
        TokenError::invalid("its claims must be: sub, a text; account, a UUID; name and email, texts if they are there")
    })?;
    let issuer = scope.to_string();
    let expected = Expected {
        algorithm: Algorithm::HS256,
        issuer: &issuer,
        audience,
        leeway,
        longest: Some(LONGEST),
        begins: true,
    };
    let mut read = Err(TokenError::foreign());
    for secret in keyring.scoped_secrets(claimed.account, scope, number) {
        read = token::read(token, &DecodingKey::from_secret(secret.as_bytes()), &expected, keyring.clock());
        if !matches!(&read, Err(error) if error.is_foreign()) {
            break;
        }
    }
    let (claims, ends) = read?;
    let claims: VisitorClaims =
        serde_json::from_value(Value::Object(claims)).map_err(|error| TokenError::invalid(error.to_string()))?;
    // Two scopes of an account may use one word for two people.
    let id = format!("{scope}/{}", token::subject(Kind::Visitor, &claims.sub)?);
    Ok(Caller {
        account: claims.account,
        kind: Kind::Visitor,
        actor: Actor { kind: Kind::Visitor, id },
        name: claims.name,
        email: claims.email,
        permissions: Default::default(),
        scope: Some(scope),
        ends: Some(ends),
    })
}
