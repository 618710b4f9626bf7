//! The development key, which signs tokens for all kinds of callers. A server accepts them on a loopback address only.

use std::{fs, io, io::Write, os::unix::fs::OpenOptionsExt, path::Path, sync::Arc, time::Duration};

use frontdesk_clock::{Clock, Time};
use frontdesk_db::AccountId;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use rand::RngCore;

use crate::{
    caller::{Actor, Caller, CallerKind},
    claims::Claim,
    installation_secret::InstallationSecret,
    roles::Roles,
    token::{self, Claims, Expected, TokenError},
};

/// The issuer of tokens that the development key signs.
pub(crate) const ISSUER: &str = "frontdesk-development";
const AUDIENCE: &str = "frontdesk";
/// How far the clocks of two processes may differ.
const LEEWAY: Duration = Duration::from_secs(30);
/// Minimum length of the key in bytes.
const MIN_LENGTH: usize = 32;
/// Length of a new key in bytes.
const LENGTH: usize = 48;

/// The development key: mints and verifies tokens. Clones share it.
#[derive(Clone)]
pub struct DevelopmentKey {
    encoding: EncodingKey,
    decoding: DecodingKey,
    installation_secret: InstallationSecret,
    clock: Clock,
}

impl DevelopmentKey {
    /// Reads the key from `file`, which is created when it does not exist.
    pub fn load_or_create(file: &Path, clock: &Clock) -> io::Result<Self> {
        let key = match fs::read(file) {
            Ok(key) if key.len() >= MIN_LENGTH => key,
            Ok(_) => {
                return Err(io::Error::other(format!(
                    "{} is not a key; delete it and a new one is made",
                    file.display()
                )));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(file)?,
            Err(error) => return Err(error),
        };
        Ok(Self {
            encoding: EncodingKey::from_secret(&key),
            decoding: DecodingKey::from_secret(&key),
            installation_secret: InstallationSecret::from_development_key(&key, clock),
            clock: clock.clone(),
        })
    }

    /// Claims for a caller of this kind, valid for this time from now, with the permissions of the kind's default role.
    pub fn claims(&self, account: AccountId, kind: CallerKind, subject: &str, valid: Duration) -> Claims {
        let now = self.clock.now();
        let seconds = |time: Time| time.0 / 1_000_000;
        Claims {
            iss: ISSUER.into(),
            aud: AUDIENCE.into(),
            sub: subject.into(),
            account,
            kind,
            permissions: Roles::default().permissions(Roles::default_for(kind)).into_iter().collect(),
            name: None,
            email: None,
            iat: seconds(now),
            nbf: seconds(now),
            exp: seconds(now.plus(valid)),
        }
    }

    /// A token with these claims.
    pub fn mint(&self, claims: &Claims) -> Result<String, TokenError> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.encoding)
            .map_err(|error| TokenError::invalid(error.to_string()))
    }

    /// The caller that a token of this key names.
    pub fn verify(&self, token: &str) -> Result<Caller, TokenError> {
        token::unverified_header(token)?;
        let expected = Expected {
            algorithm: Algorithm::HS256,
            issuer: ISSUER,
            audience: AUDIENCE,
            leeway: LEEWAY,
            max_lifetime: None,
            require_nbf: true,
        };
        let verified = token::verify(token, &self.decoding, &expected, &self.clock);
        let (claims, ends) = verified.map_err(|error| match error {
            TokenError::UnknownKey => {
                TokenError::invalid("it was made with another key; make one on the server's own data folder")
            }
            error => error,
        })?;
        let claim = |name| Claim { name, value: claims.get(name) };
        let kind = claim("kind").kind()?;
        let text = |name| claim(name).optional_text("a text").map(|text| text.map(str::to_owned));
        Ok(Caller {
            account: claim("account").account()?,
            kind,
            actor: Actor { kind, id: claim("sub").subject(kind)? },
            name: text("name")?,
            email: text("email")?,
            permissions: Arc::new(claim("permissions").texts()?.into_iter().collect()),
            scope: None,
            ends: Some(ends),
        })
    }

    /// The development key as the installation's secret.
    pub fn installation_secret(&self) -> &InstallationSecret {
        &self.installation_secret
    }

    /// The clock that decides whether a token has expired.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }
}

/// Creates the key in another file and links it: of two processes that start at once, one creates the key and both use it.
fn create(file: &Path) -> io::Result<Vec<u8>> {
    let mut key = vec![0; LENGTH];
    rand::rng().fill_bytes(&mut key);
    let new_path = file.with_extension(format!("new-{}", std::process::id()));
    let mut new = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new_path)?;
    new.write_all(&key)?;
    new.sync_all()?;
    match fs::hard_link(&new_path, file) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => key = fs::read(file)?,
        Err(error) => return Err(error),
    }
    fs::remove_file(&new_path)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use uuid::Uuid;

    use super::*;

    fn development_key(folder: &tempfile::TempDir, clock: &Clock) -> DevelopmentKey {
        DevelopmentKey::load_or_create(&folder.path().join("key"), clock).unwrap()
    }

    #[test]
    fn s1_a_token_is_valid_under_its_key_until_it_expires() {
        let (folder, other, clock) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), Clock::system());
        let account = AccountId(Uuid::from_u128(7));
        let key = development_key(&folder, &clock);
        let claims = key.claims(account, CallerKind::Visitor, "v-1", Duration::from_secs(600));
        let token = key.mint(&claims).unwrap();
        assert_eq!(key.verify(&token).unwrap().actor.to_string(), "visitor:v-1");
        assert!(development_key(&folder, &clock).verify(&token).is_ok(), "same file, same key");
        let refused = development_key(&other, &clock).verify(&token).unwrap_err().to_string();
        assert!(refused.contains("made with another key"), "{refused}");
        clock.advance(Duration::from_secs(700)).unwrap();
        let expired = key.verify(&token).unwrap_err();
        assert!(matches!(&expired, TokenError::NotInForce(why) if why.contains("expired")), "{expired}");
    }

    #[test]
    fn i22_a_header_or_claim_that_is_wrong_is_named() {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::system());
        let key = development_key(&folder, &clock);
        let claims = key.claims(AccountId(Uuid::from_u128(7)), CallerKind::Admin, "ada", Duration::from_secs(600));
        let claims = serde_json::to_value(claims).unwrap();
        let refused = |header: &str, claims: &serde_json::Value| {
            let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
            let signed = format!("{}.{}", part(header), part(&claims.to_string()));
            let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key.encoding, Algorithm::HS256).unwrap();
            key.verify(&format!("{signed}.{signature}")).err().map(|error| error.to_string()).unwrap_or_default()
        };
        let header = r#"{"alg":"HS256"}"#;
        assert_eq!(refused(header, &claims), "");
        let refused_kid = refused(r#"{"alg":"HS256","kid":null}"#, &claims);
        assert!(refused_kid.contains("its header kid must be a text"), "{refused_kid}");
        for name in ["iss", "aud", "sub", "account", "kind", "nbf", "exp"] {
            let mut claims = claims.clone();
            claims.as_object_mut().unwrap().remove(name);
            let refused = refused(header, &claims);
            assert!(refused.contains(&format!("its claim {name} ")), "{name}: {refused}");
        }
    }

    #[test]
    fn a_file_that_is_too_short_is_refused_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs::write(&file, "short").unwrap();
        let refused = DevelopmentKey::load_or_create(&file, &Clock::system()).err().unwrap().to_string();
        assert!(refused.contains("delete it"), "{refused}");
    }
}
