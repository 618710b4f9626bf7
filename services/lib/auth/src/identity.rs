//! Authentication: the one place that turns a token into a caller.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use aws_lc_rs::digest;
use frontdesk_clock::Clock;
use moka::future::Cache;
use tokio_util::task::TaskTracker;

use crate::{
    anonymous_visitor,
    caller::Caller,
    development_key::{self, DevelopmentKey},
    installation_secret::{self, InstallationSecret},
    issuer::Issuer,
    jwks::Key,
    roles::Roles,
    settings::{IdentityError, IdentitySettings},
    token::{self, TokenError},
    visitor_token::{self, VisitorKeyId, VisitorKeyStore},
};

/// How long a verified token is cached: verifying a signature can take longer than all the rest of a call.
const CACHE_TTL: Duration = Duration::from_secs(60);
/// Maximum number of cached tokens.
const CACHE_CAPACITY: u64 = 10_000;
/// Maximum value of [`IdentitySettings::leeway`].
const MAX_LEEWAY: Duration = Duration::from_secs(60);
/// Maximum number of characters of an unknown issuer's name in an error.
const MAX_QUOTED: usize = 100;

/// The key that signed a token. Each call checks that it is still valid.
#[derive(Clone)]
enum SignedBy {
    DevelopmentKey,
    /// The issuer at this place of the settings, with this key, which the token names by this id.
    Issuer(usize, Option<String>, Key),
    VisitorKey(VisitorKeyId),
    InstallationSecret,
}

/// Authenticates callers by their tokens. Clones share the cache.
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

struct Inner {
    development_key: Option<DevelopmentKey>,
    issuers: Vec<Issuer>,
    roles: Roles,
    audience: String,
    leeway: Duration,
    installation_secret: InstallationSecret,
    /// Unset in a process that serves no visitors.
    visitor_keys: OnceLock<Arc<dyn VisitorKeyStore>>,
    clock: Clock,
    verified: VerifiedTokens,
    /// Refreshes of issuers' keys in the background.
    tasks: TaskTracker,
}

/// Verified tokens by their digest.
type VerifiedTokens = Cache<[u8; 32], (Caller, SignedBy)>;

fn verified_tokens() -> VerifiedTokens {
    Cache::builder().max_capacity(CACHE_CAPACITY).time_to_live(CACHE_TTL).build()
}

impl Identity {
    /// By the settings. `development_key`: None when it is not accepted.
    pub fn try_new(
        settings: &IdentitySettings,
        development_key: Option<DevelopmentKey>,
        installation_secret: InstallationSecret,
        clock: &Clock,
    ) -> Result<Self, IdentityError> {
        if settings.leeway > MAX_LEEWAY {
            return Err(IdentityError("identity.leeway must be at most 60s".into()));
        }
        let tasks = TaskTracker::new();
        let issuers = settings.issuers.iter().map(|issuer| Issuer::try_new(issuer, &tasks));
        let issuers = issuers.collect::<Result<Vec<_>, _>>().map_err(IdentityError)?;
        for (place, issuer) in issuers.iter().enumerate() {
            let name = issuer.name();
            if [development_key::ISSUER, installation_secret::ISSUER].contains(&name) {
                return Err(IdentityError(format!(
                    "identity.issuers must not be called {name:?}: Frontdesk issues tokens of its own under that name"
                )));
            }
            if issuers[..place].iter().any(|other| other.name() == name) {
                let why = format!("identity.issuers has {name:?} twice; each issuer needs a name of its own");
                return Err(IdentityError(why));
            }
        }
        Ok(Self(Arc::new(Inner {
            development_key,
            issuers,
            roles: settings.roles.clone(),
            audience: settings.audience.clone(),
            leeway: settings.leeway,
            installation_secret,
            visitor_keys: OnceLock::new(),
            clock: clock.clone(),
            verified: verified_tokens(),
            tasks,
        })))
    }

    /// Accepts tokens of the development key only.
    pub fn from_development_key(key: &DevelopmentKey) -> Self {
        Self(Arc::new(Inner {
            development_key: Some(key.clone()),
            issuers: Vec::new(),
            roles: Roles::default(),
            audience: String::new(),
            leeway: Duration::ZERO,
            installation_secret: key.installation_secret().clone(),
            visitor_keys: OnceLock::new(),
            clock: key.clock().clone(),
            verified: verified_tokens(),
            tasks: TaskTracker::new(),
        }))
    }

    /// Sets the store of visitors' keys, once. Without it tokens of visitors' keys are refused.
    pub fn accept_visitor_keys(&self, keys: Arc<dyn VisitorKeyStore>) {
        let _ = self.0.visitor_keys.set(keys);
    }

    /// Reads the keys of all issuers. Fails for an invalid file; an address that does not answer now is asked again when the
    /// first token comes.
    pub async fn load_issuer_keys(&self) -> Result<(), IdentityError> {
        for issuer in &self.0.issuers {
            match issuer.load_keys().await {
                Ok(()) => {}
                Err(error) if issuer.keys_are_in_a_file() => {
                    return Err(IdentityError(format!("identity.issuers: {error}")));
                }
                Err(error) => {
                    tracing::warn!(issuer = issuer.name(), %error, "the keys of an issuer cannot be read now");
                }
            }
        }
        Ok(())
    }

    /// Waits for the running refreshes of issuers' keys, each of which ends within 5 s.
    pub async fn shutdown(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// The caller that a token names. The issuer in the token selects the keys to verify it with; nothing else of it is used
    /// before its signature is verified.
    pub async fn authenticate(&self, token: &str) -> Result<Caller, TokenError> {
        let inner = &self.0;
        if let Some(caller) = self.find_verified(token).await? {
            return Ok(caller);
        }
        let (caller, signed_by) = inner.verify(token).await?;
        inner.require_valid_key(&caller, &signed_by).await?;
        inner.verified.insert(sha256(token), (caller.clone(), signed_by)).await;
        Ok(caller)
    }

    /// The caller that a token names, when the token was verified a short time ago. None: it must be verified.
    pub async fn find_verified(&self, token: &str) -> Result<Option<Caller>, TokenError> {
        let inner = &self.0;
        if let Some((caller, signed_by)) = inner.verified.get(&sha256(token)).await
            && caller.ends.is_some_and(|ends| ends.plus(inner.leeway) > inner.clock.now())
        {
            inner.require_valid_key(&caller, &signed_by).await?;
            return Ok(Some(caller));
        }
        Ok(None)
    }
}

/// The SHA-256 digest of a token.
fn sha256(token: &str) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    digest
}

fn visitors_not_accepted() -> TokenError {
    TokenError::invalid("visitors' tokens are not accepted by this service")
}

impl Inner {
    async fn verify(&self, token: &str) -> Result<(Caller, SignedBy), TokenError> {
        let header = token::unverified_header(token)?;
        header.check_times(self.leeway, &self.clock)?;
        if let Some(number) = self.issuers.iter().position(|issuer| issuer.name() == header.issuer) {
            let issuer = &self.issuers[number];
            let (caller, key) = issuer.verify(token, &header, &self.roles, self.leeway, &self.clock).await?;
            return Ok((caller, SignedBy::Issuer(number, header.key_id, key)));
        }
        if header.issuer == development_key::ISSUER {
            let key = self.development_key.as_ref();
            let key = key.ok_or_else(|| TokenError::invalid("the development key is not accepted here"))?;
            return Ok((key.verify(token)?, SignedBy::DevelopmentKey));
        }
        if header.issuer == installation_secret::ISSUER {
            if self.visitor_keys.get().is_none() {
                return Err(visitors_not_accepted());
            }
            return Ok((anonymous_visitor::verify(token, &self.installation_secret)?, SignedBy::InstallationSecret));
        }
        match (visitor_token::key_id(&header), self.visitor_keys.get()) {
            (Some(key), Some(_)) => {
                let caller = visitor_token::verify(token, key, &self.installation_secret, &self.audience, self.leeway)?;
                Ok((caller, SignedBy::VisitorKey(key)))
            }
            (Some(_), None) => Err(visitors_not_accepted()),
            (None, _) => {
                let issuer: String = header.issuer.chars().take(MAX_QUOTED).collect();
                Err(TokenError::invalid(format!(
                    "its issuer {issuer:?} is not one that is accepted; a visitor's token names its key in kid, as <iss>.<number>"
                )))
            }
        }
    }

    /// Checks at each call that the key that signed the token was neither withdrawn nor replaced.
    async fn require_valid_key(&self, caller: &Caller, signed_by: &SignedBy) -> Result<(), TokenError> {
        let valid = match (signed_by, self.visitor_keys.get()) {
            (SignedBy::DevelopmentKey | SignedBy::InstallationSecret, _) => Ok(()),
            (SignedBy::Issuer(number, key_id, key), _) => {
                self.issuers[*number].require_key(key_id.as_deref(), key).await
            }
            (SignedBy::VisitorKey(key), Some(keys)) => {
                visitor_token::require_active(keys.as_ref(), caller.account, *key).await
            }
            (SignedBy::VisitorKey(_), None) => Err(visitors_not_accepted()),
        };
        valid.map_err(TokenError::of_verified)
    }
}
