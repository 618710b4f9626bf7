//! The public keys of an issuer: read from a file or fetched from a URL, kept, renewed behind the back of callers.

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

use crate::TokenError;

/// How long keys are good for, and how often their source is asked.
#[derive(Clone, Copy)]
struct Patience {
    /// Older keys are fetched again, while the old ones serve.
    fresh: Duration,
    /// Older keys serve nobody: an issuer that was silent for so long may have withdrawn them.
    stale: Duration,
    /// Between two fetches: tokens with made-up key ids must not hammer the issuer.
    pause: Duration,
    /// The same, while there are no keys at all.
    first_pause: Duration,
}

const PATIENCE: Patience = Patience {
    fresh: Duration::from_secs(10 * 60),
    stale: Duration::from_secs(24 * 3600),
    pause: Duration::from_secs(30),
    first_pause: Duration::from_secs(1),
};
const WITHIN: Duration = Duration::from_secs(5);
const LARGEST: usize = 1024 * 1024;

/// Public keys only.
const ACCEPTABLE: [Algorithm; 7] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// The keys cannot be had; the text says where from and why.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the keys at {source_name}: {why}")]
pub struct JwksError {
    source_name: String,
    why: String,
}

enum Source {
    File(PathBuf),
    Url(String, reqwest::Client),
}

/// The keys of one issuer.
pub(crate) struct Jwks {
    source: Source,
    accepted: Vec<Algorithm>,
    patience: Patience,
    keys: RwLock<Arc<Known>>,
    fetching: Arc<Mutex<()>>,
}

#[derive(Clone)]
pub(crate) struct Key {
    id: Option<String>,
    pub(crate) algorithm: Algorithm,
    pub(crate) key: DecodingKey,
}

#[derive(Default)]
struct Known {
    keys: Vec<Key>,
    /// When these keys were had.
    since: Option<Instant>,
    /// When the source was last asked.
    asked: Option<Instant>,
    why_not: String,
}

impl Jwks {
    /// The keys at a URL (https; http on a loopback address) or in a file.
    pub(crate) fn try_new(source: &str, ca: &Path, accepted: Vec<Algorithm>) -> Result<Self, JwksError> {
        let wrong = |why: String| JwksError { source_name: source.to_owned(), why };
        let source = match source.split_once("://") {
            Some(("file", path)) => Source::File(path.into()),
            None => Source::File(source.into()),
            Some((scheme, _)) => {
                let url = reqwest::Url::parse(source).map_err(|error| wrong(error.to_string()))?;
                let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
                if scheme != "https" && !(scheme == "http" && local) {
                    return Err(wrong("must be a file or an https address: what it says decides who is let in".into()));
                }
                Source::Url(source.to_owned(), client(ca).map_err(wrong)?)
            }
        };
        Ok(Self { source, accepted, patience: PATIENCE, keys: RwLock::default(), fetching: Arc::default() })
    }

    pub(crate) fn is_file(&self) -> bool {
        matches!(self.source, Source::File(_))
    }

    /// The key that a token names. Without a name: the only key there is.
    pub(crate) async fn key(self: &Arc<Self>, id: Option<&str>) -> Result<Key, TokenError> {
        let known = self.known();
        match known.since.map(|since| since.elapsed()) {
            None => self.fetch(&known).await,
            Some(age) if age > self.patience.stale => self.fetch(&known).await,
            // Behind the back of callers, one at a time: whoever finds another at it, or that it was tried just now, lets it be.
            Some(age) if age > self.patience.fresh && known.may_ask(self.patience.pause) => {
                if let Ok(one) = self.fetching.clone().try_lock_owned() {
                    let jwks = self.clone();
                    tokio::spawn(async move {
                        jwks.fetch_unless_lately(jwks.patience.pause).await;
                        drop(one);
                    });
                }
            }
            Some(_) => {}
        }
        if let Some(key) = self.known().find(id, self.patience.stale)? {
            return Ok(key);
        }
        // An issuer signs with its newest key at once.
        self.fetch(&known).await;
        self.known()
            .find(id, self.patience.stale)?
            .ok_or_else(|| TokenError::invalid("its issuer publishes no such key"))
    }

    fn known(&self) -> Arc<Known> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the source, unless somebody did while we waited for our turn.
    async fn fetch(&self, seen: &Known) {
        let pause = if seen.since.is_some() { self.patience.pause } else { self.patience.first_pause };
        let _one = self.fetching.lock().await;
        self.fetch_unless_lately(pause).await;
    }

    async fn fetch_unless_lately(&self, pause: Duration) {
        if self.known().may_ask(pause)
            && let Err(error) = self.renew().await
        {
            tracing::warn!(%error, "the keys of an issuer cannot be had; those that are known serve on");
        }
    }

    /// Reads the source now. What is no good leaves the keys as they are.
    pub(crate) async fn renew(&self) -> Result<(), JwksError> {
        let asked = Some(Instant::now());
        let (known, error) = match self.load().await {
            Ok(keys) => (Known { keys, since: asked, asked, why_not: String::new() }, None),
            Err(error) => {
                let known = self.known();
                let (keys, since) = (known.keys.clone(), known.since);
                (Known { keys, since, asked, why_not: error.to_string() }, Some(error))
            }
        };
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
        error.map_or(Ok(()), Err)
    }

    async fn load(&self) -> Result<Vec<Key>, JwksError> {
        let (name, bytes) = match &self.source {
            Source::File(path) => {
                (path.display().to_string(), tokio::fs::read(path).await.map_err(|error| error.to_string()))
            }
            Source::Url(url, client) => (url.clone(), fetch(client, url).await),
        };
        let wrong = |why: String| JwksError { source_name: name.clone(), why };
        #[derive(serde::Deserialize)]
        struct Set {
            keys: Vec<serde_json::Value>,
        }
        let set: Set = serde_json::from_slice(&bytes.map_err(wrong)?)
            .map_err(|error| wrong(format!("they are no JSON Web Key Set ({error})")))?;
        // One that is of no kind that is known leaves the others as they are (RFC 7517, 5).
        let keys = set.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        let keys: Vec<Key> = keys.filter_map(|key| self.accept(&key)).collect();
        if keys.is_empty() {
            let names: Vec<String> = self.accepted.iter().map(|algorithm| format!("{algorithm:?}")).collect();
            return Err(wrong(format!("none of them is a public key for signatures with {}", names.join(", "))));
        }
        Ok(keys)
    }

    /// A key that may verify: public, for signatures, of an algorithm that is accepted. What it says of itself is checked, and
    /// it verifies with that one algorithm only.
    fn accept(&self, key: &Jwk) -> Option<Key> {
        let verifies = |of: &Vec<KeyOperations>| of.contains(&KeyOperations::Verify);
        if !matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature))
            || !key.common.key_operations.as_ref().is_none_or(verifies)
        {
            return None;
        }
        let of_its_kind: &[Algorithm] = match &key.algorithm {
            AlgorithmParameters::RSA(rsa) => {
                // 2,048 bits in base64url: less is no key today.
                if rsa.n.len() < 342 {
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
            // A secret that is published is none.
            _ => return None,
        };
        let algorithm = match key.common.key_algorithm {
            Some(named) => Algorithm::try_from(named).ok().filter(|named| of_its_kind.contains(named))?,
            None => *of_its_kind.iter().find(|algorithm| self.accepted.contains(algorithm))?,
        };
        let decoding = DecodingKey::from_jwk(key).ok()?;
        self.accepted.contains(&algorithm).then(|| Key { id: key.common.key_id.clone(), algorithm, key: decoding })
    }
}

impl Known {
    fn may_ask(&self, pause: Duration) -> bool {
        self.asked.is_none_or(|asked| asked.elapsed() >= pause)
    }

    fn find(&self, id: Option<&str>, stale: Duration) -> Result<Option<Key>, TokenError> {
        if self.since.is_none_or(|since| since.elapsed() > stale) {
            return Err(TokenError::Unavailable(self.why_not.clone()));
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
        .timeout(WITHIN)
        .connect_timeout(WITHIN)
        // Where to is what the settings say.
        .redirect(reqwest::redirect::Policy::none());
    if !ca.as_os_str().is_empty() {
        let pem = std::fs::read(ca).map_err(|error| format!("{}: {error}", ca.display()))?;
        let authorities = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| error.to_string())?;
        builder = builder.tls_certs_only(authorities);
    }
    builder.build().map_err(|error| error.to_string())
}

async fn fetch(client: &reqwest::Client, url: &str) -> Result<Vec<u8>, String> {
    let answer = client.get(url).send().await.and_then(reqwest::Response::error_for_status);
    let mut answer = answer.map_err(|error| chain(&error))?;
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| chain(&error))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > LARGEST {
            return Err("the answer is larger than 1 MiB".into());
        }
    }
    Ok(bytes)
}

/// An HTTP client hides the cause behind its own words.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// A key's algorithm in the words of a token's header.
pub(crate) fn algorithms(names: &[String]) -> Result<Vec<Algorithm>, String> {
    names
        .iter()
        .map(|name| {
            let algorithm = name.parse::<KeyAlgorithm>().ok().and_then(|algorithm| Algorithm::try_from(algorithm).ok());
            algorithm
                .filter(|algorithm| ACCEPTABLE.contains(algorithm))
                .ok_or_else(|| {
                    format!("{name} is not an algorithm for public keys; choose of RS256, RS384, RS512, PS256, ES256, ES384, EdDSA")
                })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;

    fn jwk(id: &str) -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let point = rcgen::PublicKeyData::der_bytes(&key).to_vec();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..65]));
        format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}","kid":"{id}"}}"#)
    }

    /// Keys in a file, with the patience of a test.
    fn keys(folder: &tempfile::TempDir, patience: [u64; 4]) -> (PathBuf, Arc<Jwks>) {
        let file = folder.path().join("jwks.json");
        let mut jwks = Jwks::try_new(file.to_str().unwrap(), Path::new(""), vec![Algorithm::ES256]).unwrap();
        let [fresh, stale, pause, first_pause] = patience.map(Duration::from_millis);
        jwks.patience = Patience { fresh, stale, pause, first_pause };
        (file, Arc::new(jwks))
    }

    fn publish(file: &Path, keys: &[&str]) {
        std::fs::write(file, format!(r#"{{"keys":[{}]}}"#, keys.join(","))).unwrap();
    }

    async fn wait(milliseconds: u64) {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }

    #[tokio::test]
    async fn s1_a_new_key_is_found_and_a_withdrawn_one_forgotten_while_nobody_waits() {
        let (folder, old, new) = (tempfile::tempdir().unwrap(), jwk("old"), jwk("new"));
        let (file, jwks) = keys(&folder, [300, 60_000, 50, 10]);
        publish(&file, &[&old]);
        jwks.key(Some("old")).await.unwrap();
        jwks.key(None).await.unwrap();
        publish(&file, &[&old, &new]);
        assert!(jwks.key(Some("new")).await.is_err(), "asked a moment ago");
        wait(60).await;
        jwks.key(Some("new")).await.unwrap();
        assert!(matches!(jwks.key(None).await, Err(TokenError::Invalid(_))), "which of them?");
        publish(&file, &[&new]);
        wait(310).await;
        // The old keys serve whoever comes first, and are asked for behind their back.
        jwks.key(Some("old")).await.unwrap();
        wait(100).await;
        assert!(matches!(jwks.key(Some("old")).await, Err(TokenError::Invalid(_))));
        jwks.key(Some("new")).await.unwrap();
    }

    #[tokio::test]
    async fn s1_keys_serve_on_while_their_source_is_away_but_not_for_ever() {
        let (folder, key) = (tempfile::tempdir().unwrap(), jwk("key"));
        let (file, jwks) = keys(&folder, [50, 700, 20, 10]);
        assert!(matches!(jwks.key(Some("key")).await, Err(TokenError::Unavailable(_))), "there never were any");
        publish(&file, &[&key]);
        wait(20).await;
        jwks.key(Some("key")).await.unwrap();
        for garbage in ["", "{", r#"{"keys":[]}"#, r#"{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"key"}]}"#] {
            std::fs::write(&file, garbage).unwrap();
            wait(60).await;
            jwks.key(Some("key")).await.unwrap();
        }
        std::fs::remove_file(&file).unwrap();
        wait(800).await;
        assert!(matches!(jwks.key(Some("key")).await, Err(TokenError::Unavailable(_))), "for too long");
        publish(&file, &[&key]);
        wait(30).await;
        jwks.key(Some("key")).await.unwrap();
    }

    #[tokio::test]
    async fn s5_what_is_published_verifies_only_as_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (file, jwks) = keys(&folder, [1, 60_000, 1, 1]);
        let with = |id: &str, more: &str| jwk(id).replace(r#""kid""#, &format!("{more},\"kid\""));
        publish(
            &file,
            &[
                &jwk("good"),
                &with("for encryption", r#""use":"enc""#),
                &with("for other operations", r#""key_ops":["encrypt"]"#),
                &with("malformed", r#""x5c":"no list""#),
                &with("of another algorithm", r#""alg":"ES384""#),
                &with("that says it is a secret", r#""alg":"HS256""#),
                r#"{"kty":"oct","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0","kid":"secret","alg":"HS256"}"#,
                r#"{"kty":"RSA","n":"sXch","e":"AQAB","kid":"short","alg":"RS256"}"#,
            ],
        );
        let known: Vec<_> = jwks.load().await.unwrap().into_iter().map(|key| (key.id, key.algorithm)).collect();
        assert_eq!(known, [(Some("good".into()), Algorithm::ES256)]);
    }
}
