//! What a production deployment has around it: a certificate authority and a token issuer.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use frontdesk::Settings;
use frontdesk_auth::{CallerKind, IssuerSettings};
use frontdesk_clock::Clock;
use frontdesk_transport::TlsSettings;
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType, date_time_ymd};
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use uuid::Uuid;

/// Unix time in seconds, as tokens state it.
fn now() -> u64 {
    u64::try_from(Clock::system().now().0 / 1_000_000).expect("a time after 1970")
}

/// A certificate authority.
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
    /// Path of its own certificate.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Signs a certificate for this machine with these URIs; returns certificate and key in PEM.
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

    /// TLS settings of a service, with a new certificate.
    pub fn settings(&self, service: &str) -> TlsSettings {
        self.write(service, self.sign(&[&format!("spiffe://frontdesk/{service}")]))
    }

    /// TLS settings of a service, with an expired certificate.
    pub fn expired(&self, service: &str) -> TlsSettings {
        let expire = |params: &mut CertificateParams| params.not_after = date_time_ymd(2020, 1, 1);
        self.write(service, self.sign_with(&[&format!("spiffe://frontdesk/{service}")], expire))
    }

    /// TLS settings of a service, with a certificate that expires in this number of days.
    pub fn expiring(&self, service: &str, days: u64) -> TlsSettings {
        let at = date_time_ymd(1970, 1, 1) + Duration::from_secs(now() + days * 24 * 3600);
        let expire = |params: &mut CertificateParams| params.not_after = at;
        self.write(service, self.sign_with(&[&format!("spiffe://frontdesk/{service}")], expire))
    }

    fn write(&self, service: &str, (certificate, key): (String, String)) -> TlsSettings {
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

    /// Connects as a client that trusts this authority, with a client certificate and its key if given.
    pub fn connect(&self, address: &str, client: Option<(String, String)>) -> Channel {
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&self.certificate));
        if let Some((certificate, key)) = client {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        Endpoint::from_shared(address.to_owned()).expect("an address").tls_config(tls).expect("TLS").connect_lazy()
    }
}

/// An issuer of tokens.
pub struct TokenIssuer {
    /// Value of the claim `iss`.
    pub name: String,
    /// Id of its key.
    pub key_id: String,
    /// Signature algorithm.
    pub algorithm: Algorithm,
    key: EncodingKey,
    public: Vec<u8>,
}

impl TokenIssuer {
    /// Creates an issuer with a new key.
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

    /// Its public key as a JWK.
    pub fn jwk(&self) -> Value {
        if self.algorithm == Algorithm::EdDSA {
            let x = URL_SAFE_NO_PAD.encode(&self.public);
            return json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.key_id, "use": "sig" });
        }
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).expect("a key");
        jwk.common.key_id = Some(self.key_id.clone());
        serde_json::to_value(jwk).expect("JSON")
    }

    /// Claims of a token that is valid for an hour.
    pub fn claims(&self, account: Uuid, kind: CallerKind, subject: &str) -> Value {
        let now = now();
        json!({
            "iss": self.name, "aud": "frontdesk", "sub": subject, "nbf": now - 5, "exp": now + 3_600,
            "account": account, "kind": kind.as_str(),
        })
    }

    /// Signs a token with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.key_id.clone()), ..Header::new(self.algorithm) };
        self.sign_as(&header, claims)
    }

    /// Signs a token with this header and these claims.
    pub fn sign_as(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.key).expect("a token")
    }

    /// Signs a token for a caller, valid for an hour.
    pub fn token(&self, account: Uuid, kind: CallerKind, subject: &str) -> String {
        self.sign(&self.claims(account, kind, subject))
    }
}

/// Writes the key set of these issuers.
pub fn publish(file: &Path, issuers: &[&TokenIssuer]) {
    let keys: Vec<Value> = issuers.iter().map(|issuer| issuer.jwk()).collect();
    // Renamed, so that a reader never sees a part of it.
    let new = file.with_extension("new");
    std::fs::write(&new, json!({ "keys": keys }).to_string()).expect("a file");
    std::fs::rename(new, file).expect("a file");
}

/// Makes the settings accept tokens of this issuer, whose key set is at `jwks`, instead of the development key.
pub fn trust(settings: &mut Settings, issuer: &TokenIssuer, jwks: &str) {
    settings.identity.secret = "an installation secret for tests, 32 bytes or more".to_owned().into();
    settings.identity.issuers.push(IssuerSettings {
        issuer: issuer.name.clone(),
        jwks: jwks.to_owned(),
        ..IssuerSettings::default()
    });
}

/// Signs a visitor token as a platform's back end does, with the key id and secret of a `RotateVisitorKeyResponse`.
pub fn visitor_token(key_id: &str, secret: &str, account: Uuid, subject: &str, valid: Duration) -> String {
    let now = now();
    let (channel, _) = key_id.split_once('.').expect("a key id");
    let claims = json!({
        "iss": channel, "aud": "frontdesk", "sub": subject, "account": account, "nbf": now, "exp": now + valid.as_secs(),
    });
    sign_visitor(key_id, secret, &claims)
}

/// Signs a visitor token with these claims.
pub fn sign_visitor(key_id: &str, secret: &str, claims: &Value) -> String {
    let header = Header { kid: Some(key_id.to_owned()), ..Header::new(Algorithm::HS256) };
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(secret.as_bytes())).expect("a token")
}
