//! Mail over SMTP with STARTTLS and authentication, to an independent server, parsed by an independent library; and to a full mail
//! server, which delivers it into a Maildir.

use std::{path::Path, process::Stdio, time::Duration};

use frontdesk_notification::{NotificationSettings, SmtpSettings, SmtpTls};
use frontdesk_proto::{
    conversation::v1::{
        CloseConversationRequest, PostMessageRequest, conversation_service_client::ConversationServiceClient,
        thread_service_client::ThreadServiceClient,
    },
    notification::v1::{
        CreateSenderRequest, Delivery, DeliveryStatus, GetDeliveryRequest, SetFallbackSenderRequest,
        VerifySenderRequest, delivery_service_client::DeliveryServiceClient,
        sender_service_client::SenderServiceClient,
    },
};
use frontdesk_test_servers::{Exim, EximUser};
use frontdesk_tests::{Account, As, Process, TestSuite, new_id, production::Authority, request_id, wait_for};
use mail_parser::{HeaderValue, MessageParser, MimeHeaders};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::metrics::metrics;

pub(crate) struct SmtpServer {
    _child: Child,
    pub(crate) port: u16,
    pub(crate) folder: tempfile::TempDir,
}

impl SmtpServer {
    pub(crate) async fn start(password: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("smtp/server.py");
        let mut child = Command::new(crate::clients::python())
            .arg(script)
            .arg(folder.path())
            .args(["frontdesk", password])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("Python with aiosmtpd; run `make python`");
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        tokio::time::timeout(Duration::from_secs(20), stdout.read_line(&mut line))
            .await
            .expect("a port in time")
            .unwrap();
        Self { _child: child, port: line.trim().parse().expect("a port"), folder }
    }

    pub(crate) fn settings(&self, password: &str) -> NotificationSettings {
        let smtp = SmtpSettings {
            host: "localhost".into(),
            port: self.port,
            tls: SmtpTls::Starttls,
            username: "frontdesk".into(),
            password: password.to_owned().into(),
            ca_path: self.folder.path().join("ca.pem").display().to_string(),
            ..SmtpSettings::default()
        };
        NotificationSettings { smtp, retry_pause: Duration::from_millis(200), ..NotificationSettings::default() }
    }

    /// Mails that the server accepted for the address, as Python's mail library parses them.
    pub(crate) fn received(&self, recipient: &str) -> Vec<Value> {
        let files = std::fs::read_dir(self.folder.path()).unwrap().filter_map(|entry| Some(entry.ok()?.path()));
        let mails = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
        mails
            .map(|path| serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap())
            .filter(|mail| mail["envelope_to"][0] == recipient)
            .collect()
    }
}

pub(crate) async fn verified_sender(account: &Account, server: &SmtpServer, address: &str) {
    let mut senders = SenderServiceClient::new(account.admin());
    let sender = CreateSenderRequest {
        email: address.into(),
        display_name: "The \"Shop\", Ltd".into(),
        request_id: request_id(),
    };
    let sender = senders.create_sender(sender).await.unwrap().into_inner().sender.unwrap();
    let mail = wait_for("the code", || async { server.received(address).pop() }).await;
    let text = mail["text"].as_str().unwrap();
    let code = text.split(|c: char| !c.is_ascii_digit()).find(|part| part.len() == 8).unwrap().to_owned();
    senders.verify_sender(VerifySenderRequest { sender_id: sender.id.clone(), code }).await.unwrap();
    senders.set_fallback_sender(SetFallbackSenderRequest { sender_id: sender.id }).await.unwrap();
}

async fn closed_chat(account: &Account, agent: &As, address: &str) -> String {
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.known_visitor(address, address), &channel).await;
    chat.say("A line.\n.\n.a line that begins with a dot\nGrüße").await.unwrap();
    let reply = PostMessageRequest {
        conversation_id: chat.id.clone(),
        text: "Hello".into(),
        request_id: request_id(),
        ..Default::default()
    };
    ThreadServiceClient::new(agent.clone()).post_message(reply).await.unwrap();
    let close = CloseConversationRequest { conversation_id: chat.id.clone(), ..Default::default() };
    ConversationServiceClient::new(agent.clone()).close_conversation(close).await.unwrap();
    Account::explained(agent, &chat.id, 1).await.decision.unwrap().delivery_id
}

async fn delivery(agent: &As, id: &str, found: impl Fn(&Delivery) -> bool) -> Delivery {
    wait_for("the delivery", || async {
        let request = GetDeliveryRequest { delivery_id: id.to_owned() };
        let answer = DeliveryServiceClient::new(agent.clone()).get_delivery(request).await.unwrap();
        answer.into_inner().delivery.filter(&found)
    })
    .await
}

#[tokio::test]
async fn t6_t8_a_transcript_arrives_over_smtp_with_starttls_and_authentication() {
    let server = SmtpServer::start("s3cret").await;
    let suite = TestSuite::start_with(|settings| settings.notification = server.settings("s3cret")).await;
    let account = suite.account().await;
    verified_sender(&account, &server, "desk@shop.example").await;
    let (_, agent) = account.agent("Ada").await;
    let id = closed_chat(&account, &agent, "vera@visitor.example").await;
    let sent = delivery(&agent, &id, |delivery| delivery.status() == DeliveryStatus::Sent).await;
    assert!(sent.last_response.contains("Kept as number"), "the reply of the server: {sent:?}");

    let mails = server.received("vera@visitor.example");
    assert_eq!(mails.len(), 1);
    let mail = &mails[0];
    assert_eq!((&mail["encrypted"], &mail["authenticated"]), (&Value::Bool(true), &Value::Bool(true)));
    assert_eq!(mail["defects"], Value::Array(Vec::new()), "Python's library finds nothing wrong");
    assert_eq!(mail["envelope_from"], "desk@shop.example");
    assert_eq!(mail["headers"]["Message-ID"], sent.mail_message_id.as_str());
    assert!(mail["headers"]["From"].as_str().unwrap().contains("desk@shop.example"));
    assert_eq!(mail["types"], serde_json::json!(["multipart/alternative", "text/plain", "text/html"]));
    let text = mail["text"].as_str().unwrap();
    assert!(text.contains("Grüße") && text.contains(".a line that begins with a dot"), "{text}");
}

#[tokio::test]
async fn t8_a_refused_recipient_fails_with_the_servers_reply_and_a_wrong_password_is_retried() {
    let server = SmtpServer::start("s3cret").await;
    let suite = TestSuite::start_with(|settings| settings.notification = server.settings("s3cret")).await;
    let account = suite.account().await;
    verified_sender(&account, &server, "desk@shop.example").await;
    let (_, agent) = account.agent("Ada").await;
    let id = closed_chat(&account, &agent, "refused@visitor.example").await;
    let failed = delivery(&agent, &id, |delivery| delivery.status() == DeliveryStatus::Failed).await;
    assert!(failed.last_response.contains("No such mailbox here"), "{failed:?}");
    assert_eq!(failed.attempt_count, 1, "a permanent failure is not retried");

    let wrong = TestSuite::start_with(|settings| settings.notification = server.settings("wrong")).await;
    let account = wrong.account().await;
    let sender =
        CreateSenderRequest { email: "other@shop.example".into(), request_id: request_id(), ..Default::default() };
    let delivery_id =
        SenderServiceClient::new(account.admin()).create_sender(sender).await.unwrap().into_inner().delivery_id;
    let waiting = delivery(&account.admin(), &delivery_id, |delivery| delivery.attempt_count >= 2).await;
    assert!(matches!(waiting.status(), DeliveryStatus::Queued | DeliveryStatus::Sending), "{waiting:?}");
    assert!(waiting.last_response.contains("535"), "{waiting:?}");
    assert!(server.received("other@shop.example").is_empty());
}

#[tokio::test]
async fn t8_a_new_authority_of_the_mail_servers_certificate_is_used_without_a_restart() {
    let (server, folder) = (SmtpServer::start("s3cret").await, tempfile::tempdir().unwrap());
    let ca = folder.path().join("ca.pem");
    std::fs::copy(Authority::default().path(), &ca).unwrap();
    let suite = TestSuite::start_with(|settings| {
        settings.notification = server.settings("s3cret");
        settings.notification.smtp.ca_path = ca.display().to_string();
    })
    .await;
    let admin = suite.account().await.admin();
    let sender =
        CreateSenderRequest { email: "desk@shop.example".into(), request_id: request_id(), ..Default::default() };
    let id = SenderServiceClient::new(admin.clone()).create_sender(sender).await.unwrap().into_inner().delivery_id;
    let refused = delivery(&admin, &id, |delivery| !delivery.last_response.is_empty()).await;
    assert!(refused.last_response.contains("STARTTLS"), "another authority is trusted: {refused:?}");
    assert!(server.received("desk@shop.example").is_empty());

    std::fs::copy(server.folder.path().join("ca.pem"), &ca).unwrap();
    delivery(&admin, &id, |delivery| delivery.status() == DeliveryStatus::Sent).await;
    assert_eq!(server.received("desk@shop.example").len(), 1);
}

/// The mail with this recipient in the envelope that the server kept.
async fn delivered(exim: &Exim, recipient: &str) -> Vec<u8> {
    wait_for("the mail in the Maildir", || async {
        let envelope = format!("Envelope-to: {recipient}\n");
        exim.mails().into_iter().find(|mail| String::from_utf8_lossy(mail).contains(&envelope))
    })
    .await
}

#[tokio::test]
async fn t5_t6_t8_a_transcript_arrives_in_a_mailbox_of_the_distributions_mail_server() {
    if std::env::var("FRONTDESK_TEST_SKIP").is_ok_and(|skipped| skipped.contains("mail-server")) {
        println!("skipped: FRONTDESK_TEST_SKIP names the mail server");
        return;
    }
    let authority = Authority::default();
    let (certificate, key) = authority.sign(&[]);
    let exim = Exim::start(&certificate, &key, &EximUser { name: "frontdesk", password: "s3cret" }).await;
    let smtp = SmtpSettings {
        host: "localhost".into(),
        port: exim.port,
        tls: SmtpTls::Starttls,
        username: "frontdesk".into(),
        password: "s3cret".to_owned().into(),
        ca_path: authority.path().display().to_string(),
        helo_name: "desk.shop.example".into(),
        ..SmtpSettings::default()
    };
    let suite = TestSuite::start_with(|settings| settings.notification.smtp = smtp).await;
    let account = suite.account().await;
    let mut senders = SenderServiceClient::new(account.admin());
    let sender = CreateSenderRequest {
        email: "desk@shop.example".into(),
        display_name: "Der \"Laden\" Müller, 店".into(),
        request_id: request_id(),
    };
    let sender = senders.create_sender(sender).await.unwrap().into_inner().sender.unwrap();
    let code = frontdesk_tests::code_in(&delivered(&exim, "desk@shop.example").await);
    senders.verify_sender(VerifySenderRequest { sender_id: sender.id.clone(), code }).await.unwrap();
    senders.set_fallback_sender(SetFallbackSenderRequest { sender_id: sender.id }).await.unwrap();

    let (_, agent) = account.agent("Ada").await;
    let id = closed_chat(&account, &agent, "vera@visitor.example").await;
    let sent = delivery(&agent, &id, |delivery| delivery.status() == DeliveryStatus::Sent).await;
    assert!(sent.last_response.starts_with("250 OK id="), "the reply of the server: {sent:?}\n{}", exim.log());

    let bytes = delivered(&exim, "vera@visitor.example").await;
    let mail = MessageParser::default().parse(&bytes).unwrap();
    let header = |name: &'static str| mail.header_raw(name).unwrap_or_default().trim().to_owned();
    assert_eq!(header("Return-path"), "<desk@shop.example>");
    let received = header("Received");
    assert!(received.contains("with esmtpsa") && received.contains("TLS"), "encrypted and authenticated: {received}");
    assert_eq!(format!("<{}>", mail.message_id().unwrap()), sent.mail_message_id);
    let from = mail.from().unwrap().first().unwrap();
    assert_eq!((from.name(), from.address()), (Some("Der \"Laden\" Müller, 店"), Some("desk@shop.example")));
    assert_eq!(mail.to().unwrap().first().unwrap().address(), Some("vera@visitor.example"));
    assert!(matches!(mail.header("Auto-Submitted"), Some(HeaderValue::Text(text)) if text == "auto-generated"));
    assert!(mail.date().is_some() && !mail.subject().unwrap_or_default().is_empty());
    assert!(mail.content_type().is_some_and(|kind| kind.subtype() == Some("alternative")));
    let (html, text) = (mail.body_html(0).unwrap(), mail.body_text(0).unwrap());
    for part in [&html, &text] {
        for line in ["Grüße", ".a line that begins with a dot", "Hello", "Ada"] {
            assert!(part.contains(line), "{line} in {part}");
        }
    }
    assert!(text.contains("\n    .\r\n") || text.contains("\n    .\n"), "a dot alone on its line: {text}");
    let copies =
        exim.mails().iter().filter(|mail| String::from_utf8_lossy(mail).contains(&sent.mail_message_id)).count();
    assert_eq!(copies, 1);
}

/// The value of the counter of attempts with this outcome. None: there is no such counter.
fn attempts(metrics: &str, outcome: &str) -> Option<u64> {
    let counters = metrics.lines().filter(|line| line.starts_with("frontdesk_mail_attempts_total{"));
    let counter = counters.into_iter().find(|line| line.contains(&format!("outcome=\"{outcome}\"")))?;
    counter.rsplit(' ').next()?.parse().ok()
}

#[tokio::test]
async fn t8_the_metrics_count_attempts_by_outcome_from_the_start() {
    let server = SmtpServer::start("s3cret").await;
    let folder = tempfile::tempdir().unwrap();
    let free = format!("127.0.0.1:{}", frontdesk_test_servers::free_port());
    let (port, ca) = (server.port.to_string(), server.folder.path().join("ca.pem").display().to_string());
    let environment = [
        ("FRONTDESK__OPS__LISTEN", free.as_str()),
        ("FRONTDESK__NOTIFICATION__SMTP__HOST", "localhost"),
        ("FRONTDESK__NOTIFICATION__SMTP__PORT", &port),
        ("FRONTDESK__NOTIFICATION__SMTP__CA_PATH", &ca),
        ("FRONTDESK__NOTIFICATION__SMTP__USERNAME", "frontdesk"),
        ("FRONTDESK__NOTIFICATION__SMTP__PASSWORD", "wrong"),
    ];
    let process = Process::start(folder.path(), &environment).await;
    let account = Account::open(&process.address(), &process.keys(), new_id()).await;
    let before = metrics(&free).await;
    for outcome in ["accepted", "transient_failure", "configuration_fault", "too_large", "permanent_failure", "unknown"]
    {
        assert_eq!(attempts(&before, outcome), Some(0), "{outcome}: {before}");
    }

    let sender =
        CreateSenderRequest { email: "desk@shop.example".into(), request_id: request_id(), ..Default::default() };
    SenderServiceClient::new(account.admin()).create_sender(sender).await.unwrap();
    let address = free.as_str();
    wait_for("the refused attempt", || async move {
        attempts(&metrics(address).await, "configuration_fault").filter(|count| *count > 0)
    })
    .await;
}
