//! Who is calling: the one place that turns a token into a caller.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use aws_lc_rs::digest;
use frontdesk_clock::Clock;
use frontdesk_settings::Secret;
use moka::future::Cache;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Caller, Keyring, Keys, Roles, ScopedKeys, TokenError,
    issuer::{Issuer, IssuerSettings},
    keys,
    token::{self},
    visitors,
};

/// Whose tokens are accepted, and the installation's own secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IdentitySettings {
    /// Accept tokens of the development key in the data folder: on a loopback address only. Unset: while there are no issuers.
    pub development_key: Option<bool>,
    /// The installation's secret, at least 32 bytes, the same for every process: page tokens are signed with it, and the
    /// keys for visitor tokens are derived from it. Empty: the development key.
    pub secret: Secret,
    /// The secret before, while what it signed is still about.
    pub previous_secret: Secret,
    /// What the claim `aud` of visitor tokens must hold.
    pub audience: String,
    /// Clocks of issuers may differ by so much; a minute at most.
    #[serde(with = "frontdesk_settings::duration")]
    pub leeway: Duration,
    /// Who vouches for agents, administrators and bots.
    pub issuers: Vec<IssuerSettings>,
    /// What each role permits.
    pub roles: Roles,
}

impl Default for IdentitySettings {
    fn default() -> Self {
        Self {
            development_key: None,
            secret: Secret::default(),
            previous_secret: Secret::default(),
            audience: "frontdesk".into(),
            leeway: Duration::from_secs(30),
            issuers: Vec::new(),
            roles: Roles::default(),
        }
    }
}

impl IdentitySettings {
    /// Are tokens of the development key accepted?
    pub fn accepts_development(&self) -> bool {
        self.development_key.unwrap_or(self.issuers.is_empty())
    }
}

/// The identity settings are no good; the text names the setting and the remedy.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct IdentityError(pub String);

/// What was verified is not verified again for so long: a signature can take longer than all the rest of a call.
const KEPT: Duration = Duration::from_secs(60);
const KEPT_AT_MOST: u64 = 10_000;

/// Whose key signed a token: asked again at each call whether it is still good.
#[derive(Clone)]
enum SignedBy {
    Development,
    /// The issuer of this number, with the key of this id.
    Issuer(usize, Option<String>),
    Scoped(Uuid, i32),
}

/// Knows callers by their tokens. Clones share what they know.
#[derive(Clone)]
pub struct Identity(Arc<Parts>);

struct Parts {
    development: Option<Keys>,
    issuers: Vec<Issuer>,
    roles: Roles,
    audience: String,
    leeway: Duration,
    keyring: Keyring,
    /// Where visitors' keys are known; a process that serves no visitor knows none.
    scoped: OnceLock<Arc<dyn ScopedKeys>>,
    clock: Clock,
    /// Tokens by their digest.
    verified: Cache<[u8; 32], (Caller, SignedBy)>,
}

fn verified() -> Cache<[u8; 32], (Caller, SignedBy)> {
    Cache::builder().max_capacity(KEPT_AT_MOST).time_to_live(KEPT).build()
}

impl Identity {
    /// As the settings say. `development` is the development key, where it is accepted.
    pub fn try_new(
        settings: &IdentitySettings,
        development: Option<Keys>,
        keyring: Keyring,
        clock: &Clock,
    ) -> Result<Self, IdentityError> {
        if settings.leeway > Duration::from_secs(60) {
            return Err(IdentityError("identity.leeway must be at most 60s".into()));
        }
        let issuers =
            settings.issuers.iter().map(Issuer::try_new).collect::<Result<Vec<_>, _>>().map_err(IdentityError)?;
        for (place, issuer) in issuers.iter().enumerate() {
            let name = issuer.name();
            if name == keys::ISSUER {
                return Err(IdentityError(format!(
                    "identity.issuers must not be called {name:?}: that is the development key"
                )));
            }
            if issuers[..place].iter().any(|other| other.name() == name) {
                let why = format!("identity.issuers has {name:?} twice; each issuer needs a name of its own");
                return Err(IdentityError(why));
            }
        }
        Ok(Self(Arc::new(Parts {
            development,
            issuers,
            roles: settings.roles.clone(),
            audience: settings.audience.clone(),
            leeway: settings.leeway,
            keyring,
            scoped: OnceLock::new(),
            clock: clock.clone(),
            verified: verified(),
        })))
    }

    /// Knows whom the development key knows, and nobody else.
    pub fn development(keys: &Keys) -> Self {
        Self(Arc::new(Parts {
            development: Some(keys.clone()),
            issuers: Vec::new(),
            roles: Roles::default(),
            audience: String::new(),
            leeway: Duration::ZERO,
            keyring: keys.keyring().clone(),
            scoped: OnceLock::new(),
            clock: keys.clock().clone(),
            verified: verified(),
        }))
    }

    /// Who knows the keys of visitors' tokens in this process; without, none are accepted.
    pub fn accept_scoped(&self, keys: Arc<dyn ScopedKeys>) {
        // Said once, by whoever builds the process.
        let _ = self.0.scoped.set(keys);
    }

    /// Reads every issuer's keys: a file that is no good is told at the start. An address that does not answer now is asked
    /// again when the first token comes.
    pub async fn prepare(&self) -> Result<(), IdentityError> {
        for issuer in &self.0.issuers {
            match issuer.prepare().await {
                Ok(()) => {}
                Err(error) if issuer.has_file() => return Err(IdentityError(format!("identity.issuers: {error}"))),
                Err(error) => {
                    tracing::warn!(issuer = issuer.name(), %error, "the keys of an issuer cannot be had now");
                }
            }
        }
        Ok(())
    }

    /// Who a token speaks for. The issuer that it names decides by which keys it is checked, and nothing else of it is believed
    /// before.
    pub async fn authenticate(&self, token: &str) -> Result<Caller, TokenError> {
        let parts = &self.0;
        let digest = digest::digest(&digest::SHA256, token.as_bytes());
        let digest: [u8; 32] = digest.as_ref().try_into().map_err(|_| TokenError::invalid("it is no token"))?;
        if let Some((caller, signed_by)) = parts.verified.get(&digest).await
            && caller.ends.is_some_and(|ends| ends.plus(parts.leeway) > parts.clock.now())
        {
            parts.still_good(&caller, &signed_by).await?;
            return Ok(caller);
        }
        let (caller, signed_by) = parts.verify(token).await?;
        parts.still_good(&caller, &signed_by).await?;
        parts.verified.insert(digest, (caller.clone(), signed_by)).await;
        Ok(caller)
    }
}

impl Parts {
    async fn verify(&self, token: &str) -> Result<(Caller, SignedBy), TokenError> {
        let head = token::head(token)?;
        if let Some(number) = self.issuers.iter().position(|issuer| issuer.name() == head.issuer) {
            let issuer = &self.issuers[number];
            let caller = issuer.verify(token, &head, &self.roles, self.leeway, &self.clock).await?;
            return Ok((caller, SignedBy::Issuer(number, head.key_id)));
        }
        if head.issuer == keys::ISSUER {
            let keys = self.development.as_ref();
            let keys = keys.ok_or_else(|| TokenError::invalid("the development key is not accepted here"))?;
            return Ok((keys.verify(token)?, SignedBy::Development));
        }
        match (visitors::key_id(&head), self.scoped.get()) {
            (Some(key), Some(_)) => {
                let caller = visitors::verify(token, key, &self.keyring, &self.audience, self.leeway)?;
                Ok((caller, SignedBy::Scoped(key.0, key.1)))
            }
            (Some(_), None) => Err(TokenError::invalid("visitors' tokens are not accepted by this service")),
            (None, _) => {
                let issuer: String = head.issuer.chars().take(100).collect();
                Err(TokenError::invalid(format!(
                    "its issuer {issuer:?} is not one that is accepted; a visitor's token names its key in kid, as <iss>.<number>"
                )))
            }
        }
    }

    /// Asked each time: a key that was withdrawn or replaced lets nobody in any more.
    async fn still_good(&self, caller: &Caller, signed_by: &SignedBy) -> Result<(), TokenError> {
        match (signed_by, self.scoped.get()) {
            (SignedBy::Development, _) => Ok(()),
            (SignedBy::Issuer(number, key_id), _) => self.issuers[*number].still_publishes(key_id.as_deref()).await,
            (SignedBy::Scoped(scope, number), Some(keys)) => {
                visitors::is_good(keys.as_ref(), caller.account, (*scope, *number)).await
            }
            (SignedBy::Scoped(..), None) => {
                Err(TokenError::invalid("visitors' tokens are not accepted by this service"))
            }
        }
    }
}
