//! The public keys of an issuer: read from a file or fetched from a URL, cached, and refreshed in the background.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use tokio::{sync::Mutex, time::Instant};
use tokio_util::task::TaskTracker;

use crate::token::TokenError;

/// How long keys are used, and how often their source is asked.
#[derive(Clone, Copy)]
struct RefreshPolicy {
    /// Age from which keys are refreshed in the background, while they are still used.
    refresh_after: Duration,
    /// Age from which keys are not used any more: the issuer may have withdrawn them.
    max_age: Duration,
    /// Shortest time between two requests to the source, so that tokens with invented key ids do not overload the issuer.
    min_interval: Duration,
    /// The same while there are no keys at all.
    min_interval_without_keys: Duration,
}

const REFRESH_POLICY: RefreshPolicy = RefreshPolicy {
    refresh_after: Duration::from_secs(10 * 60),
    max_age: Duration::from_secs(24 * 3600),
    min_interval: Duration::from_secs(30),
    min_interval_without_keys: Duration::from_secs(1),
};
/// How long a request to the issuer may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum size of a JSON Web Key Set in bytes.
const MAX_SIZE: usize = 1024 * 1024;
/// Minimum length of an RSA modulus in base64url: 2,048 bits.
const MIN_RSA_MODULUS: usize = 342;

/// The algorithms with a public key.
const PUBLIC_KEY_ALGORITHMS: [Algorithm; 7] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// The keys cannot be read; the text says from where and why.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the keys at {source_name}: {why}")]
pub struct JwksError {
    source_name: String,
    why: String,
}

enum Source {
    File(PathBuf),
    /// An address, and the file with the authorities to trust for it, which is read again with each request. Empty: the system's.
    Url(String, PathBuf),
}

/// The keys of one issuer.
pub(crate) struct Jwks {
    source: Source,
    /// The source without a password, for errors.
    source_name: String,
    accepted: Vec<Algorithm>,
    policy: RefreshPolicy,
    cached: RwLock<Arc<CachedKeys>>,
    /// Held while the source is asked: one request at a time.
    refreshing: Arc<Mutex<()>>,
    /// The refreshes in the background.
    tasks: TaskTracker,
}

#[derive(Clone)]
pub(crate) struct Key {
    id: Option<String>,
    /// What distinguishes it from another key of the same id, or without one.
    public: Arc<AlgorithmParameters>,
    pub(crate) algorithm: Algorithm,
    pub(crate) key: DecodingKey,
}

/// What a source has.
pub(crate) struct KeySet {
    /// The keys that can be used.
    pub(crate) keys: Vec<Key>,
    /// Number of those that cannot.
    pub(crate) ignored: usize,
    /// The header Date of the answer. None: a file, or an answer without it.
    pub(crate) date: Option<String>,
}

#[derive(Default)]
struct CachedKeys {
    keys: Vec<Key>,
    /// When these keys were read. None: there are none yet.
    read_at: Option<Instant>,
    /// When the source was asked last.
    asked_at: Option<Instant>,
    /// Why the last request failed; empty when it did not.
    last_error: String,
}

impl Jwks {
    /// The keys at a URL (https; http on a loopback address) or in a file. Refreshes in the background belong to `tasks`.
    pub(crate) fn try_new(
        source: &str,
        ca: &Path,
        accepted: Vec<Algorithm>,
        tasks: &TaskTracker,
    ) -> Result<Self, JwksError> {
        let source_name = frontdesk_settings::without_credentials(source);
        let wrong = |why: String| JwksError { source_name: source_name.clone(), why };
        let source = match source.split_once("://") {
            Some(("file", path)) => Source::File(path.into()),
            None => Source::File(source.into()),
            Some((scheme, _)) => {
                let url = reqwest::Url::parse(source).map_err(|error| wrong(error.to_string()))?;
                let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
                if scheme != "https" && !(scheme == "http" && local) {
                    return Err(wrong(
                        "must be a file or an https address: it decides which tokens are accepted".into(),
                    ));
                }
                // So that a mistake shows at the start.
                client(ca).map_err(wrong)?;
                Source::Url(source.to_owned(), ca.to_owned())
            }
        };
        Ok(Self {
            source,
            source_name,
            accepted,
            policy: REFRESH_POLICY,
            cached: RwLock::default(),
            refreshing: Arc::default(),
            tasks: tasks.clone(),
        })
    }

    pub(crate) fn is_file(&self) -> bool {
        matches!(self.source, Source::File(_))
    }

    /// The key with this id. Without an id: the only key that the issuer has.
    pub(crate) async fn key(self: &Arc<Self>, id: Option<&str>) -> Result<Key, TokenError> {
        let cached = self.cached();
        match cached.read_at.map(|read_at| read_at.elapsed()) {
            None => self.refresh_if_due(&cached).await,
            Some(age) if age > self.policy.max_age => self.refresh_if_due(&cached).await,
            Some(age) if age > self.policy.refresh_after && cached.can_ask_again(self.policy.min_interval) => {
                self.refresh_in_background();
            }
            Some(_) => {}
        }
        if let Some(key) = self.cached().find(id, self.policy.max_age)? {
            return Ok(key);
        }
        // The key may be new: an issuer signs with a new key as soon as it publishes it.
        self.refresh_if_due(&cached).await;
        self.cached()
            .find(id, self.policy.max_age)?
            .ok_or_else(|| TokenError::invalid("its issuer publishes no such key"))
    }

    fn cached(&self) -> Arc<CachedKeys> {
        self.cached.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts a refresh unless one is running.
    fn refresh_in_background(self: &Arc<Self>) {
        if let Ok(guard) = self.refreshing.clone().try_lock_owned() {
            let jwks = self.clone();
            self.tasks.spawn(async move {
                jwks.refresh_unless_recent(jwks.policy.min_interval).await;
                drop(guard);
            });
        }
    }

    /// Refreshes the keys, unless another call did so while this one waited. `cached`: the keys that this call found.
    async fn refresh_if_due(&self, cached: &CachedKeys) {
        let min_interval = match cached.read_at {
            Some(_) => self.policy.min_interval,
            None => self.policy.min_interval_without_keys,
        };
        let _guard = self.refreshing.lock().await;
        self.refresh_unless_recent(min_interval).await;
    }

    async fn refresh_unless_recent(&self, min_interval: Duration) {
        if self.cached().can_ask_again(min_interval)
            && let Err(error) = self.refresh().await
        {
            tracing::warn!(%error, "the keys of an issuer cannot be read; the cached ones stay in use");
        }
    }

    /// Reads the source now. On a failure the cached keys stay.
    pub(crate) async fn refresh(&self) -> Result<(), JwksError> {
        let asked_at = Some(Instant::now());
        let (cached, error) = match self.read().await {
            Ok(KeySet { keys, .. }) => {
                (CachedKeys { keys, read_at: asked_at, asked_at, last_error: String::new() }, None)
            }
            Err(error) => {
                let cached = self.cached();
                let (keys, read_at) = (cached.keys.clone(), cached.read_at);
                (CachedKeys { keys, read_at, asked_at, last_error: error.to_string() }, Some(error))
            }
        };
        *self.cached.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(cached);
        error.map_or(Ok(()), Err)
    }

    /// Reads the source, and changes nothing.
    pub(crate) async fn read(&self) -> Result<KeySet, JwksError> {
        let read = match &self.source {
            Source::File(path) => {
                let bytes = tokio::fs::read(path).await;
                bytes.map(|bytes| (bytes, None)).map_err(|error| error.to_string())
            }
            Source::Url(url, ca) => fetch(url, ca).await,
        };
        let wrong = |why: String| JwksError { source_name: self.source_name.clone(), why };
        let (bytes, date) = read.map_err(wrong)?;
        #[derive(serde::Deserialize)]
        struct Set {
            keys: Vec<serde_json::Value>,
        }
        let set: Set =
            serde_json::from_slice(&bytes).map_err(|error| wrong(format!("not a JSON Web Key Set ({error})")))?;
        let number = set.keys.len();
        // A key of an unknown type is ignored (RFC 7517, 5).
        let keys = set.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        let keys: Vec<Key> = keys.filter_map(|key| self.accept(&key)).collect();
        if keys.is_empty() {
            let names: Vec<String> = self.accepted.iter().map(|algorithm| format!("{algorithm:?}")).collect();
            return Err(wrong(format!("none of them is a public key for signatures with {}", names.join(", "))));
        }
        Ok(KeySet { ignored: number - keys.len(), keys, date })
    }

    /// The key, when it is public, for signatures, and of an accepted algorithm. It verifies with that one algorithm only. None:
    /// it is not, or its members contradict each other.
    fn accept(&self, key: &Jwk) -> Option<Key> {
        let can_verify = |operations: &Vec<KeyOperations>| operations.contains(&KeyOperations::Verify);
        if !matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature))
            || !key.common.key_operations.as_ref().is_none_or(can_verify)
        {
            return None;
        }
        let of_its_type: &[Algorithm] = match &key.algorithm {
            AlgorithmParameters::RSA(rsa) => {
                if rsa.n.len() < MIN_RSA_MODULUS {
                    return None;
                }
                &[Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256]
            }
            AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
                EllipticCurve::P256 => &[Algorithm::ES256],
                EllipticCurve::P384 => &[Algorithm::ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => &[Algorithm::EdDSA],
            // Symmetric keys: a published secret is not secret.
            _ => return None,
        };
        let algorithm = match key.common.key_algorithm {
            Some(named) => Algorithm::try_from(named).ok().filter(|named| of_its_type.contains(named))?,
            None => *of_its_type.iter().find(|algorithm| self.accepted.contains(algorithm))?,
        };
        let decoding = DecodingKey::from_jwk(key).ok()?;
        self.accepted.contains(&algorithm).then(|| Key {
            id: key.common.key_id.clone(),
            public: Arc::new(key.algorithm.clone()),
            algorithm,
            key: decoding,
        })
    }
}

impl Key {
    /// Whether this is the same key as the other, and not one that replaced it.
    pub(crate) fn is(&self, other: &Key) -> bool {
        Arc::ptr_eq(&self.public, &other.public) || self.public == other.public
    }
}

impl CachedKeys {
    /// Whether the last request to the source is at least `min_interval` ago.
    fn can_ask_again(&self, min_interval: Duration) -> bool {
        self.asked_at.is_none_or(|asked_at| asked_at.elapsed() >= min_interval)
    }

    /// The key with this id, unless the keys are older than `max_age`.
    fn find(&self, id: Option<&str>, max_age: Duration) -> Result<Option<Key>, TokenError> {
        if self.read_at.is_none_or(|read_at| read_at.elapsed() > max_age) {
            return Err(TokenError::Unavailable(self.last_error.clone()));
        }
        Ok(match id {
            Some(id) => self.keys.iter().find(|key| key.id.as_deref() == Some(id)).cloned(),
            None if self.keys.len() == 1 => self.keys.first().cloned(),
            None => return Err(TokenError::invalid("its header must name its key (kid): its issuer has several")),
        })
    }
}

fn client(ca: &Path) -> Result<reqwest::Client, String> {
    let mut builder = reqwest::Client::builder()
        .timeout(FETCH_TIMEOUT)
        .connect_timeout(FETCH_TIMEOUT)
        // The settings name the address; the issuer must not choose another one.
        .redirect(reqwest::redirect::Policy::none());
    if !ca.as_os_str().is_empty() {
        let pem = std::fs::read(ca).map_err(|error| format!("{}: {error}", ca.display()))?;
        let authorities = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| error.to_string())?;
        builder = builder.tls_certs_only(authorities);
    }
    builder.build().map_err(|error| error.to_string())
}

/// The body of the answer, and its header Date.
async fn fetch(url: &str, ca: &Path) -> Result<(Vec<u8>, Option<String>), String> {
    let response = client(ca)?.get(url).send().await.and_then(reqwest::Response::error_for_status);
    let mut response = response.map_err(|error| with_causes(&error))?;
    let date = response.headers().get("date").and_then(|date| date.to_str().ok()).map(str::to_owned);
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| with_causes(&error))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_SIZE {
            return Err("the answer is larger than 1 MiB".into());
        }
    }
    Ok((bytes, date))
}

/// The error with its causes, which the HTTP client leaves out of its text.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The algorithms with these names, as the header of a token spells them.
pub(crate) fn algorithms(names: &[String]) -> Result<Vec<Algorithm>, String> {
    names
        .iter()
        .map(|name| {
            let algorithm = name.parse::<KeyAlgorithm>().ok().and_then(|algorithm| Algorithm::try_from(algorithm).ok());
            algorithm
                .filter(|algorithm| PUBLIC_KEY_ALGORITHMS.contains(algorithm))
                .ok_or_else(|| {
                    format!("{name} is not an algorithm for public keys; choose from RS256, RS384, RS512, PS256, ES256, ES384, EdDSA")
                })
        })
        .collect()
}

#[cfg(test)]
#[path = "jwks_tests.rs"]
mod tests;
