//! The key that signs tokens.

use std::{fs, io, io::Write, os::unix::fs::OpenOptionsExt, path::Path, time::Duration};

use frontdesk_clock::Clock;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rand::RngCore;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::{AccountId, Actor, Caller, Claims, Kind, TokenError, permissions_of};

const ISSUER: &str = "frontdesk-development";
const AUDIENCE: &str = "frontdesk";

/// The development key: signs and verifies tokens on a machine that only talks to itself.
#[derive(Clone)]
pub struct Keys {
    encoding: EncodingKey,
    decoding: DecodingKey,
    clock: Clock,
}

impl Keys {
    /// Reads the key from `file`; makes one at the first start.
    pub fn development(file: &Path, clock: &Clock) -> io::Result<Self> {
        let key = match fs::read(file) {
            Ok(key) if key.len() >= 32 => key,
            Ok(_) => {
                return Err(io::Error::other(format!(
                    "{} is not a key; delete it and a new one is made",
                    file.display()
                )));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(file)?,
            Err(error) => return Err(error),
        };
        Ok(Self {
            encoding: EncodingKey::from_secret(&key),
            decoding: DecodingKey::from_secret(&key),
            clock: clock.clone(),
        })
    }

    /// Claims for a caller of the kind, valid for so long, with the kind's usual permissions.
    pub fn claims(&self, account: AccountId, kind: Kind, subject: &str, valid: Duration) -> Claims {
        let now = self.clock.now();
        let seconds = |time: frontdesk_clock::Time| time.0 / 1_000_000;
        Claims {
            iss: ISSUER.into(),
            aud: AUDIENCE.into(),
            sub: subject.into(),
            account,
            kind,
            permissions: permissions_of(kind).iter().map(|permission| (*permission).to_owned()).collect(),
            name: None,
            email: None,
            iat: seconds(now),
            nbf: seconds(now),
            exp: seconds(now.plus(valid)),
        }
    }

    /// A token that says so.
    pub fn mint(&self, claims: &Claims) -> Result<String, TokenError> {
        self.sign(claims)
    }

    /// Who a token speaks for.
    pub fn verify(&self, token: &str) -> Result<Caller, TokenError> {
        let claims: Claims = self.open(token, AUDIENCE)?;
        match claims.kind {
            Kind::Agent | Kind::Bot if claims.sub.parse::<Uuid>().is_err() => {
                return Err(TokenError::Subject("a UUID"));
            }
            _ if claims.sub.is_empty()
                || claims.sub.chars().count() > 128
                || claims.sub.chars().any(char::is_control) =>
            {
                return Err(TokenError::Subject("1 to 128 characters without control characters"));
            }
            _ => {}
        }
        Ok(Caller {
            account: claims.account,
            kind: claims.kind,
            // UUIDs have one spelling from here on.
            actor: Actor { kind: claims.kind, id: claims.sub.parse::<Uuid>().map_or(claims.sub, |id| id.to_string()) },
            name: claims.name,
            email: claims.email,
            permissions: claims.permissions,
        })
    }

    /// Signs any claims, also those of page tokens.
    pub fn sign<T: Serialize>(&self, claims: &T) -> Result<String, TokenError> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.encoding)
            .map_err(|error| TokenError::Invalid(error.to_string()))
    }

    /// Reads claims that were signed for `audience` and are within their times.
    pub fn open<T: DeserializeOwned>(&self, token: &str, audience: &str) -> Result<T, TokenError> {
        #[derive(Deserialize)]
        struct Times {
            exp: i64,
            nbf: i64,
        }
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[audience]);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud"]);
        // The library asks the machine's clock; ours can be moved, so the times are compared here.
        validation.validate_exp = false;
        let invalid = |error: jsonwebtoken::errors::Error| match error.kind() {
            jsonwebtoken::errors::ErrorKind::InvalidSignature => {
                TokenError::Invalid("it was made with another key; make one on the server's own data folder".into())
            }
            jsonwebtoken::errors::ErrorKind::InvalidToken => TokenError::Invalid("it is no token".into()),
            _ => TokenError::Invalid(error.to_string()),
        };
        let claims: serde_json::Value =
            jsonwebtoken::decode(token, &self.decoding, &validation).map_err(invalid)?.claims;
        let unfit = |error: serde_json::Error| TokenError::Invalid(error.to_string());
        let times = Times::deserialize(&claims).map_err(unfit)?;
        const LEEWAY: i64 = 30;
        let now = self.clock.now().0 / 1_000_000;
        if times.exp.saturating_add(LEEWAY) <= now {
            return Err(TokenError::Invalid("it has expired".into()));
        }
        if times.nbf.saturating_sub(LEEWAY) > now {
            return Err(TokenError::Invalid("it is not valid yet".into()));
        }
        T::deserialize(claims).map_err(unfit)
    }

    /// Who issues what this key signs.
    pub fn issuer(&self) -> &'static str {
        ISSUER
    }

    /// The clock that the key's times are told by.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }
}

fn make(file: &Path) -> io::Result<Vec<u8>> {
    let mut key = vec![0; 48];
    rand::rng().fill_bytes(&mut key);
    // Written beside and linked: of two processes that start at once, one makes the key and both use it.
    let beside = file.with_extension(format!("new-{}", std::process::id()));
    let mut new = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    new.write_all(&key)?;
    new.sync_all()?;
    match fs::hard_link(&beside, file) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => key = fs::read(file)?,
        Err(error) => return Err(error),
    }
    fs::remove_file(&beside)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(folder: &tempfile::TempDir, clock: &Clock) -> Keys {
        Keys::development(&folder.path().join("key"), clock).unwrap()
    }

    #[test]
    fn s1_a_token_holds_until_it_expires_and_only_under_its_key() {
        let (folder, other, clock) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), Clock::system());
        let account = AccountId(Uuid::from_u128(7));
        let keys = keys(&folder, &clock);
        let token = keys.mint(&keys.claims(account, Kind::Visitor, "v-1", Duration::from_secs(600))).unwrap();
        assert_eq!(keys.verify(&token).unwrap().actor.to_string(), "visitor:v-1");
        assert!(
            Keys::development(&folder.path().join("key"), &clock).unwrap().verify(&token).is_ok(),
            "same file, same key"
        );
        assert!(super::tests::keys(&other, &clock).verify(&token).is_err(), "another key");
        clock.advance(Duration::from_secs(700)).unwrap();
        assert!(keys.verify(&token).unwrap_err().to_string().contains("expired"));
    }

    #[test]
    fn s1_forged_tokens_are_refused() {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::system());
        let keys = keys(&folder, &clock);
        let account = AccountId(Uuid::from_u128(7));
        let claims = keys.claims(account, Kind::Agent, &Uuid::from_u128(1).to_string(), Duration::from_secs(600));
        let good = keys.mint(&claims).unwrap();
        let parts: Vec<&str> = good.split('.').collect();
        // {"alg":"none"}
        let none = format!("eyJhbGciOiJub25lIn0.{}.", parts[1]);
        let swapped = format!("{}.{}.{}", parts[0], parts[2], parts[1]);
        let cut = &good[..good.len() - 4];
        for forged in [none.as_str(), &swapped, cut, "", "a.b.c", "…"] {
            assert!(keys.verify(forged).is_err(), "{forged}");
        }
        let not_a_uuid = keys.mint(&Claims { sub: "ada".into(), ..claims.clone() }).unwrap();
        assert!(keys.verify(&not_a_uuid).is_err());
        let for_others = keys.mint(&Claims { aud: "page".into(), ..claims }).unwrap();
        assert!(keys.verify(&for_others).is_err());
    }
}
