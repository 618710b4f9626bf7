//! What only the distributed footing has: replicas beside each other, a broker, schemas that are made before, commands that
//! look after a running suite.

use std::{
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use frontdesk::{Service, Settings, Suite, SuiteChannel, SuiteError};
use frontdesk_auth::CallerKind;
use frontdesk_proto::{
    assignment::v1::{TakeOverConversationRequest, assignment_service_client::AssignmentServiceClient},
    conversation::v1::{
        WatchChatRequest, WatchThreadRequest, thread_service_client::ThreadServiceClient,
        visitor_service_client::VisitorServiceClient,
    },
};
use frontdesk_tests::{Account, Footing, TestSuite, reason, request_id, servers, wait_for};
use tokio::{net::TcpListener, process::Command};
use tonic::Code;
use tonic_types::StatusExt;
use uuid::Uuid;

async fn suite() -> TestSuite {
    TestSuite::start_on(Footing::Distributed, |_| {}).await
}

/// The account, with its calls to the conversation service going to one replica.
fn at_replica(suite: &TestSuite, account: &Account, number: usize) -> Account {
    let mut settings = suite.settings.clone();
    settings.peers.conversation = settings.peers.conversation.split(',').nth(number).expect("two replicas").to_owned();
    Account::on(SuiteChannel::to_peers(&settings).unwrap(), &suite.keys, account.id.0)
}

/// Runs a command of the binary with the settings of the suite.
pub(crate) async fn frontdesk(settings: &Settings, arguments: &[&str]) -> Output {
    let binary = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("frontdesk");
    let (of, at) = (&settings.databases, &settings.peers);
    let environment = [
        ("DATA_FOLDER", settings.data_folder.to_str().unwrap()),
        ("BUS__URL", &settings.bus.url),
        ("BUS__PREFIX", &settings.bus.prefix),
        ("DATABASES__CONVERSATION__URL", &of.conversation.url.0),
        ("DATABASES__ASSIGNMENT__URL", &of.assignment.url.0),
        ("DATABASES__BOT_SESSION__URL", &of.bot_session.url.0),
        ("DATABASES__NOTIFICATION__URL", &of.notification.url.0),
        ("PEERS__CONVERSATION", &at.conversation),
        ("PEERS__ASSIGNMENT", &at.assignment),
        ("PEERS__BOT_SESSION", &at.bot_session),
        ("PEERS__NOTIFICATION", &at.notification),
    ];
    let environment = environment.map(|(name, value)| (format!("FRONTDESK__{name}"), value.to_owned()));
    let command = Command::new(binary)
        .args(arguments)
        .envs(environment)
        .env("FRONTDESK__SCHEMA_WAIT", "1s")
        .env("FRONTDESK__LISTEN", "127.0.0.1:0")
        .env("FRONTDESK__BUS__STREAM_MAX_BYTES", "8388608")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(Duration::from_secs(120), command).await.expect("an end in time").unwrap()
}

pub(crate) fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_plays_unchanged() {
    let suite = suite().await;
    let demo = frontdesk(&suite.settings, &["demo"]).await;
    assert!(demo.status.success() && told(&demo).contains("Everything came out as promised."), "{}", told(&demo));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c10_a_watcher_hears_other_replicas_and_moves_between_them_without_gap_or_repeat() {
    let suite = suite().await;
    let account = suite.account().await;
    let (ada, _) = account.agent("Ada").await;
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    let (mut thread, mut lines) = (Vec::new(), Vec::new());
    // Each time the watcher is at one replica and the writer at the other.
    for round in 0..6_usize {
        let (writer, watcher) =
            (at_replica(&suite, &account, round % 2), at_replica(&suite, &account, (round + 1) % 2));
        let agent = watcher.with_claims(CallerKind::Agent, &ada.to_string(), |_| {});
        let request = WatchThreadRequest { conversation_id: chat.id.clone(), after_sequence: thread.len() as i64 };
        let mut threads = ThreadServiceClient::new(agent).watch_thread(request).await.unwrap().into_inner();
        let request = WatchChatRequest { chat_id: chat.id.clone(), after_visitor_sequence: lines.len() as i64 };
        let mut chats = VisitorServiceClient::new(watcher.visitor("v")).watch_chat(request).await.unwrap().into_inner();
        let said = frontdesk_tests::Chat { visitor: writer.visitor("v"), id: chat.id.clone() };
        for line in 0..10 {
            said.say(&format!("round {round} line {line}")).await.unwrap();
            let hearing = async {
                let entry = threads.message().await.unwrap().unwrap().entry.unwrap();
                let line = chats.message().await.unwrap().unwrap().entry.unwrap();
                (entry, line)
            };
            // Far sooner than a read that needs no hint.
            let (entry, line) = tokio::time::timeout(Duration::from_secs(5), hearing).await.expect("a hint");
            thread.push(entry.sequence);
            lines.push(line.visitor_sequence);
        }
    }
    assert_eq!(thread, (1..=60).collect::<Vec<_>>());
    assert_eq!(lines, (1..=60).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_waits_for_its_schema_and_says_what_is_missing() {
    let suite = suite().await;
    let mut settings = suite.settings.clone();
    settings.databases.conversation.url.0 = servers::postgres_database().await;
    let refused = frontdesk(&settings, &["serve", "conversation"]).await;
    let why = told(&refused);
    assert!(!refused.status.success(), "{why}");
    assert!(why.contains("conversation_001_first") && why.contains("run `frontdesk migrate`"), "{why}");

    // One that starts before the migration serves after it.
    settings.schema_wait = Duration::from_secs(60);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let early = Suite::open(settings.clone(), &[Service::Conversation]).await.unwrap();
    let (stop, serving) = (early.shutdown(), tokio::spawn(early.serve(listener)));
    let migrated = frontdesk(&settings, &["migrate"]).await;
    assert!(migrated.status.success(), "{}", told(&migrated));
    let account = Account::open(&address, &suite.keys, frontdesk_clock::testing::new_id()).await;
    wait_for("the service", || async {
        let mut channels =
            frontdesk_proto::conversation::v1::channel_service_client::ChannelServiceClient::new(account.admin());
        channels.list_channels(frontdesk_proto::conversation::v1::ListChannelsRequest::default()).await.ok()
    })
    .await;
    stop.cancel();
    serving.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_single_service_cannot_do_without_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let refused = async |set: &dyn Fn(&mut Settings), service| {
        let mut settings = Settings { data_folder: folder.path().to_owned(), ..Settings::default() };
        set(&mut settings);
        Suite::open(settings, &[service]).await.err().expect("a refusal")
    };
    let error = refused(&|_| {}, Service::Conversation).await;
    assert!(matches!(error, SuiteError::NoBroker("conversation")) && error.to_string().contains("bus.url"), "{error}");
    let error = refused(&|settings| settings.bus.url = "nats://127.0.0.1:1".into(), Service::BotSession).await;
    assert!(matches!(error, SuiteError::NotShared("bot_session")), "{error}");
    let error = refused(
        &|settings| {
            settings.bus.url = "nats://127.0.0.1:1".into();
            settings.databases.notification.url.0 = "postgres://u@127.0.0.1:1/d".into();
        },
        Service::Notification,
    )
    .await;
    assert!(error.to_string().contains("peers.conversation"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i22_a_service_that_is_away_is_said_to_be_at_once() {
    // Only the assignment service runs; the conversation service's addresses lead nowhere.
    let whole = suite().await;
    let mut settings = whole.settings.clone();
    settings.peers.conversation = "http://127.0.0.1:1,http://127.0.0.1:2".into();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let alone = Suite::open(settings, &[Service::Assignment]).await.unwrap();
    let (stop, serving) = (alone.shutdown(), tokio::spawn(alone.serve(listener)));
    let account = Account::open(&address, &whole.keys, frontdesk_clock::testing::new_id()).await;
    let (_, agent) = account.agent("Ada").await;
    let began = Instant::now();
    for _ in 0..200 {
        let take = TakeOverConversationRequest {
            conversation_id: frontdesk_clock::testing::new_id().to_string(),
            expected_epoch: 1,
            request_id: request_id(),
        };
        let refused = AssignmentServiceClient::new(agent.clone()).take_over_conversation(take).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::Unavailable, "CONVERSATION_UNAVAILABLE"),
            "{refused}"
        );
        assert!(refused.get_details_retry_info().is_some(), "when to try again");
    }
    // Each alone may take ten seconds; that it is away is known after the first.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    stop.cancel();
    serving.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_listed_shown_and_replayed() {
    let suite = suite().await;
    let settings = &suite.settings;
    let list = frontdesk(settings, &["dead-letters", "list"]).await;
    assert!(told(&list).contains("There are no dead letters."), "{}", told(&list));

    // Somebody puts onto a subject of ours what is no event of ours.
    let broker = async_nats::connect(&settings.bus.url).await.unwrap();
    let subject = format!("{}.v1.conversation.ConversationClosed.x.1", settings.bus.prefix);
    let event_id = frontdesk_clock::testing::new_id().to_string();
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("ce-id", event_id.as_str());
    headers.insert("ce-type", "frontdesk.event.v1.ConversationClosed");
    headers.insert("ce-source", "/frontdesk/conversation");
    broker.publish_with_headers(subject, headers, vec![255; 20].into()).await.unwrap();
    broker.flush().await.unwrap();

    let listed = wait_for("the dead letter", || async {
        let listed = told(&frontdesk(settings, &["dead-letters", "list", "--service", "notification"]).await);
        listed.contains("notification.decide").then_some(listed)
    })
    .await;
    assert!(listed.contains(&event_id) && listed.contains("cannot be read"), "{listed}");
    let which = ["notification", "notification.decide", event_id.as_str()];
    let shown = told(&frontdesk(settings, &[&["dead-letters", "show"], which.as_slice()].concat()).await);
    assert!(shown.contains("ffffffff") && shown.contains("ConversationClosed"), "{shown}");
    let replayed = frontdesk(settings, &[&["dead-letters", "replay"], which.as_slice()].concat()).await;
    assert!(replayed.status.success(), "{}", told(&replayed));
    // It is no better than before: it comes back.
    wait_for("the dead letter again", || async {
        told(&frontdesk(settings, &["dead-letters", "list"]).await).contains(&event_id).then_some(())
    })
    .await;
    let unknown =
        frontdesk(settings, &["dead-letters", "show", "notification", "notification.decide", &Uuid::nil().to_string()])
            .await;
    assert!(!unknown.status.success() && told(&unknown).contains("has no dead letter"), "{}", told(&unknown));
}
