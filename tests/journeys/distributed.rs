//! What only the distributed mode has: several replicas, a broker, migrations before the start, and commands beside a
//! running suite.

use std::{
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use frontdesk::{Server, ServerChannel, ServerError, Service, Settings};
use frontdesk_auth::CallerKind;
use frontdesk_proto::{
    assignment::v1::{TakeOverConversationRequest, assignment_service_client::AssignmentServiceClient},
    conversation::v1::{
        WatchChatRequest, WatchThreadRequest, thread_service_client::ThreadServiceClient,
        visitor_service_client::VisitorServiceClient,
    },
};
use frontdesk_tests::{
    Account, Chat, Mode, TestSuite, new_id, next_chat_entry, next_entry, reason, request_id, servers, wait_for,
};
use sea_orm::{ConnectionTrait, Database};
use tokio::{net::TcpListener, process::Command};
use tonic::Code;
use tonic_types::StatusExt;
use uuid::Uuid;

async fn suite() -> TestSuite {
    TestSuite::start_on(Mode::Distributed, |_| {}).await
}

/// The account, with its calls to the conversation service sent to one replica.
fn at_replica(suite: &TestSuite, account: &Account, number: usize) -> Account {
    let mut settings = suite.settings.clone();
    settings.peers.conversation = settings.peers.conversation.split(',').nth(number).expect("two replicas").to_owned();
    Account::on(ServerChannel::to_peers(&settings).unwrap(), &suite.keys, account.id.0)
}

/// Runs a command of the binary with the settings of the suite.
pub(crate) async fn frontdesk(settings: &Settings, arguments: &[&str]) -> Output {
    let binary = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("frontdesk");
    let (of, at) = (&settings.databases, &settings.peers);
    let environment = [
        ("DATA_FOLDER", settings.data_folder.to_str().unwrap()),
        ("BUS__URL", &settings.bus.url),
        ("BUS__PREFIX", &settings.bus.prefix),
        ("BUS__USERNAME", &settings.bus.username),
        ("BUS__PASSWORD", settings.bus.password.expose()),
        ("BUS__INBOX_PREFIX", &settings.bus.inbox_prefix),
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
    tokio::time::timeout(Duration::from_secs(120), command).await.expect("the end of the program in time").unwrap()
}

/// Standard output and standard error.
pub(crate) fn text_of(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_plays_in_distributed_mode() {
    let suite = suite().await;
    let demo = frontdesk(&suite.settings, &["demo"]).await;
    assert!(demo.status.success() && text_of(&demo).contains("Every promise was kept."), "{}", text_of(&demo));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c10_a_watch_follows_other_replicas_and_resumes_on_them_without_gap_or_repeat() {
    let suite = suite().await;
    let account = suite.account().await;
    let (ada, _) = account.agent("Ada").await;
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    let (mut thread, mut lines) = (Vec::new(), Vec::new());
    // In each round the watcher is connected to one replica and the writer to the other.
    for round in 0..6_usize {
        let (writer, watcher) =
            (at_replica(&suite, &account, round % 2), at_replica(&suite, &account, (round + 1) % 2));
        let agent = watcher.with_claims(CallerKind::Agent, &ada.to_string(), |_| {});
        let request = WatchThreadRequest { conversation_id: chat.id.clone(), after_sequence: thread.len() as i32 };
        let mut threads = ThreadServiceClient::new(agent).watch_thread(request).await.unwrap().into_inner();
        let request = WatchChatRequest { chat_id: chat.id.clone(), after_visitor_sequence: lines.len() as i32 };
        let mut chats = VisitorServiceClient::new(watcher.visitor("v")).watch_chat(request).await.unwrap().into_inner();
        let chat_at_writer = Chat { visitor: writer.visitor("v"), id: chat.id.clone() };
        for line in 0..10 {
            chat_at_writer.say(&format!("round {round} line {line}")).await.unwrap();
            let receiving = async {
                let entry = next_entry(&mut threads).await.unwrap().unwrap();
                let line = next_chat_entry(&mut chats).await.unwrap().unwrap();
                (entry, line)
            };
            // Much sooner than the periodic read, which needs no change notification.
            let (entry, line) = tokio::time::timeout(Duration::from_secs(5), receiving).await.expect("a notification");
            thread.push(entry.sequence);
            lines.push(line.visitor_sequence);
        }
    }
    assert_eq!(thread, (1..=60).collect::<Vec<_>>());
    assert_eq!(lines, (1..=60).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_waits_for_its_schema_and_names_missing_migrations() {
    let suite = suite().await;
    let mut settings = suite.settings.clone();
    settings.databases.conversation.url.0 = servers::postgres_database().await;
    let refused = frontdesk(&settings, &["serve", "conversation"]).await;
    let why = text_of(&refused);
    assert!(!refused.status.success(), "{why}");
    assert!(why.contains("conversation_001_first") && why.contains("run `frontdesk migrate`"), "{why}");

    // A service that starts before the migration serves after it.
    settings.schema_wait = Duration::from_secs(60);
    // The suite's replica has the port for browsers.
    settings.web.listen = Some(None);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let early = Server::open(settings.clone(), &[Service::Conversation]).await.unwrap();
    let (stop, serving) = (early.shutdown(), tokio::spawn(early.serve(listener)));
    let migrated = frontdesk(&settings, &["migrate"]).await;
    assert!(migrated.status.success(), "{}", text_of(&migrated));
    let account = Account::open(&address, &suite.keys, new_id()).await;
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
async fn missing_settings_of_a_single_service_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let refused = async |set: &dyn Fn(&mut Settings), service| {
        let mut settings = Settings { data_folder: folder.path().to_owned(), ..Settings::default() };
        set(&mut settings);
        Server::open(settings, &[service]).await.err().expect("a refusal")
    };
    let error = refused(&|_| {}, Service::Conversation).await;
    assert!(matches!(error, ServerError::NoBroker("conversation")) && error.to_string().contains("bus.url"), "{error}");
    let error = refused(&|settings| settings.bus.url = "nats://127.0.0.1:1".into(), Service::BotSession).await;
    assert!(matches!(&error, ServerError::NotShared(service) if service == "bot_session"), "{error}");
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
async fn i22_an_unreachable_service_is_reported_as_unavailable_at_once() {
    // Only the assignment service runs; nothing listens at the addresses of the conversation service.
    let whole = suite().await;
    let mut settings = whole.settings.clone();
    settings.peers.conversation = "http://127.0.0.1:1,http://127.0.0.1:2".into();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let alone = Server::open(settings, &[Service::Assignment]).await.unwrap();
    let (stop, serving) = (alone.shutdown(), tokio::spawn(alone.serve(listener)));
    let account = Account::open(&address, &whole.keys, new_id()).await;
    let (_, agent) = account.agent("Ada").await;
    let began = Instant::now();
    for _ in 0..200 {
        let take = TakeOverConversationRequest {
            conversation_id: new_id().to_string(),
            expected_epoch: 1,
            request_id: request_id(),
        };
        let refused = AssignmentServiceClient::new(agent.clone()).take_over_conversation(take).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::Unavailable, "CONVERSATION_UNAVAILABLE"),
            "{refused}"
        );
        assert!(refused.get_details_retry_info().is_some(), "the response has a retry delay");
    }
    // A single call may take ten seconds; after the first one the service is known to be unreachable.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    stop.cancel();
    serving.await.unwrap().unwrap();
}

/// Publishes a message that is not an event, on a subject of the suite. Returns its id.
async fn publish_invalid(settings: &Settings) -> String {
    publish_invalid_on(&async_nats::connect(&settings.bus.url).await.unwrap(), &settings.bus.prefix).await
}

/// The same on a connection that may publish there.
pub(crate) async fn publish_invalid_on(broker: &async_nats::Client, prefix: &str) -> String {
    let subject = format!("{prefix}.v1.conversation.ConversationClosed.x.1");
    let event_id = new_id().to_string();
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("ce-id", event_id.as_str());
    headers.insert("ce-type", "frontdesk.event.v1.ConversationClosed");
    headers.insert("ce-source", "/frontdesk/conversation");
    broker.publish_with_headers(subject, headers, vec![255; 20].into()).await.unwrap();
    broker.flush().await.unwrap();
    event_id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r13_a_dead_letter_that_cannot_be_replayed_holds_up_no_other() {
    let suite = suite().await;
    let settings = &suite.settings;
    let command = async |arguments: &[&str]| frontdesk(settings, &[&["dead-letters"], arguments].concat()).await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let id = publish_invalid(settings).await;
        wait_for("the dead letter", || async {
            let listed = text_of(&command(&["list"]).await);
            listed.lines().any(|line| line.contains("notification.decide") && line.contains(&id)).then_some(())
        })
        .await;
        ids.push(id);
    }
    let db = Database::connect(&settings.databases.notification.url.0).await.unwrap();
    let damage = format!(
        "UPDATE dead_letters SET event = '\\xff' WHERE event_id = '{}' AND consumer = 'notification.decide'",
        ids[0]
    );
    db.execute_unprepared(&damage).await.unwrap();

    let listed = text_of(&command(&["list"]).await);
    assert!(ids.iter().all(|id| listed.contains(id)) && listed.contains("damaged"), "{listed}");
    let shown = text_of(&command(&["show", "notification", "notification.decide", &ids[0]]).await);
    assert!(shown.contains("cannot be read") && shown.contains("The stored event is damaged."), "{shown}");
    let replayed = command(&["replay", "notification", "--all"]).await;
    let text = text_of(&replayed);
    assert!(!replayed.status.success() && text.contains("one dead letter of the notification service"), "{text}");
    let kept = format!("Kept event {} of notification.decide: the stored event is damaged", ids[0]);
    assert!(text.contains(&kept) && text.contains(&format!("Handed event {} to", ids[1])), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_listed_shown_and_replayed() {
    let suite = suite().await;
    let settings = &suite.settings;
    let list = frontdesk(settings, &["dead-letters", "list"]).await;
    assert!(text_of(&list).contains("There are no dead letters."), "{}", text_of(&list));
    let nothing = frontdesk(settings, &["dead-letters", "replay", "notification", "--all"]).await;
    assert!(nothing.status.success(), "{}", text_of(&nothing));
    assert!(text_of(&nothing).contains("There are no dead letters of the notification service."), "{nothing:?}");

    let event_id = publish_invalid(settings).await;
    let listed = wait_for("the dead letter", || async {
        let listed = text_of(&frontdesk(settings, &["dead-letters", "list", "--service", "notification"]).await);
        listed.contains("notification.decide").then_some(listed)
    })
    .await;
    assert!(listed.contains(&event_id) && listed.contains("cannot be read"), "{listed}");
    let which = ["notification", "notification.decide", event_id.as_str()];
    let shown = text_of(&frontdesk(settings, &[&["dead-letters", "show"], which.as_slice()].concat()).await);
    assert!(shown.contains("ffffffff") && shown.contains("ConversationClosed"), "{shown}");
    let replayed = frontdesk(settings, &[&["dead-letters", "replay"], which.as_slice()].concat()).await;
    assert!(replayed.status.success(), "{}", text_of(&replayed));
    // The event is as invalid as before and becomes a dead letter again.
    wait_for("the dead letter again", || async {
        text_of(&frontdesk(settings, &["dead-letters", "list"]).await).contains(&event_id).then_some(())
    })
    .await;
    let unknown =
        frontdesk(settings, &["dead-letters", "show", "notification", "notification.decide", &Uuid::nil().to_string()])
            .await;
    assert!(!unknown.status.success() && text_of(&unknown).contains("has no dead letter"), "{}", text_of(&unknown));
}
