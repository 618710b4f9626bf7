//! Row S8: no token, key set or certificate stops the process, and no token that its issuer did not sign is accepted.

use std::{panic::AssertUnwindSafe, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use frontdesk_clock::Clock;
use frontdesk_fuzz::{bytes, check, text};

use crate::{DevelopmentKey, Identity, TokenError, jwks::Jwks, service_name};

const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"alg\":",
    "\"HS256\"",
    "\"none\"",
    "\"RS256\"",
    "\"typ\":\"JWT\"",
    "\"kid\":",
    "\"crit\":[]",
    "\"iss\":",
    "\"frontdesk-development\"",
    "\"sub\":\"a\"",
    "\"exp\":",
    "\"nbf\":",
    "\"iat\":",
    "4102444800",
    "-1",
    "1e308",
    "null",
    "true",
    "\"\"",
    "\"account\":",
    "\"keys\":[",
    "\"kty\":",
    "\"RSA\"",
    "\"oct\"",
    "\"EC\"",
    "\"crv\":\"P-256\"",
    "\"n\":",
    "\"e\":\"AQAB\"",
    "\"x\":",
    "\"use\":\"sig\"",
];

fn development_key(folder: &tempfile::TempDir) -> DevelopmentKey {
    DevelopmentKey::load_or_create(&folder.path().join("key"), &Clock::system()).unwrap()
}

#[test]
fn s8_no_forged_token_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let identity = Identity::from_development_key(&development_key(&folder));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let state = AssertUnwindSafe((identity, runtime));
    check!().with_generator((text(JSON, 24), text(JSON, 24), bytes(64))).for_each(|(header, claims, signature)| {
        let (identity, runtime) = &*state;
        let token =
            [header.as_bytes(), claims.as_bytes(), signature].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        for token in [token.as_str(), header] {
            let result = runtime.block_on(identity.authenticate(token));
            assert!(matches!(result, Err(TokenError::Invalid(_))), "{token}");
        }
    });
}

#[test]
fn s8_no_signed_content_is_accepted_when_a_part_of_it_changed() {
    let folder = tempfile::tempdir().unwrap();
    let key = development_key(&folder);
    let secret = AssertUnwindSafe(key.installation_secret());
    let signed = secret.sign("list", Duration::from_secs(600), &"cursor").unwrap();
    check!().with_generator((0..signed.len(), bytes(8))).for_each(|(place, replacement)| {
        let secret = &*secret;
        let end = (place + replacement.len()).min(signed.len());
        let mut changed = signed.clone().into_bytes();
        changed.splice(place..&end, replacement.iter().copied());
        let changed = String::from_utf8_lossy(&changed);
        let accepted = secret.verify::<String>(&changed, "list").is_ok();
        assert_eq!(accepted, changed == signed, "{changed}");
    });
}

#[test]
fn s8_any_key_set_is_read_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    let source = file.to_str().unwrap().to_owned();
    let accepted = crate::jwks::algorithms(&["RS256".into(), "ES256".into(), "EdDSA".into()]).unwrap();
    let runtime = AssertUnwindSafe(tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap());
    check!().with_generator(text(JSON, 48)).for_each(|document| {
        let runtime = &*runtime;
        std::fs::write(&file, document).unwrap();
        let keys = Jwks::try_new(&source, "".as_ref(), accepted.clone(), &Default::default()).unwrap();
        // Only a set of keys with one that can be used is taken.
        let _ = runtime.block_on(keys.refresh());
    });
}

#[test]
fn s8_a_damaged_certificate_names_a_service_or_none() {
    let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
    let uri = "spiffe://frontdesk/assignment".try_into().unwrap();
    params.subject_alt_names.push(rcgen::SanType::URI(uri));
    let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec();
    check!().with_generator((0..certificate.len(), bytes(16))).for_each(|(place, replacement)| {
        let mut damaged = certificate.clone();
        let end = (place + replacement.len()).min(damaged.len());
        damaged.splice(place..&end, replacement.iter().copied());
        if let Some(name) = service_name(&damaged, "frontdesk") {
            assert!(
                !name.is_empty()
                    && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'),
                "{name}"
            );
        }
    });
}
