//! Configurations that the server refuses.

use std::{path::PathBuf, time::Duration};

use frontdesk::{Server, Service, Settings};
use frontdesk_auth::CallerKind;
use frontdesk_tests::production::{Authority, TokenIssuer, publish, trust};
use frontdesk_transport::TlsSettings;
use jsonwebtoken::Algorithm;

use super::settings;

#[tokio::test]
async fn missing_settings_of_a_production_configuration_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = TokenIssuer::new("https://login.example/", "ec", Algorithm::ES256);
    let jwks = folder.path().join("jwks.json");
    publish(&jwks, &[&issuer]);
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let authority = Authority::default();
    let outside = "0.0.0.0:7700".parse().unwrap();
    let trusted = |settings: &mut Settings| trust(settings, &issuer, jwks.to_str().unwrap());
    type Set<'a> = Box<dyn Fn(&mut Settings) + 'a>;
    let cases: Vec<(&str, Set<'_>)> = vec![
        ("identity.issuers", Box::new(|settings| settings.listen = outside)),
        (
            "identity.development_key",
            Box::new(|settings| {
                trusted(settings);
                settings.listen = outside;
                settings.identity.development_key = Some(true);
            }),
        ),
        (
            "tls.certificate_path",
            Box::new(|settings| {
                trusted(settings);
                settings.listen = outside;
            }),
        ),
        (
            "identity.secret",
            Box::new(|settings| {
                trusted(settings);
                settings.identity.secret = String::new().into();
            }),
        ),
        (
            "at least 32 bytes",
            Box::new(|settings| {
                trusted(settings);
                settings.identity.secret = "short".to_owned().into();
            }),
        ),
        ("tls.key_path", Box::new(|settings| settings.tls.certificate_path = "absent.pem".into())),
        ("absent.json", Box::new(|settings| trust(settings, &issuer, "absent.json"))),
        ("https address", Box::new(|settings| trust(settings, &issuer, "http://login.example/jwks.json"))),
        (
            "HS256",
            Box::new(|settings| {
                trusted(settings);
                settings.identity.issuers[0].algorithms = vec!["HS256".into()];
            }),
        ),
        (
            "certificate",
            Box::new(|settings| {
                trusted(settings);
                settings.identity.issuers[0].kinds.push(CallerKind::Service);
            }),
        ),
        (
            "twice",
            Box::new(|settings| {
                trusted(settings);
                trusted(settings);
            }),
        ),
        (
            "go together",
            Box::new(|settings| {
                settings.tls = TlsSettings { certificate_path: PathBuf::new(), ..authority.settings("all") }
            }),
        ),
        (
            "not the key of",
            Box::new(|settings| {
                settings.tls =
                    TlsSettings { key_path: authority.settings("other").key_path, ..authority.settings("all") }
            }),
        ),
        (
            "spiffe://elsewhere/<service>",
            Box::new(|settings| {
                settings.tls = TlsSettings { trust_domain: "elsewhere".into(), ..authority.settings("all") }
            }),
        ),
        ("valid from", Box::new(|settings| settings.tls = authority.expired("all"))),
        ("limits.in_flight", Box::new(|settings| settings.limits.in_flight = 0)),
        ("web.listen", Box::new(|settings| settings.web.listen = Some(Some(outside)))),
        (
            "web.listen = 0.0.0.0:7700 can be reached from other machines: set tls.certificate_path",
            Box::new(|settings| {
                trusted(settings);
                settings.web.listen = Some(Some(outside));
            }),
        ),
        (
            "web.certificate_path = absent.pem",
            Box::new(|settings| {
                settings.web.certificate_path = "absent.pem".into();
                settings.web.key_path = "absent.key".into();
            }),
        ),
        ("web.services", Box::new(|settings| settings.web.services.push("frontdesk.dev.v1.ClockService".into()))),
        ("web.allowed_origins", Box::new(|settings| settings.web.allowed_origins = Some(vec!["shop.example".into()]))),
        ("leeway", Box::new(|settings| settings.identity.leeway = Duration::from_secs(61))),
    ];
    for (names, set) in cases {
        let mut settings = settings(&folder);
        set(&mut settings);
        let refused =
            Server::open(settings, &Service::ALL).await.err().unwrap_or_else(|| panic!("{names}: the server started"));
        assert!(refused.to_string().contains(names), "{names}: {refused}");
    }
    // A single service without the development key.
    let mut settings = settings(&folder);
    trusted(&mut settings);
    settings.bus.url = "nats://127.0.0.1:1".into();
    settings.databases.assignment.url = frontdesk_db::DatabaseUrl("postgres://u@127.0.0.1:1/d".into());
    settings.peers.conversation = "http://127.0.0.1:7701".into();
    let refused = Server::open(settings, &[Service::Assignment]).await.err().unwrap().to_string();
    assert!(refused.contains("peers.conversation") && refused.contains("https"), "{refused}");
}
