//! The broker with the users that `deploy/nats` has: each can do its work and nothing else, and a reader in an account
//! of its own reads its events.

mod forbidden;
mod programs;
mod reader;
mod users;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_nats::{
    Client, ConnectOptions, Event, ServerError,
    jetstream::{self, consumer::pull},
};
use frontdesk::{Service, Settings};
use frontdesk_proto::{
    assignment::v1::{TakeOverConversationRequest, assignment_service_client::AssignmentServiceClient},
    conversation::v1::{CloseConversationRequest, conversation_service_client::ConversationServiceClient},
};
use frontdesk_test_servers::Nats;
use frontdesk_tests::{Account, As, Chat, TestSuite, epoch_of, request_id};
use futures::TryStreamExt;

/// The users of the services, which have their names.
const SERVICES: [&str; 4] = ["conversation", "assignment", "bot-session", "notification"];
const OPERATOR: &str = "operator";
/// The user in an account of its own, and the name of its consumers.
const READER: &str = "reader";
/// The stream that the tests of the reader read.
const STREAM: &str = "FRONTDESK_CONVERSATION";

fn users() -> impl Iterator<Item = &'static str> {
    SERVICES.into_iter().chain([OPERATOR, READER])
}

fn password(user: &str) -> String {
    format!("password-of-{user}")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/nats")
}

/// A server with these users.
async fn broker() -> Nats {
    let variable = |user: &str| format!("FRONTDESK_NATS_{}", user.to_uppercase().replace('-', "_"));
    let environment: Vec<(String, String)> = users().map(|user| (variable(user), password(user))).collect();
    Nats::start_with_users(&folder(), &environment).await
}

/// A suite on this server, each of whose services connects as its own user.
async fn suite(nats: &Nats) -> TestSuite {
    let url = nats.url();
    let set_process = |settings: &mut Settings, service: Option<Service>| {
        let user = service.map_or(OPERATOR, Service::name);
        let bus = &mut settings.bus;
        bus.prefix = "frontdesk".into();
        bus.username = user.into();
        bus.password = password(user).into();
        bus.inbox_prefix = format!("_INBOX_{user}");
    };
    TestSuite::start_processes(move |settings| settings.bus.url = url, set_process).await
}

/// A connection of a user, with what the server has refused it.
struct User {
    client: Client,
    refusals: Arc<Mutex<Vec<String>>>,
}

impl User {
    async fn connect(nats: &Nats, name: &str) -> Self {
        let refusals = Arc::<Mutex<Vec<String>>>::default();
        let collected = refusals.clone();
        let options = ConnectOptions::new()
            .user_and_password(name.to_owned(), password(name))
            .custom_inbox_prefix(format!("_INBOX_{name}"))
            .event_callback(move |event| {
                let collected = collected.clone();
                async move {
                    if let Event::ServerError(ServerError::Other(text)) = event {
                        collected.lock().unwrap().push(text);
                    }
                }
            });
        Self { client: options.connect(nats.url()).await.unwrap(), refusals }
    }

    fn jet_stream(&self) -> jetstream::Context {
        jetstream::new(self.client.clone())
    }

    /// That of the services, for a user of another account.
    fn shared_jet_stream(&self) -> jetstream::Context {
        jetstream::with_prefix(self.client.clone(), "JS.FRONTDESK.API")
    }

    /// Publishes on a subject, and returns whether the server has refused it within two seconds.
    async fn is_refused_to_publish(&self, subject: &str) -> bool {
        self.client.publish(subject.to_owned(), "".into()).await.unwrap();
        self.is_refused("Publish", subject).await
    }

    /// Subscribes to a subject, and returns whether the server has refused it within two seconds.
    async fn is_refused_to_subscribe(&self, subject: &str) -> bool {
        let _subscription = self.client.subscribe(subject.to_owned()).await.unwrap();
        self.is_refused("Subscription", subject).await
    }

    async fn is_refused(&self, what: &str, subject: &str) -> bool {
        let wanted = format!("Permissions Violation for {what} to \"{subject}\"");
        let give_up = Instant::now() + Duration::from_secs(2);
        while Instant::now() < give_up {
            if self.refusals.lock().unwrap().iter().any(|text| text.contains(&wanted)) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        false
    }
}

/// Creates the reader's consumer of the conversation service's events of one account, as the operator does.
async fn add_reader(operator: &User, account: &Account) {
    let config = pull::Config {
        durable_name: Some(READER.into()),
        filter_subject: format!("frontdesk.v1.conversation.*.{}.*", account.id),
        ack_wait: Duration::from_secs(2),
        ..Default::default()
    };
    let stream = operator.jet_stream().get_stream(STREAM).await.unwrap();
    stream.create_consumer(config).await.unwrap();
}

/// The streams of an installation: their services, names, and consumers.
struct Stream {
    service: &'static str,
    name: String,
    consumers: Vec<String>,
}

async fn streams(operator: &User) -> Vec<Stream> {
    let mut streams = Vec::new();
    for service in SERVICES {
        let name = format!("FRONTDESK_{}", service.to_uppercase().replace('-', "_"));
        let stream = operator.jet_stream().get_stream(&name).await.unwrap();
        streams.push(Stream { service, name, consumers: stream.consumer_names().try_collect().await.unwrap() });
    }
    streams
}

/// The user that a consumer belongs to: the first part of its name.
fn owner(consumer: &str) -> &str {
    consumer.split('_').next().unwrap_or_default()
}

/// A chat that a bot begins, which an agent takes over, answers and closes.
async fn play_chat(account: &Account, agent: &As, channel: &str, visitor: &str) -> Chat {
    let chat = account.start_chat(account.known_visitor(visitor, "vera@visitor.example"), channel).await;
    chat.until_text("Hello!").await;
    let take_over = TakeOverConversationRequest {
        conversation_id: chat.id.clone(),
        expected_epoch: epoch_of(agent, &chat.id).await,
        request_id: request_id(),
    };
    AssignmentServiceClient::new(agent.clone()).take_over_conversation(take_over).await.unwrap();
    chat.say("Is my bicycle ready?").await.unwrap();
    chat.reply(agent).await.unwrap();
    let close = CloseConversationRequest { conversation_id: chat.id.clone(), ..Default::default() };
    ConversationServiceClient::new(agent.clone()).close_conversation(close).await.unwrap();
    chat
}
