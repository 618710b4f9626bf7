use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::*;

fn jwk(id: &str) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let point = rcgen::PublicKeyData::der_bytes(&key).to_vec();
    let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..65]));
    format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}","kid":"{id}"}}"#)
}

/// Keys in a file, with a policy in milliseconds.
fn keys(folder: &tempfile::TempDir, policy: [u64; 4]) -> (PathBuf, Arc<Jwks>) {
    let file = folder.path().join("jwks.json");
    let tasks = TaskTracker::new();
    let mut jwks = Jwks::try_new(file.to_str().unwrap(), Path::new(""), vec![Algorithm::ES256], &tasks).unwrap();
    let [refresh_after, max_age, min_interval, min_interval_without_keys] = policy.map(Duration::from_millis);
    jwks.policy = RefreshPolicy { refresh_after, max_age, min_interval, min_interval_without_keys };
    (file, Arc::new(jwks))
}

fn publish(file: &Path, keys: &[&str]) {
    std::fs::write(file, format!(r#"{{"keys":[{}]}}"#, keys.join(","))).unwrap();
}

async fn wait(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

#[tokio::test]
async fn s1_a_new_key_is_found_and_a_withdrawn_one_is_dropped_in_the_background() {
    let (folder, old, new) = (tempfile::tempdir().unwrap(), jwk("old"), jwk("new"));
    let (file, jwks) = keys(&folder, [300, 60_000, 50, 10]);
    publish(&file, &[&old]);
    jwks.key(Some("old")).await.unwrap();
    jwks.key(None).await.unwrap();
    publish(&file, &[&old, &new]);
    assert!(jwks.key(Some("new")).await.is_err(), "the source was asked a moment ago");
    wait(60).await;
    jwks.key(Some("new")).await.unwrap();
    assert!(matches!(jwks.key(None).await, Err(TokenError::Invalid(_))), "a token without kid is ambiguous");
    publish(&file, &[&new]);
    wait(310).await;
    // The first call still finds the cached key and starts a refresh.
    jwks.key(Some("old")).await.unwrap();
    wait(100).await;
    assert!(matches!(jwks.key(Some("old")).await, Err(TokenError::Invalid(_))));
    jwks.key(Some("new")).await.unwrap();
}

#[tokio::test]
async fn s1_a_key_that_replaced_another_is_not_taken_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let (file, jwks) = keys(&folder, [1, 60_000, 1, 1]);
    let nameless = || jwk("x").replace(r#","kid":"x""#, "");
    let (old, other) = (nameless(), nameless());
    publish(&file, &[&old]);
    jwks.refresh().await.unwrap();
    let signed_by = jwks.key(None).await.unwrap();
    jwks.refresh().await.unwrap();
    assert!(jwks.key(None).await.unwrap().is(&signed_by), "it was published again");
    publish(&file, &[&other]);
    jwks.refresh().await.unwrap();
    assert!(!jwks.key(None).await.unwrap().is(&signed_by), "another key, and the only one");
}

#[tokio::test]
async fn s1_cached_keys_stay_in_use_while_their_source_is_away_until_their_maximum_age() {
    let (folder, key) = (tempfile::tempdir().unwrap(), jwk("key"));
    let (file, jwks) = keys(&folder, [50, 700, 20, 10]);
    assert!(matches!(jwks.key(Some("key")).await, Err(TokenError::Unavailable(_))), "there are no keys yet");
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
    assert!(matches!(jwks.key(Some("key")).await, Err(TokenError::Unavailable(_))), "they are too old");
    publish(&file, &[&key]);
    wait(30).await;
    jwks.key(Some("key")).await.unwrap();
}

#[tokio::test]
async fn s5_only_public_signature_keys_of_accepted_algorithms_are_used() {
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
    let set = jwks.read().await.unwrap();
    let known: Vec<_> = set.keys.into_iter().map(|key| (key.id, key.algorithm)).collect();
    assert_eq!(known, [(Some("good".into()), Algorithm::ES256)]);
    assert_eq!((set.ignored, set.date), (7, None));
}

#[tokio::test]
async fn s1_no_error_of_an_issuers_keys_has_the_password_of_their_address() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let tasks = TaskTracker::new();
    let jwks = |source: &str| Jwks::try_new(source, Path::new(""), vec![Algorithm::ES256], &tasks);
    // Nothing listens at this port.
    let unreachable = jwks("http://u:s3cret@127.0.0.1:1/keys").unwrap();
    let not_read = unreachable.refresh().await.unwrap_err().to_string();
    let refused = jwks("http://u:s3cret@keys.example/").err().unwrap().to_string();
    let invalid = jwks("https://u:s3cret@keys example/").err().unwrap().to_string();
    for error in [not_read, refused, invalid, unreachable.cached().last_error.clone()] {
        assert!(!error.contains("s3cret") && error.contains("(hidden)@"), "{error}");
    }
}
