//! The installation's own secret: signs page tokens, and every secret that we hand out is derived from it, so that none is
//! stored.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use frontdesk_clock::Clock;
use frontdesk_settings::Secret;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::{
    AccountId, TokenError,
    token::{self, Expected},
};

const ISSUER: &str = "frontdesk";
/// Less cannot be called a secret.
const SHORTEST: usize = 32;

/// The secret is no good.
#[derive(Debug, thiserror::Error)]
#[error("{setting} must be at least 32 bytes of chance; make one with: openssl rand -base64 48")]
pub struct WeakSecret {
    setting: &'static str,
}

/// The installation's secret, and the one before it while what it signed is still about. Clones share them.
#[derive(Clone)]
pub struct Keyring {
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

    /// A secret for one purpose; the lengths keep the parts apart.
    fn derive(&self, parts: &[&[u8]]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.sign()
    }
}

impl Keyring {
    /// The installation's secret, and the one before it; an empty one before it: none.
    pub fn try_new(secret: &Secret, previous: &Secret, clock: &Clock) -> Result<Self, WeakSecret> {
        if secret.expose().len() < SHORTEST {
            return Err(WeakSecret { setting: "identity.secret" });
        }
        if !previous.is_empty() && previous.expose().len() < SHORTEST {
            return Err(WeakSecret { setting: "identity.previous_secret" });
        }
        let secrets = [secret, previous].into_iter().filter(|secret| !secret.is_empty());
        let keys = secrets.map(|secret| Key::new(secret.expose().as_bytes())).collect();
        Ok(Self { keys: Arc::new(keys), clock: clock.clone() })
    }

    /// Of a development key.
    pub(crate) fn of(secret: &[u8], clock: &Clock) -> Self {
        Self { keys: Arc::new(vec![Key::new(secret)]), clock: clock.clone() }
    }

    /// Signs claims for one audience, valid for so long from now.
    pub fn sign<T: Serialize>(&self, audience: &str, valid: Duration, said: &T) -> Result<String, TokenError> {
        #[derive(Serialize)]
        struct Signed<'a, T> {
            iss: &'a str,
            aud: &'a str,
            // Another replica, whose clock may be behind ours, reads it.
            nbf: i64,
            exp: i64,
            said: &'a T,
        }
        let exp = self.clock.now().plus(valid).0 / 1_000_000;
        let signed = Signed { iss: ISSUER, aud: audience, nbf: 0, exp, said };
        let newest = self.keys.first().ok_or_else(|| TokenError::invalid("there is no secret"))?;
        let key = EncodingKey::from_secret(newest.derive(&[b"signed"]).as_ref());
        let header = Header { kid: Some(newest.id.clone()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, &signed, &key).map_err(|error| TokenError::invalid(error.to_string()))
    }

    /// Reads what was signed for the audience and is within its time.
    pub fn open<T: DeserializeOwned>(&self, token: &str, audience: &str) -> Result<T, TokenError> {
        let head = token::head(token)?;
        let key = self.keys.iter().find(|key| head.key_id.as_deref() == Some(&key.id));
        let key = key.ok_or_else(TokenError::foreign)?;
        let expected = Expected {
            algorithm: Algorithm::HS256,
            issuer: ISSUER,
            audience,
            leeway: Duration::ZERO,
            longest: None,
            begins: true,
        };
        let secret = DecodingKey::from_secret(key.derive(&[b"signed"]).as_ref());
        let (mut claims, _) = token::read(token, &secret, &expected, &self.clock)?;
        let said = claims.remove("said").unwrap_or_default();
        serde_json::from_value(said).map_err(|error| TokenError::invalid(error.to_string()))
    }

    /// Which of the installation's secrets is the newest, for [`Keyring::scoped_secret`].
    pub fn newest(&self) -> &str {
        self.keys.first().map_or("", |key| &key.id)
    }

    /// The secret of a scope's key with this number, derived from the installation's secret with this id. None: that one is
    /// not there any more.
    pub fn scoped_secret(&self, of: &str, account: AccountId, scope: Uuid, number: i32) -> Option<String> {
        let key = self.keys.iter().find(|key| key.id == of)?;
        Some(scoped(key, account, scope, number))
    }

    /// The same, derived from each.
    pub(crate) fn scoped_secrets(&self, account: AccountId, scope: Uuid, number: i32) -> impl Iterator<Item = String> {
        self.keys.iter().map(move |key| scoped(key, account, scope, number))
    }

    /// The clock that times are told by.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }
}

fn scoped(key: &Key, account: AccountId, scope: Uuid, number: i32) -> String {
    let number = number.to_be_bytes();
    URL_SAFE_NO_PAD.encode(key.derive(&[b"scoped", account.0.as_bytes(), scope.as_bytes(), &number]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(character: char) -> Secret {
        Secret::from(character.to_string().repeat(48))
    }

    #[test]
    fn s5_what_is_signed_is_read_under_its_secret_its_audience_and_in_its_time_only() {
        let clock = Clock::system();
        let ring = Keyring::try_new(&secret('a'), &Secret::default(), &clock).unwrap();
        let token = ring.sign("them", Duration::from_secs(60), &7).unwrap();
        assert_eq!(ring.open::<i32>(&token, "them").unwrap(), 7);
        assert!(ring.open::<i32>(&token, "others").is_err());

        let rotated = Keyring::try_new(&secret('b'), &secret('a'), &clock).unwrap();
        assert_eq!(rotated.open::<i32>(&token, "them").unwrap(), 7, "the secret before still reads");
        assert!(ring.open::<i32>(&rotated.sign("them", Duration::from_secs(60), &7).unwrap(), "them").is_err());
        let forgotten = Keyring::try_new(&secret('b'), &Secret::default(), &clock).unwrap();
        assert!(forgotten.open::<i32>(&token, "them").is_err());

        clock.advance(Duration::from_secs(61)).unwrap();
        assert!(ring.open::<i32>(&token, "them").is_err(), "its time is over");
        assert!(Keyring::try_new(&Secret::from("short".to_owned()), &Secret::default(), &clock).is_err());
    }

    #[test]
    fn s5_every_flipped_bit_is_noticed() {
        let ring = Keyring::try_new(&secret('a'), &Secret::default(), &Clock::system()).unwrap();
        let token = ring.sign("them", Duration::from_secs(60), &("cursor", 7)).unwrap();
        let mut flipped = 0;
        for place in 0..token.len() {
            for bit in 0..8 {
                let mut bytes = token.clone().into_bytes();
                bytes[place] ^= 1 << bit;
                let Ok(text) = String::from_utf8(bytes) else { continue };
                flipped += 1;
                assert!(ring.open::<(String, i32)>(&text, "them").is_err(), "bit {bit} of byte {place}: {text}");
            }
        }
        assert!(flipped > 1_000);
    }

    #[test]
    fn secrets_of_scopes_differ_by_account_scope_number_and_installation() {
        let clock = Clock::system();
        let ring = Keyring::try_new(&secret('a'), &secret('b'), &clock).unwrap();
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut all: Vec<String> = Vec::new();
        for (account, scope, number) in [(one, one, 1), (two, one, 1), (one, two, 1), (one, one, 2)] {
            all.extend(ring.scoped_secrets(AccountId(account), scope, number));
        }
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 8);
        assert!(all.iter().all(|secret| secret.len() == 43));
        assert!(ring.scoped_secret("unknown", AccountId(one), one, 1).is_none());
    }
}
