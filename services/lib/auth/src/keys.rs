//! The development key.

use std::{fs, io, io::Write, os::unix::fs::OpenOptionsExt, path::Path, sync::Arc, time::Duration};

use frontdesk_clock::Clock;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use rand::RngCore;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    AccountId, Actor, Caller, Claims, Keyring, Kind, Roles, TokenError,
    token::{self, Expected},
};

pub(crate) const ISSUER: &str = "frontdesk-development";
const AUDIENCE: &str = "frontdesk";
const LEEWAY: Duration = Duration::from_secs(30);

/// The development key: mints and verifies tokens on a machine that only talks to itself.
#[derive(Clone)]
pub struct Keys {
    encoding: EncodingKey,
    decoding: DecodingKey,
    keyring: Keyring,
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
            keyring: Keyring::of(&key, clock),
            clock: clock.clone(),
        })
    }

    /// Claims for a caller of the kind, valid for so long, with the permissions of the kind's usual role.
    pub fn claims(&self, account: AccountId, kind: Kind, subject: &str, valid: Duration) -> Claims {
        let now = self.clock.now();
        let seconds = |time: frontdesk_clock::Time| time.0 / 1_000_000;
        Claims {
            iss: ISSUER.into(),
            aud: AUDIENCE.into(),
            sub: subject.into(),
            account,
            kind,
            permissions: Roles::default().permissions(Roles::usual(kind)).into_iter().collect(),
            name: None,
            email: None,
            iat: seconds(now),
            nbf: seconds(now),
            exp: seconds(now.plus(valid)),
        }
    }

    /// A token that says so.
    pub fn mint(&self, claims: &Claims) -> Result<String, TokenError> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.encoding)
            .map_err(|error| TokenError::invalid(error.to_string()))
    }

    /// Who a token speaks for.
    pub fn verify(&self, token: &str) -> Result<Caller, TokenError> {
        token::head(token)?;
        let expected = Expected {
            algorithm: Algorithm::HS256,
            issuer: ISSUER,
            audience: AUDIENCE,
            leeway: LEEWAY,
            longest: None,
            begins: true,
        };
        let read = token::read(token, &self.decoding, &expected, &self.clock);
        let (claims, ends) = read.map_err(|error| match error.is_foreign() {
            true => TokenError::invalid("it was made with another key; make one on the server's own data folder"),
            false => error,
        })?;
        let claims =
            Claims::deserialize(Value::Object(claims)).map_err(|error| TokenError::invalid(error.to_string()))?;
        let id = token::subject(claims.kind, &claims.sub)?;
        Ok(Caller {
            account: claims.account,
            kind: claims.kind,
            actor: Actor { kind: claims.kind, id },
            name: claims.name,
            email: claims.email,
            permissions: Arc::new(claims.permissions.into_iter().collect()),
            scope: None,
            ends: Some(ends),
        })
    }

    /// Signs what an installation signs, with the development key.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
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
    use uuid::Uuid;

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
}
