//! Canary words: texts, comments and addresses of two accounts, and every secret, are searched for wherever they must
//! not be.

use std::{
    collections::BTreeMap,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use frontdesk_auth::CallerKind;
use frontdesk_proto::{
    assignment::v1::{TakeOverConversationRequest, assignment_service_client::AssignmentServiceClient},
    auth::v1::Principal,
    conversation::v1::{
        CloseConversationRequest, ConversationStatus, ListConversationsRequest, PostCommentRequest, PostMessageRequest,
        RotateVisitorKeyRequest, WatchInboxRequest, channel_service_client::ChannelServiceClient,
        conversation_service_client::ConversationServiceClient, thread_service_client::ThreadServiceClient,
    },
    dev::v1::{AdvanceTimeRequest, clock_service_client::ClockServiceClient},
    event::v1::{ConversationClosed, EventStart, SubscribeConversationEventsRequest},
};
use frontdesk_testkit::RawCodec;
use frontdesk_tests::{
    Account, Chat, Mode, Process, TestSuite, call_raw, epoch_of,
    fixture::{Fixture, methods},
    new_id, request_id, wait_for,
};
use futures::StreamExt;
use prost_reflect::prost::{Message, Name};
use tokio::process::Command;
use tonic::{Request, client::Grpc};

use crate::{
    mail_server::{SmtpServer, verified_sender},
    traces::Collector,
};

/// Words to search for, by a description of each.
type Words<'a> = BTreeMap<&'a str, String>;

/// Places that were searched, with the number of bytes, and what was found.
#[derive(Default)]
struct Scan {
    bytes: BTreeMap<String, usize>,
    found: Vec<String>,
}

impl Scan {
    /// Searches the bytes for each word, in any case.
    fn look(&mut self, through: &str, bytes: &[u8], words: &Words<'_>) {
        *self.bytes.entry(through.to_owned()).or_default() += bytes.len();
        let text = String::from_utf8_lossy(bytes).to_lowercase();
        for (what, word) in words {
            if let Some(at) = text.find(&word.to_lowercase()) {
                let around: String = text[..at].chars().rev().take(120).collect::<Vec<_>>().into_iter().rev().collect();
                self.found.push(format!("{what} in {through}: …{around}<{word}>"));
            }
        }
    }

    fn holds(&self) {
        println!("looked through (bytes): {:?}", self.bytes);
        assert!(self.bytes.values().all(|bytes| *bytes > 0), "a place that was searched is empty: {:?}", self.bytes);
        assert!(self.found.is_empty(), "{:#?}", self.found);
    }
}

/// A fixture whose chat was started by a bot, taken over by an agent, commented and closed.
struct Played {
    fixture: Fixture,
    comment: String,
    visitor_key: String,
    /// Bytes that the open streams of the agent, the last one of the visitor, received.
    streams: [Arc<Mutex<Vec<u8>>>; 3],
    /// Bytes that the streams of each service's events received.
    events: Vec<Arc<Mutex<Vec<u8>>>>,
}

/// Collects the messages of a stream until it ends. `request`: encoded. None: one with every field.
async fn follow(fixture: &Fixture, principal: Principal, path: &str, request: Option<Vec<u8>>) -> Arc<Mutex<Vec<u8>>> {
    let declared = methods().into_iter().find(|declared| declared.path.ends_with(path)).unwrap();
    let request = request.unwrap_or_else(|| fixture.request(&declared.method).encode_to_vec());
    let request = Request::new(request.into());
    let mut grpc = Grpc::new(fixture.caller(principal));
    grpc.ready().await.unwrap();
    let answers = grpc.server_streaming(request, declared.path.parse().unwrap(), RawCodec).await.unwrap();
    let (seen, mut answers) = (Arc::<Mutex<Vec<u8>>>::default(), answers.into_inner());
    let kept = seen.clone();
    tokio::spawn(async move {
        while let Ok(Some(answer)) = answers.message().await {
            kept.lock().unwrap().extend(answer);
        }
    });
    seen
}

async fn play(account: Account, word: &str) -> Played {
    let fixture = Fixture::new(account, word).await;
    let chat = Chat { visitor: fixture.caller(Principal::Visitor), id: fixture.ids["chat_id"].clone() };
    let inbox = WatchInboxRequest { inbox: Some(ListConversationsRequest::default()), cursor: String::new() };
    let streams = [
        follow(&fixture, Principal::Agent, "/WatchThread", None).await,
        follow(&fixture, Principal::Agent, "/WatchInbox", Some(inbox.encode_to_vec())).await,
        follow(&fixture, Principal::Visitor, "/WatchChat", None).await,
    ];
    // The requests of all services have the same fields.
    let start = EventStart::Earliest.into();
    let all_events = SubscribeConversationEventsRequest { start, ..Default::default() }.encode_to_vec();
    let mut events = Vec::new();
    for of in ["Conversation", "Assignment", "BotSession", "Notification"] {
        let path = format!("/Subscribe{of}Events");
        events.push(follow(&fixture, Principal::Admin, &path, Some(all_events.clone())).await);
    }
    chat.say(&format!("{word}-question")).await.unwrap();
    let (agent, id) = (fixture.agent.clone(), chat.id.clone());
    let taken = TakeOverConversationRequest {
        conversation_id: id.clone(),
        expected_epoch: epoch_of(&agent, &id).await,
        request_id: request_id(),
    };
    AssignmentServiceClient::new(agent.clone()).take_over_conversation(taken).await.unwrap();
    let (comment, mut threads) = (format!("{word}-comment"), ThreadServiceClient::new(agent.clone()));
    let text = format!("they are rude: {comment}");
    let request =
        PostCommentRequest { conversation_id: id.clone(), text, request_id: request_id(), ..Default::default() };
    threads.post_comment(request).await.unwrap();
    let text = format!("{word}-answer");
    let request =
        PostMessageRequest { conversation_id: id.clone(), text, request_id: request_id(), ..Default::default() };
    threads.post_message(request).await.unwrap();
    let rotate = RotateVisitorKeyRequest {
        channel_id: fixture.ids["channel_id"].clone(),
        keep_previous: None,
        request_id: request_id(),
    };
    let key = ChannelServiceClient::new(fixture.account.admin()).rotate_visitor_key(rotate).await.unwrap().into_inner();
    let close = CloseConversationRequest { conversation_id: id.clone(), ..Default::default() };
    ConversationServiceClient::new(agent.clone()).close_conversation(close).await.unwrap();
    Account::explained(&agent, &id, 1).await;
    // Until the streams have received the last message.
    let said = format!("{word}-answer");
    wait_for("the streams", || async {
        let received = |stream: &Arc<Mutex<Vec<u8>>>| String::from_utf8_lossy(&stream.lock().unwrap()).contains(&said);
        streams.iter().all(received).then_some(())
    })
    .await;
    wait_for("the events", || async {
        let closed = ConversationClosed::full_name();
        let received = String::from_utf8_lossy(&events[0].lock().unwrap()).contains(&closed);
        received.then_some(())
    })
    .await;
    Played { fixture, comment, visitor_key: key.secret, streams, events }
}

/// Every response of a read method to this kind of caller, refusals included; to a visitor, of every method.
async fn answers(fixture: &Fixture, principal: Principal) -> Vec<u8> {
    let (caller, mut all) = (fixture.caller(principal), Vec::new());
    for declared in methods().iter().filter(|declared| declared.principals.contains(&principal)) {
        let looks = ["Get", "List", "Watch", "Subscribe", "Search", "Explain", "Preview"];
        if principal != Principal::Visitor && !looks.iter().any(|word| declared.method.name().starts_with(word)) {
            continue;
        }
        let request = fixture.call(principal, &fixture.request(&declared.method).encode_to_vec());
        match call_raw(&caller, &declared.path, request).await {
            Ok(bytes) => all.extend(bytes),
            Err(status) => all.extend(format!("{status:?}").into_bytes()),
        }
    }
    all
}

/// A caller's token, and its signature, which no other caller can know.
fn token_parts(fixture: &Fixture, kind: CallerKind, subject: &str) -> (String, String) {
    let account = &fixture.account;
    let token = account.keys.mint(&account.keys.claims(account.id, kind, subject, Duration::from_secs(3600))).unwrap();
    (token.clone(), token.rsplit_once('.').unwrap().1.to_owned())
}

/// Runs a command of the binary with the environment of the process; returns its output.
async fn run(folder: &Path, environment: &[(&str, &str)], arguments: &[&str]) -> Vec<u8> {
    let binary = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("frontdesk");
    let output = Command::new(binary)
        .args(arguments)
        .env("FRONTDESK__DATA_FOLDER", folder)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    [output.stdout, output.stderr].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_texts_and_secrets_stay_in_their_account_and_out_of_logs_and_traces() {
    let (secret, password) = ("canarysecret-0123456789-0123456789-0123456789", "canarypassword");
    let server = SmtpServer::start(password).await;
    let (collector, endpoint) = Collector::start().await;
    let (port, ca) = (server.port.to_string(), server.folder.path().join("ca.pem").display().to_string());
    let web = format!("127.0.0.1:{}", frontdesk_test_servers::free_port());
    let environment = [
        ("FRONTDESK__TELEMETRY__LOG", "info,frontdesk=trace"),
        ("FRONTDESK__TELEMETRY__OTLP_ENDPOINT", endpoint.as_str()),
        ("FRONTDESK__IDENTITY__SECRET", secret),
        ("FRONTDESK__NOTIFICATION__SMTP__HOST", "localhost"),
        ("FRONTDESK__NOTIFICATION__SMTP__PORT", port.as_str()),
        ("FRONTDESK__NOTIFICATION__SMTP__USERNAME", "frontdesk"),
        ("FRONTDESK__NOTIFICATION__SMTP__PASSWORD", password),
        ("FRONTDESK__NOTIFICATION__SMTP__CA_PATH", ca.as_str()),
        // For the attachments of the fixture.
        ("FRONTDESK__WEB__LISTEN", web.as_str()),
    ];
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(folder.path(), &environment).await;
    let keys = process.keys();
    let (one, two) = (
        Account::open(&process.address(), &keys, new_id()).await,
        Account::open(&process.address(), &keys, new_id()).await,
    );
    tokio::join!(
        verified_sender(&one, &server, "desk@onecanary-shop.example"),
        verified_sender(&two, &server, "desk@twocanary-shop.example"),
    );
    let (ours, theirs) = tokio::join!(play(one, "onecanary"), play(two, "twocanary"));
    for played in [&ours, &theirs] {
        wait_for("the mail", || async { server.received(&played.fixture.address()).pop() }).await;
    }

    // The other visitor's chat times out, which is logged at this level.
    let by = Some(prost_types::Duration { seconds: 3_600, nanos: 0 });
    let mut clock = ClockServiceClient::new(ours.fixture.account.admin());
    clock.advance_time(AdvanceTimeRequest { by }).await.unwrap();
    wait_for("the timeout", || async {
        let conversation = Account::conversation(&ours.fixture.agent, &ours.fixture.another.id).await;
        (conversation.status() == ConversationStatus::Closed).then_some(())
    })
    .await;

    let (agent_token, agent_signature) =
        token_parts(&ours.fixture, CallerKind::Agent, &ours.fixture.agent_id.to_string());
    // A token that the test knows, sent once, so that the process has seen its signature.
    let sent = ours.fixture.account.with_token(&agent_token);
    Account::conversation(&sent, &ours.fixture.ids["conversation_id"]).await;
    let secrets = Words::from([
        ("the installation secret", secret.to_owned()),
        ("the mail server's password", password.to_owned()),
        ("the visitor key's secret", ours.visitor_key.clone()),
        ("a token's signature", agent_signature),
    ]);
    let both =
        Words::from([("one account's word", "onecanary".to_owned()), ("another's word", "twocanary".to_owned())]);
    let with = |more: &[(&'static str, String)]| {
        let mut words = secrets.clone();
        words.extend(more.iter().cloned());
        words
    };
    let other_of = |word: &str| with(&[("another account's word", word.to_owned())]);
    let mut scan = Scan::default();
    for (played, other) in [(&ours, "twocanary"), (&theirs, "onecanary")] {
        let (comment, team) = (played.comment.clone(), format!("ada@{}-team.example", played.fixture.word));
        let to_visitors =
            [("the comment", comment), ("the agent's address", team), ("another account's word", other.into())];
        for principal in [Principal::Agent, Principal::Admin, Principal::Bot, Principal::Service] {
            scan.look("the team's answers", &answers(&played.fixture, principal).await, &other_of(other));
        }
        let to_visitors = with(&to_visitors);
        scan.look("the visitor's answers", &answers(&played.fixture, Principal::Visitor).await, &to_visitors);
        let [thread, inbox, chat] = &played.streams;
        for team in [thread, inbox] {
            scan.look("the team's streams", &team.lock().unwrap(), &other_of(other));
        }
        scan.look("the visitors' streams", &chat.lock().unwrap(), &to_visitors);
        // Ids and numbers only, also for the account's own programs.
        for events in &played.events {
            scan.look("the streams of events", &events.lock().unwrap(), &with(&[("a word", "canary".into())]));
        }
        let mails = server.received(&played.fixture.address());
        scan.look("mails", serde_json::to_string(&mails).unwrap().as_bytes(), &to_visitors);
        let account = played.fixture.account.id.to_string();
        let records = run(folder.path(), &environment, &["audit", "--account", &account, "--json"]).await;
        scan.look(
            "the audit log",
            &records,
            &with(&[("a word", played.fixture.word.clone()), ("another's word", other.into())]),
        );
    }
    // The mails as the mail server received them.
    for file in std::fs::read_dir(server.folder.path()).unwrap().map(|file| file.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "eml") {
            scan.look("raw mails", &std::fs::read(&file).unwrap(), &with(&[("a comment", "canary-comment".into())]));
        }
    }
    let mut silent = both.clone();
    silent.extend(secrets.clone());
    scan.look("the configuration", &run(folder.path(), &environment, &["config"]).await, &silent);
    process.terminate().await;
    let log = std::fs::read(folder.path().join("log")).unwrap();
    scan.look("the log", &log, &silent);
    scan.look("the log", &log, &Words::from([("a panic", "panicked".to_owned())]));
    assert!(String::from_utf8_lossy(&log).contains("DEBUG"), "the log has the level DEBUG");
    scan.look("spans", format!("{:?}", collector.spans.lock().await).as_bytes(), &silent);
    scan.look("metrics", format!("{:?}", collector.metrics.lock().await).as_bytes(), &silent);
    // Events hold ids and numbers only, also in the database of the bus.
    for file in ["bus.db", "bus.db-wal"] {
        if let Ok(bytes) = std::fs::read(folder.path().join(file)) {
            scan.look("the database of the bus", &bytes, &silent);
        }
    }
    scan.holds();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_no_text_of_a_person_is_on_the_broker() {
    let suite = TestSuite::start_on(Mode::Distributed, |_| {}).await;
    let (bus, prefix) = (&suite.settings.bus.url, &suite.settings.bus.prefix);
    let broker = async_nats::connect(bus).await.unwrap();
    let mut everything = broker.subscribe(format!("{prefix}.>")).await.unwrap();
    broker.flush().await.unwrap();
    let seen = Arc::<Mutex<[Vec<u8>; 3]>>::default();
    let kept = seen.clone();
    let reading = tokio::spawn(async move {
        while let Some(message) = everything.next().await {
            let [subjects, headers, bodies] = &mut *kept.lock().unwrap();
            subjects.extend(format!("{}\n", message.subject).into_bytes());
            headers.extend(format!("{:?}\n", message.headers).into_bytes());
            bodies.extend(message.payload);
        }
    });
    let (one, two) = (suite.account().await, suite.account().await);
    tokio::join!(one.fallback_sender(), two.fallback_sender());
    let (ours, theirs) = tokio::join!(play(one, "onecanary"), play(two, "twocanary"));
    wait_for("the mails", || async {
        let mails = [
            ours.fixture.account.mails(&ours.fixture.address()).await,
            theirs.fixture.account.mails(&theirs.fixture.address()).await,
        ];
        mails.iter().all(|mails| !mails.is_empty()).then_some(())
    })
    .await;
    reading.abort();
    let words = Words::from([
        ("one account's word", "onecanary".to_owned()),
        ("another's word", "twocanary".to_owned()),
        ("one visitor key's secret", ours.visitor_key.clone()),
        ("another's", theirs.visitor_key.clone()),
    ]);
    let mut scan = Scan::default();
    let [subjects, headers, bodies] = &*seen.lock().unwrap();
    scan.look("subjects", subjects, &words);
    scan.look("headers", headers, &words);
    scan.look("events", bodies, &words);
    scan.holds();
}
