//! What surrounds a suite in production: an authority that signs certificates, and an issuer that signs tokens.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use frontdesk::Settings;
use frontdesk_auth::{IssuerSettings, Kind};
use frontdesk_clock::Clock;
use frontdesk_transport::TlsSettings;
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType, date_time_ymd};
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use uuid::Uuid;

/// Seconds since 1970, as an issuer elsewhere counts them.
fn now() -> u64 {
    u64::try_from(Clock::system().now().0 / 1_000_000).expect("a time after 1970")
}

/// Signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    folder: TempDir,
}

impl Default for Authority {
    fn default() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate").pem();
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("ca.pem"), &certificate).expect("a file");
        Self { issuer: Issuer::new(params, key), certificate, folder }
    }
}

impl Authority {
    /// Where its own certificate is.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for this machine with these URIs, and its key, in PEM.
    pub fn sign(&self, uris: &[&str]) -> (String, String) {
        self.sign_with(uris, |_| {})
    }

    fn sign_with(&self, uris: &[&str], change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let mut params = CertificateParams::new(vec!["127.0.0.1".into(), "localhost".into()]).expect("names");
        let uris = uris.iter().map(|uri| SanType::URI(uri.to_string().try_into().expect("a name")));
        params.subject_alt_names.extend(uris);
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    /// The settings of a service, with a new certificate in files of its own.
    pub fn settings(&self, service: &str) -> TlsSettings {
        self.written(service, self.sign(&[&format!("spiffe://frontdesk/{service}")]))
    }

    /// The same with a certificate whose time is over.
    pub fn expired(&self, service: &str) -> TlsSettings {
        let over = |params: &mut CertificateParams| params.not_after = date_time_ymd(2020, 1, 1);
        self.written(service, self.sign_with(&[&format!("spiffe://frontdesk/{service}")], over))
    }

    fn written(&self, service: &str, (certificate, key): (String, String)) -> TlsSettings {
        let path = |end: &str| self.folder.path().join(format!("{service}.{end}"));
        std::fs::write(path("pem"), certificate).expect("a file");
        std::fs::write(path("key"), key).expect("a file");
        TlsSettings {
            certificate_path: path("pem"),
            key_path: path("key"),
            ca_path: self.path(),
            ..TlsSettings::default()
        }
    }

    /// A connection of a client that trusts this authority, and shows a certificate if it has one.
    pub fn connect(&self, address: &str, shows: Option<(String, String)>) -> Channel {
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&self.certificate));
        if let Some((certificate, key)) = shows {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        Endpoint::from_shared(address.to_owned()).expect("an address").tls_config(tls).expect("TLS").connect_lazy()
    }
}

/// Signs tokens.
pub struct TokenIssuer {
    /// Its name.
    pub name: String,
    /// The id of its key.
    pub key_id: String,
    /// What it signs with.
    pub algorithm: Algorithm,
    key: EncodingKey,
    public: Vec<u8>,
}

impl TokenIssuer {
    /// With a new key.
    pub fn new(name: &str, key_id: &str, algorithm: Algorithm) -> Self {
        let kind = match algorithm {
            Algorithm::ES256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Algorithm::EdDSA => &rcgen::PKCS_ED25519,
            _ => &rcgen::PKCS_RSA_SHA256,
        };
        let pair = KeyPair::generate_for(kind).expect("a key");
        let (key, public) = (pair.serialize_pem(), pair.public_key_raw().to_vec());
        let key = match algorithm {
            Algorithm::ES256 => EncodingKey::from_ec_pem(key.as_bytes()),
            Algorithm::EdDSA => EncodingKey::from_ed_pem(key.as_bytes()),
            _ => EncodingKey::from_rsa_pem(key.as_bytes()),
        };
        Self { name: name.into(), key_id: key_id.into(), algorithm, key: key.expect("a key"), public }
    }

    /// Its public key, as it publishes it.
    pub fn jwk(&self) -> Value {
        if self.algorithm == Algorithm::EdDSA {
            let x = URL_SAFE_NO_PAD.encode(&self.public);
            return json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.key_id, "use": "sig" });
        }
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).expect("a key");
        jwk.common.key_id = Some(self.key_id.clone());
        serde_json::to_value(jwk).expect("JSON")
    }

    /// The claims of a token that is good for an hour.
    pub fn claims(&self, account: Uuid, kind: Kind, subject: &str) -> Value {
        let now = now();
        json!({
            "iss": self.name, "aud": "frontdesk", "sub": subject, "nbf": now - 5, "exp": now + 3_600,
            "account": account, "kind": kind.as_str(),
        })
    }

    /// A token that says so.
    pub fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.key_id.clone()), ..Header::new(self.algorithm) };
        self.sign_as(&header, claims)
    }

    /// The same with a header of the test's.
    pub fn sign_as(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.key).expect("a token")
    }

    /// The token of somebody.
    pub fn token(&self, account: Uuid, kind: Kind, subject: &str) -> String {
        self.sign(&self.claims(account, kind, subject))
    }
}

/// Writes what issuers publish.
pub fn publish(file: &Path, issuers: &[&TokenIssuer]) {
    let keys: Vec<Value> = issuers.iter().map(|issuer| issuer.jwk()).collect();
    // Whole at every moment, as whoever publishes keys must.
    let beside = file.with_extension("new");
    std::fs::write(&beside, json!({ "keys": keys }).to_string()).expect("a file");
    std::fs::rename(beside, file).expect("a file");
}

/// Settings that accept tokens of this issuer, whose keys are there, and not the development key.
pub fn trust(settings: &mut Settings, issuer: &TokenIssuer, jwks: &str) {
    settings.identity.secret = "the installation's secret of a test: long enough".to_owned().into();
    settings.identity.issuers.push(IssuerSettings {
        issuer: issuer.name.clone(),
        jwks: jwks.to_owned(),
        ..IssuerSettings::default()
    });
}

/// A visitor token as a platform's back end mints it, with the key id and secret that `RotateVisitorKey` gave.
pub fn visitor_token(key_id: &str, secret: &str, account: Uuid, subject: &str, valid: Duration) -> String {
    let now = now();
    let (channel, _) = key_id.split_once('.').expect("a key id");
    let claims = json!({
        "iss": channel, "aud": "frontdesk", "sub": subject, "account": account, "nbf": now, "exp": now + valid.as_secs(),
    });
    sign_visitor(key_id, secret, &claims)
}

/// The same with claims of the test's.
pub fn sign_visitor(key_id: &str, secret: &str, claims: &Value) -> String {
    let header = Header { kid: Some(key_id.to_owned()), ..Header::new(Algorithm::HS256) };
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(secret.as_bytes())).expect("a token")
}
