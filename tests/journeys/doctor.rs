//! `frontdesk doctor`: an installation that works has no finding, and each thing that is broken has its own.

use std::{fs::Permissions, os::unix::fs::PermissionsExt, time::Duration};

use frontdesk::{
    Server, Service, Settings,
    doctor::{Examination, Finding, Report, State},
};
use frontdesk_db::DatabaseUrl;
use frontdesk_tests::{
    binary,
    production::{Authority, TokenIssuer, publish, trust},
    servers, use_test_servers,
};
use frontdesk_transport::TlsSettings;
use jsonwebtoken::Algorithm;
use sea_orm::ConnectionTrait;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::TcpListener, process::Command};

use crate::{
    distributed::{frontdesk, text_of},
    mail_server::SmtpServer,
};

/// Settings of an embedded installation that has not started yet.
fn embedded() -> (Settings, TempDir) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir().unwrap();
    (Settings { data_folder: folder.path().to_owned(), ..Settings::default() }, folder)
}

/// An installation on PostgreSQL and NATS, which nothing runs on yet.
async fn migrated() -> (Settings, TempDir) {
    let (mut settings, folder) = embedded();
    use_test_servers(&mut settings).await;
    Server::open(settings.clone(), &Service::ALL).await.unwrap().migrate().await.unwrap();
    (settings, folder)
}

async fn examine(settings: &Settings) -> Report {
    examine_with(settings, 1).await
}

async fn examine_with(settings: &Settings, min_free_bytes: u64) -> Report {
    let examination = Examination { service: None, json: false, timeout: Duration::from_secs(30), min_free_bytes };
    Box::pin(examination.run(Ok(settings.clone()))).await
}

/// The finding of a check with this state, whose subject or text has these words.
fn find<'a>(report: &'a Report, check: &str, state: State, words: &str) -> &'a Finding {
    let is_meant = |(name, finding): &&(&str, Finding)| {
        *name == check && finding.state == state && format!("{}: {}", finding.subject, finding.text).contains(words)
    };
    &report.0.iter().find(is_meant).unwrap_or_else(|| panic!("no {state:?} of {check} with {words:?}:\n{report}")).1
}

/// The same for something that is wrong, which has a remedy.
fn find_wrong(report: &Report, check: &str, state: State, words: &str) -> String {
    let finding = find(report, check, state, words);
    assert!(!finding.remedy.is_empty(), "{finding:?}");
    finding.remedy.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_finds_nothing_wrong_with_an_installation_that_works() {
    let (settings, _folder) = migrated().await;
    let output = frontdesk(&settings, &["doctor", "--json", "--min-free-bytes", "1"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text_of(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["state"], "ok");
    let findings = report["findings"].as_array().unwrap();
    for check in ["settings", "databases", "broker", "keys", "clock", "time zones", "disk"] {
        assert!(findings.iter().any(|found| found["check"] == check && found["state"] == "ok"), "{check}: {report:#}");
    }
    for check in ["mail server", "issuers", "certificates"] {
        assert!(
            findings.iter().any(|found| found["check"] == check && found["state"] == "skipped"),
            "{check}: {report:#}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_exit_code_of_the_doctor_says_how_bad_it_is() {
    let (mut settings, _folder) = migrated().await;
    // There is no such disk.
    let full = frontdesk(&settings, &["doctor", "--min-free-bytes", &u64::MAX.to_string()]).await;
    assert_eq!(full.status.code(), Some(2), "{}", text_of(&full));
    settings.bus.prefix = servers::nats_prefix();
    let failed = frontdesk(&settings, &["doctor", "notification"]).await;
    assert_eq!(failed.status.code(), Some(2), "{}", text_of(&failed));
    assert!(text_of(&failed).contains("to do: run `frontdesk migrate`"), "{}", text_of(&failed));

    for arguments in [&["doctor", "nothing"][..], &["doctor", "--timeout", "5"], &["no-command"]] {
        let refused = frontdesk(&settings, arguments).await;
        assert_eq!(refused.status.code(), Some(64), "{arguments:?}: {}", text_of(&refused));
    }
    let help = frontdesk(&settings, &["doctor", "--help"]).await;
    assert!(help.status.success() && text_of(&help).contains("--min-free-bytes"), "{}", text_of(&help));
    let unreadable = Command::new(binary()).arg("doctor").env("FRONTDESK__DRAIN", "5").output().await.unwrap();
    assert_eq!(unreadable.status.code(), Some(2), "{}", text_of(&unreadable));
    assert!(text_of(&unreadable).contains("failure  settings: the settings: "), "{}", text_of(&unreadable));
}

#[tokio::test]
async fn the_doctor_changes_nothing_before_the_first_start() {
    let (settings, folder) = embedded();
    let report = examine(&settings).await;
    assert_eq!(report.state(), State::Ok, "{report}");
    find(&report, "databases", State::Skipped, "the first start creates it");
    find(&report, "keys", State::Skipped, "the first start creates it");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "it created a file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_the_doctor_names_a_database_that_is_away_lacks_its_schema_or_does_not_keep_accounts_apart() {
    let (settings, _folder) = migrated().await;
    let mut broken = settings.clone();
    let of = &mut broken.databases;
    of.conversation.url = DatabaseUrl("postgres://suite:s3cret@127.0.0.1:1/none".into());
    of.assignment.url = DatabaseUrl(servers::postgres_database().await);
    let notification = sea_orm::Database::connect(&of.notification.url.0).await.unwrap();
    notification.execute_unprepared("ALTER TABLE deliveries NO FORCE ROW LEVEL SECURITY").await.unwrap();
    let report = examine(&broken).await;
    find_wrong(&report, "databases", State::Failure, "databases.conversation: it cannot be reached");
    let remedy = find_wrong(&report, "databases", State::Failure, "databases.assignment: its schema lacks");
    assert!(report.to_string().contains("assignment_001_agents_and_assignments"), "{report}");
    assert!(remedy.contains("frontdesk migrate"), "{remedy}");
    find_wrong(&report, "databases", State::Failure, "does not keep accounts apart in deliveries");
    find(&report, "databases", State::Ok, "databases.bot_session");
    assert!(!report.to_string().contains("s3cret"), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i17_the_doctor_names_streams_and_consumers_that_are_missing_or_different() {
    let (mut settings, _folder) = migrated().await;
    let client = async_nats::connect(settings.bus.url.as_str()).await.unwrap();
    let broker = async_nats::jetstream::new(client);
    let name = |service: &str| format!("{}_{service}", settings.bus.prefix.to_uppercase());
    let (lost, kept) = (name("BOT_SESSION"), name("CONVERSATION"));
    broker.delete_stream(&lost).await.unwrap();
    broker.get_stream(&kept).await.unwrap().delete_consumer("notification_decide").await.unwrap();
    let report = examine(&settings).await;
    let remedy = find_wrong(&report, "broker", State::Failure, &format!("stream {lost}: it does not exist"));
    assert!(remedy.contains("frontdesk migrate"), "{remedy}");
    find_wrong(&report, "broker", State::Failure, "consumer notification_decide: it does not exist");
    assert!(!report.to_string().contains(&format!("stream {kept}")), "{report}");
    // The doctor does not create what is missing.
    assert!(broker.get_stream(&lost).await.is_err());

    settings.bus.stream_max_bytes = 4 << 20;
    let report = examine(&settings).await;
    find_wrong(&report, "broker", State::Warning, &format!("stream {kept}: max_bytes is 8388608, not 4194304"));
    settings.bus.url = "nats://127.0.0.1:1".into();
    find_wrong(&examine(&settings).await, "broker", State::Failure, "it cannot be reached");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t8_the_doctor_tries_the_mail_server_up_to_the_authentication_and_compares_its_maximum_size() {
    let server = SmtpServer::start("s3cret").await;
    let (mut settings, _folder) = embedded();
    settings.notification = server.settings("s3cret");
    settings.notification.smtp.helo_name = "desk.shop.example".into();
    find(&examine(&settings).await, "mail server", State::Ok, "authenticated; mails of up to 33554432 bytes");
    settings.notification.transcript_max_bytes = 64 << 20;
    find_wrong(&examine(&settings).await, "mail server", State::Warning, "at most 33554432 bytes");
    settings.notification.smtp.helo_name = "desk".into();
    find_wrong(&examine(&settings).await, "mail server", State::Warning, "notification.smtp.helo_name");
    settings.notification.smtp.password = "wrong".to_owned().into();
    find_wrong(&examine(&settings).await, "mail server", State::Failure, "AUTH");
    settings.notification.smtp.ca_path = "/no/such/file".into();
    find_wrong(&examine(&settings).await, "certificates", State::Failure, "notification.smtp.ca_path");

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    settings.notification = server.settings("s3cret");
    settings.notification.smtp.port = silent.local_addr().unwrap().port();
    settings.notification.smtp.timeout = Duration::from_millis(300);
    find_wrong(&examine(&settings).await, "mail server", State::Failure, "no answer within 300ms");
    assert!(server.received("desk@shop.example").is_empty());
}

#[tokio::test]
async fn s5_the_doctor_names_certificates_that_expire_or_that_the_other_services_refuse() {
    let (mut settings, _folder) = embedded();
    let (authority, other) = (Authority::default(), Authority::default());
    settings.tls = authority.settings("conversation");
    find(&examine(&settings).await, "certificates", State::Ok, "the services of spiffe://frontdesk accept it");
    settings.tls = authority.expiring("conversation", 20);
    find_wrong(&examine(&settings).await, "certificates", State::Warning, "in 19 days");
    settings.tls = TlsSettings { ca_path: other.path(), ..authority.settings("conversation") };
    find_wrong(&examine(&settings).await, "certificates", State::Failure, "the other services refuse it");
    settings.tls = TlsSettings { trust_domain: "other".into(), ..authority.settings("conversation") };
    find_wrong(&examine(&settings).await, "certificates", State::Failure, "spiffe://other/<service>");
    settings.tls = TlsSettings { key_path: other.settings("other").key_path, ..authority.settings("conversation") };
    find_wrong(&examine(&settings).await, "certificates", State::Failure, "is not the key of");
    settings.tls = authority.expired("conversation");
    find_wrong(&examine(&settings).await, "certificates", State::Failure, "it is valid from");
}

#[tokio::test]
async fn s1_the_doctor_names_an_issuer_without_usable_keys_and_a_secret_that_is_too_short() {
    let (mut settings, folder) = embedded();
    let issuer = TokenIssuer::new("https://login.example/", "ec", Algorithm::ES256);
    let jwks = folder.path().join("jwks.json");
    publish(&jwks, &[&issuer]);
    trust(&mut settings, &issuer, jwks.to_str().unwrap());
    find(&examine(&settings).await, "issuers", State::Ok, "usable keys: 1, ignored: 0");
    settings.identity.issuers[0].algorithms = vec!["RS256".into()];
    find_wrong(&examine(&settings).await, "issuers", State::Failure, "none of them is a public key");
    settings.identity.issuers[0].jwks = "http://127.0.0.1:1/jwks.json".into();
    find_wrong(&examine(&settings).await, "issuers", State::Failure, "https://login.example/");
    settings.identity.secret = "short".to_owned().into();
    find_wrong(&examine(&settings).await, "keys", State::Failure, "at least 32 bytes");
    settings.notification.dkim_keys.push(frontdesk_notification::DkimKeySettings {
        sender: "shop.example".into(),
        selector: "frontdesk1".into(),
        key_path: "/no/such/file".into(),
    });
    find_wrong(&examine(&settings).await, "keys", State::Failure, "notification.dkim_keys");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_compares_the_clock_with_that_of_the_databases() {
    let (mut settings, _folder) = migrated().await;
    settings.development.clock_skew_seconds = -100;
    let report = examine(&settings).await;
    find_wrong(&report, "clock", State::Failure, "databases.conversation: the clock of this machine is about");
    assert!(report.to_string().contains(" s behind this one, more than identity.leeway"), "{report}");
}

#[tokio::test]
async fn the_doctor_names_settings_that_a_start_would_refuse_and_folders_without_space() {
    let (mut settings, folder) = embedded();
    settings.notification.language = "tlh".into();
    find_wrong(&examine(&settings).await, "settings", State::Failure, "notification.language: must be one of");
    settings.notification.language = "en".into();
    settings.listen = "0.0.0.0:7700".parse().unwrap();
    find_wrong(&examine(&settings).await, "settings", State::Failure, "listen = 0.0.0.0:7700");
    find_wrong(&examine_with(&settings, u64::MAX).await, "disk", State::Failure, "free bytes");
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    settings.data_folder = file;
    find_wrong(&examine(&settings).await, "disk", State::Failure, "it is not a folder");
}
