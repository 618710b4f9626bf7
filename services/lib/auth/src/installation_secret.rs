//! The installation's own secret: it signs page tokens, and all secrets that are handed out are derived from it, so that none
//! is stored.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use frontdesk_clock::{Clock, Time};
use frontdesk_db::AccountId;
use frontdesk_settings::Secret;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::token::{self, Expected, TokenError};

/// The issuer of tokens that the installation's secret signs.
pub(crate) const ISSUER: &str = "frontdesk";
/// Minimum length of a secret in bytes.
const MIN_LENGTH: usize = 32;

/// The secret is too short.
#[derive(Debug, thiserror::Error)]
#[error("{setting} must be at least 32 bytes of random data; make one with: openssl rand -base64 48")]
pub struct WeakSecret {
    setting: &'static str,
}

/// The installation's secret, and the previous one while tokens that it signed are still valid. Clones share them.
#[derive(Clone)]
pub struct InstallationSecret {
    /// The current secret first.
    keys: Arc<Vec<Key>>,
    clock: Clock,
}

struct Key {
    id: String,
    key: hmac::Key,
}

impl Key {
    fn new(secret: &[u8]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let id = hmac::sign(&key, b"id").as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Self { id, key }
    }

    /// A secret for one purpose. The length before each part keeps different lists of parts different.
    fn derive(&self, parts: &[&[u8]]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.sign()
    }

    fn derive_for_scope(&self, account: AccountId, scope: Uuid, number: i32) -> String {
        let number = number.to_be_bytes();
        URL_SAFE_NO_PAD.encode(self.derive(&[b"scoped", account.0.as_bytes(), scope.as_bytes(), &number]))
    }
}

impl InstallationSecret {
    /// The current secret and the previous one, which may be empty.
    pub fn try_new(secret: &Secret, previous: &Secret, clock: &Clock) -> Result<Self, WeakSecret> {
        if secret.expose().len() < MIN_LENGTH {
            return Err(WeakSecret { setting: "identity.secret" });
        }
        if !previous.is_empty() && previous.expose().len() < MIN_LENGTH {
            return Err(WeakSecret { setting: "identity.previous_secret" });
        }
        let secrets = [secret, previous].into_iter().filter(|secret| !secret.is_empty());
        let keys = secrets.map(|secret| Key::new(secret.expose().as_bytes())).collect();
        Ok(Self { keys: Arc::new(keys), clock: clock.clone() })
    }

    /// The development key as the installation's secret.
    pub(crate) fn from_development_key(key: &[u8], clock: &Clock) -> Self {
        Self { keys: Arc::new(vec![Key::new(key)]), clock: clock.clone() }
    }

    /// Signs content for one audience, valid for this time from now.
    pub fn sign<T: Serialize>(&self, audience: &str, valid: Duration, content: &T) -> Result<String, TokenError> {
        self.sign_until(audience, self.clock.now().plus(valid), content)
    }

    /// Signs content for one audience, valid until this time.
    pub fn sign_until<T: Serialize>(
        &self,
        audience: &str,
        expires_at: Time,
        content: &T,
    ) -> Result<String, TokenError> {
        #[derive(Serialize)]
        struct Signed<'a, T> {
            iss: &'a str,
            aud: &'a str,
            // Valid at once, also at another replica whose clock is behind this one's.
            nbf: i64,
            exp: i64,
            #[serde(rename = "said")]
            content: &'a T,
        }
        let exp = expires_at.0 / 1_000_000;
        let signed = Signed { iss: ISSUER, aud: audience, nbf: 0, exp, content };
        let current = self.keys.first().ok_or_else(|| TokenError::invalid("there is no secret"))?;
        let key = EncodingKey::from_secret(current.derive(&[b"signed"]).as_ref());
        let header = Header { kid: Some(current.id.clone()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, &signed, &key).map_err(|error| TokenError::invalid(error.to_string()))
    }

    /// The content of a token that was signed for this audience and has not expired.
    pub fn verify<T: DeserializeOwned>(&self, token: &str, audience: &str) -> Result<T, TokenError> {
        self.verify_with_expiry(token, audience).map(|(content, _)| content)
    }

    /// The same, and when the token expires.
    pub(crate) fn verify_with_expiry<T: DeserializeOwned>(
        &self,
        token: &str,
        audience: &str,
    ) -> Result<(T, Time), TokenError> {
        let header = token::unverified_header(token)?;
        let key = self.keys.iter().find(|key| header.key_id.as_deref() == Some(&key.id));
        let key = key.ok_or(TokenError::UnknownKey)?;
        let expected = Expected {
            algorithm: Algorithm::HS256,
            issuer: ISSUER,
            audience,
            leeway: Duration::ZERO,
            max_lifetime: None,
            require_nbf: true,
        };
        let secret = DecodingKey::from_secret(key.derive(&[b"signed"]).as_ref());
        let (mut claims, expires_at) = token::verify(token, &secret, &expected, &self.clock)?;
        let content = claims.remove("said").unwrap_or_default();
        let content = serde_json::from_value(content).map_err(|error| TokenError::invalid(error.to_string()))?;
        Ok((content, expires_at))
    }

    /// The id of the current secret, for [`InstallationSecret::derive`].
    pub fn current_id(&self) -> &str {
        self.keys.first().map_or("", |key| &key.id)
    }

    /// The secret of a scope's key with this number, derived from the installation's secret with this id. None: that secret
    /// is neither the current nor the previous one.
    pub fn derive(&self, id: &str, account: AccountId, scope: Uuid, number: i32) -> Option<String> {
        let key = self.keys.iter().find(|key| key.id == id)?;
        Some(key.derive_for_scope(account, scope, number))
    }

    /// The same, derived from the current and from the previous secret.
    pub(crate) fn derive_all(&self, account: AccountId, scope: Uuid, number: i32) -> impl Iterator<Item = String> {
        self.keys.iter().map(move |key| key.derive_for_scope(account, scope, number))
    }

    /// The clock that decides whether a token has expired.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn secret(character: char) -> Secret {
        Secret::from(character.to_string().repeat(48))
    }

    #[test]
    fn s5_a_token_is_valid_under_its_secret_for_its_audience_until_it_expires() {
        let clock = Clock::system();
        let installation = InstallationSecret::try_new(&secret('a'), &Secret::default(), &clock).unwrap();
        let token = installation.sign("them", MINUTE, &7).unwrap();
        assert_eq!(installation.verify::<i32>(&token, "them").unwrap(), 7);
        assert!(installation.verify::<i32>(&token, "others").is_err());

        let rotated = InstallationSecret::try_new(&secret('b'), &secret('a'), &clock).unwrap();
        assert_eq!(rotated.verify::<i32>(&token, "them").unwrap(), 7, "the previous secret still verifies");
        let newer = rotated.sign("them", MINUTE, &7).unwrap();
        assert!(matches!(installation.verify::<i32>(&newer, "them"), Err(TokenError::UnknownKey)));
        let without_previous = InstallationSecret::try_new(&secret('b'), &Secret::default(), &clock).unwrap();
        assert!(matches!(without_previous.verify::<i32>(&token, "them"), Err(TokenError::UnknownKey)));

        clock.advance(Duration::from_secs(61)).unwrap();
        assert!(installation.verify::<i32>(&token, "them").is_err(), "it has expired");
        assert!(InstallationSecret::try_new(&Secret::from("short".to_owned()), &Secret::default(), &clock).is_err());
    }

    #[test]
    fn s5_a_token_with_a_flipped_bit_is_refused() {
        let installation = InstallationSecret::try_new(&secret('a'), &Secret::default(), &Clock::system()).unwrap();
        let token = installation.sign("them", MINUTE, &("cursor", 7)).unwrap();
        let mut flipped = 0;
        for place in 0..token.len() {
            for bit in 0..8 {
                let mut bytes = token.clone().into_bytes();
                bytes[place] ^= 1 << bit;
                let Ok(text) = String::from_utf8(bytes) else { continue };
                flipped += 1;
                let verified = installation.verify::<(String, i32)>(&text, "them");
                assert!(verified.is_err(), "bit {bit} of byte {place}: {text}");
            }
        }
        assert!(flipped > 1_000);
    }

    #[test]
    fn s5_derived_secrets_differ_by_account_scope_number_and_installation_secret() {
        let clock = Clock::system();
        let installation = InstallationSecret::try_new(&secret('a'), &secret('b'), &clock).unwrap();
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut all: Vec<String> = Vec::new();
        for (account, scope, number) in [(one, one, 1), (two, one, 1), (one, two, 1), (one, one, 2)] {
            all.extend(installation.derive_all(AccountId(account), scope, number));
        }
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 8);
        assert!(all.iter().all(|secret| secret.len() == 43));
        assert!(installation.derive("unknown", AccountId(one), one, 1).is_none());
        let current = installation.derive(installation.current_id(), AccountId(one), one, 1).unwrap();
        assert!(all.contains(&current));
    }
}
