//! Forged tokens of issuers and of visitors.

use std::time::Duration;

use frontdesk_auth::CallerKind;
use frontdesk_proto::conversation::v1::RotateVisitorKeyResponse;
use frontdesk_tests::{
    new_id,
    production::{TokenIssuer, publish, sign_visitor, trust, visitor_token},
    reason, request_id,
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tonic::Code;
use uuid::Uuid;

use super::{list_channels, new_channel, plain, rotate, settings, start, start_chat, with};

/// Forged tokens, each with a description.
fn forged(
    ours: &TokenIssuer,
    rsa: &TokenIssuer,
    key: &RotateVisitorKeyResponse,
    old: &RotateVisitorKeyResponse,
    account: Uuid,
) -> Vec<(String, String)> {
    let (mut forged, theirs) = (Vec::new(), TokenIssuer::new(&ours.name, &ours.key_id, ours.algorithm));
    let mut add = |what: &str, token: String| forged.push((what.to_owned(), token));
    let claims = ours.claims(account, CallerKind::Admin, "ada");
    let good = ours.sign(&claims);
    let parts: Vec<&str> = good.split('.').collect();
    let changed = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        ours.sign(&claims)
    };
    let without = |name: &str| {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().remove(name);
        ours.sign(&claims)
    };
    let now = claims["nbf"].as_i64().unwrap();
    let encode = |value: &Value| {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        URL_SAFE_NO_PAD.encode(value.to_string())
    };
    let public = ours.jwk();
    let hs256 = |secret: &[u8], kid: &str, claims: &Value| {
        let header = Header { kid: Some(kid.into()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(secret)).unwrap()
    };

    add("nothing", String::new());
    add("a word", "token".into());
    add("three words", "a.b.c".into());
    add("signed with another key of the same name", theirs.sign(&claims));
    add("no signature", format!("{}.{}.", parts[0], parts[1]));
    add("a signature cut short", good[..good.len() - 4].into());
    add("claims of another token", format!("{}.{}.{}", parts[0], encode(&json!({"sub": "eve"})), parts[2]));
    add("parts swapped", format!("{}.{}.{}", parts[0], parts[2], parts[1]));
    add("four parts", format!("{good}.{}", parts[2]));
    for name in ["none", "None", "NONE", "nOnE"] {
        add(&format!("alg {name}"), format!("{}.{}.", encode(&json!({"alg": name, "kid": ours.key_id})), parts[1]));
        add(
            &format!("alg {name} with a signature"),
            format!("{}.{}.{}", encode(&json!({"alg": name, "kid": ours.key_id})), parts[1], parts[2]),
        );
    }
    add("no alg", format!("{}.{}.{}", encode(&json!({"kid": ours.key_id})), parts[1], parts[2]));
    add(
        "alg of another family",
        rsa.sign_as(&Header { kid: Some(ours.key_id.clone()), ..Header::new(Algorithm::RS256) }, &claims),
    );
    add("the public key as a secret, as JSON", hs256(public.to_string().as_bytes(), &ours.key_id, &claims));
    add("the public key as a secret, its x", hs256(public["x"].as_str().unwrap().as_bytes(), &ours.key_id, &claims));
    add("an empty secret", hs256(b"", &ours.key_id, &claims));
    add("a key id that is a path", hs256(b"", "../../../dev/null", &claims));
    add("a key id that is SQL", hs256(b"", "' OR '1'='1", &claims));
    add(
        "a key id that is a number",
        format!("{}.{}.{}", encode(&json!({"alg": "ES256", "kid": 7})), parts[1], parts[2]),
    );
    add("no key id among several keys", ours.sign_as(&Header::new(ours.algorithm), &claims));
    let mut header = Header { kid: Some(ours.key_id.clone()), ..Header::new(ours.algorithm) };
    header.jku = Some("https://evil.example/jwks.json".into());
    header.jwk = Some(serde_json::from_value(theirs.jwk()).unwrap());
    add("its own key in the header", theirs.sign_as(&header, &claims));
    add(
        "extensions that must be understood",
        format!("{}.{}.{}", encode(&json!({"alg": "ES256", "kid": ours.key_id, "crit": ["exp"]})), parts[1], parts[2]),
    );
    add(
        "another type",
        ours.sign_as(
            &Header { typ: Some("logout+jwt".into()), kid: Some(ours.key_id.clone()), ..Header::new(ours.algorithm) },
            &claims,
        ),
    );
    add("another audience", changed("aud", json!("others")));
    add("an audience that only begins like ours", changed("aud", json!("frontdesk.evil")));
    add("audiences without ours", changed("aud", json!(["others", "front", "desk"])));
    add("an audience that is an object", changed("aud", json!({"frontdesk": true})));
    add("another issuer", changed("iss", json!("https://evil.example/")));
    add("an issuer that only ends like ours", changed("iss", json!("https://evil.example/https://login.example/")));
    add("the issuer without its slash", changed("iss", json!("https://login.example")));
    add("several issuers", changed("iss", json!([ours.name])));
    add("the development issuer", changed("iss", json!("frontdesk-development")));
    add("the issuer of page tokens", changed("iss", json!("frontdesk")));
    for name in ["iss", "aud", "exp", "nbf", "sub", "account"] {
        add(&format!("without {name}"), without(name));
    }
    add("expired 61 seconds ago", changed("exp", json!(now + 5 - 61)));
    add("an end that is a string", changed("exp", json!((now + 3_600).to_string())));
    add("an end that is a fraction", changed("exp", json!(now as f64 + 3_600.5)));
    add("an end that is null", changed("exp", Value::Null));
    add("an end that is negative", changed("exp", json!(-1)));
    add("an end in milliseconds", changed("exp", json!((now + 3_600) * 1_000)));
    add("an end beyond numbers", changed("exp", json!(1e300)));
    add("begins in 61 seconds", changed("nbf", json!(now + 5 + 61)));
    add("a beginning that is a string", changed("nbf", json!(now.to_string())));
    add("kind service", changed("kind", json!("service")));
    add("kind root", changed("kind", json!("root")));
    add("a kind that is a list", changed("kind", json!(["admin"])));
    add("a kind that the issuer may not vouch for", changed("kind", json!("visitor")));
    add("an account that is no UUID", changed("account", json!("*")));
    add("several accounts", changed("account", json!([account])));
    add("an agent who is no UUID", {
        let mut claims = claims.clone();
        claims["kind"] = json!("agent");
        ours.sign(&claims)
    });
    add("an empty subject", changed("sub", json!("")));
    add("a subject with a line break", changed("sub", json!("ada\r\nx-frontdesk-account: *")));
    add("a subject that turns around", changed("sub", json!("\u{202e}ada")));
    add("a subject of 129 characters", changed("sub", json!("a".repeat(129))));
    add("a subject that is a number", changed("sub", json!(7)));
    add("longer than 8 KiB", changed("padding", json!("x".repeat(9_000))));

    // Visitor tokens.
    let id = &key.key.as_ref().unwrap().key_id;
    let (channel, _) = id.split_once('.').unwrap();
    let visitor = |changes: &[(&str, Value)]| {
        let mut claims = json!({"iss": channel, "aud": "frontdesk", "sub": "mario", "account": account, "nbf": now, "exp": now + 3_600});
        for (name, value) in changes {
            claims[*name] = value.clone();
        }
        claims
    };
    let signed = |changes: &[(&str, Value)]| sign_visitor(id, &key.secret, &visitor(changes));
    add("visitor: another secret", sign_visitor(id, &"x".repeat(43), &visitor(&[])));
    add(
        "visitor: a key that was replaced",
        sign_visitor(&old.key.as_ref().unwrap().key_id, &old.secret, &visitor(&[])),
    );
    add("visitor: the old secret under the new id", sign_visitor(id, &old.secret, &visitor(&[])));
    add("visitor: a key that is to come", sign_visitor(&format!("{channel}.99"), &key.secret, &visitor(&[])));
    add("visitor: key 0", sign_visitor(&format!("{channel}.0"), &key.secret, &visitor(&[])));
    add("visitor: key -1", sign_visitor(&format!("{channel}.-1"), &key.secret, &visitor(&[])));
    add("visitor: another spelling of the channel", sign_visitor(&id.to_uppercase(), &key.secret, &visitor(&[])));
    add("visitor: another channel's id", {
        let other = new_id().to_string();
        sign_visitor(&format!("{other}.1"), &key.secret, &visitor(&[("iss", json!(other))]))
    });
    add("visitor: another account", signed(&[("account", json!(new_id()))]));
    add("visitor: another issuer", signed(&[("iss", json!("shop"))]));
    add("visitor: another audience", signed(&[("aud", json!("others"))]));
    add("visitor: for a week", signed(&[("exp", json!(now + 7 * 24 * 3_600))]));
    add("visitor: without a beginning", signed(&[("nbf", Value::Null)]));
    add("visitor: expired", signed(&[("nbf", json!(now - 7_200)), ("exp", json!(now - 3_600))]));
    add("visitor: an empty subject", signed(&[("sub", json!(""))]));
    add("visitor: signed as 512", {
        let header = Header { kid: Some(id.clone()), ..Header::new(Algorithm::HS512) };
        jsonwebtoken::encode(&header, &visitor(&[]), &EncodingKey::from_secret(key.secret.as_bytes())).unwrap()
    });
    forged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_forged_tokens_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ours = TokenIssuer::new("https://login.example/", "ec", Algorithm::ES256);
    let rsa = TokenIssuer::new("https://login.example/", "rsa", Algorithm::RS256);
    let jwks = folder.path().join("jwks.json");
    publish(&jwks, &[&ours, &rsa]);
    let mut settings = settings(&folder);
    trust(&mut settings, &ours, jwks.to_str().unwrap());
    let (address, _serving) = start(settings).await;
    let (channel, account) = (plain(&address), new_id());
    let admin = with(&channel, &ours.token(account, CallerKind::Admin, "ada"));
    let shop = new_channel(&admin, None).await;
    let old = rotate(&admin, &shop, None, request_id()).await;
    let key = rotate(&admin, &shop, Some(0), request_id()).await;

    let forged = forged(&ours, &rsa, &key, &old, account);
    for (what, token) in &forged {
        let caller = with(&channel, token);
        let refused = match what.starts_with("visitor") {
            true => start_chat(caller, &shop).await.map(drop).unwrap_err(),
            false => list_channels(caller).await.unwrap_err(),
        };
        let reason = reason(&refused);
        assert_eq!(
            (refused.code(), reason.as_str()),
            (Code::Unauthenticated, "NOT_AUTHENTICATED"),
            "{what}: {refused:?}"
        );
    }
    println!("{} forged tokens, none accepted", forged.len());
    assert!(forged.len() >= 60);

    // Valid tokens of the same issuer and key are accepted.
    list_channels(admin).await.unwrap();
    let id = key.key.unwrap().key_id;
    let mario = visitor_token(&id, &key.secret, account, "mario", Duration::from_secs(60));
    start_chat(with(&channel, &mario), &shop).await.unwrap();
}
