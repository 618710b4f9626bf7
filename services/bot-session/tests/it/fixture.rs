//! The service under test, its callers, and the conversation service's part in a chat.

use std::time::Duration;

use frontdesk_api::Pages;
use frontdesk_audit::AuditLog;
use frontdesk_auth::{AccessMap, CallerKind, DevelopmentKey, Identity};
use frontdesk_bot_session::{App, Migrator};
use frontdesk_bus::Bus;
use frontdesk_client::Peer;
use frontdesk_clock::Clock;
use frontdesk_db::{AccountId, DatabaseUrl, Db, DbSettings};
use frontdesk_proto::{
    DESCRIPTORS,
    actor::v1::{Actor, ActorKind},
    botsession::v1::{
        Bot, BotSession, CreateBotRequest, Flow, GetBotRequest, GetBotSessionRequest,
        bot_service_client::BotServiceClient, bot_session_service_client::BotSessionServiceClient,
    },
    conversation::v1::{BotSessionInCharge, Conversation, Message as ThreadMessage},
    event::v1::{CloseReason, ConversationClosed, ConversationStarted, Event, MessagePosted},
};
use frontdesk_server::{Admission, AuditLayer, GrpcServices, ServerSettings, serve};
use frontdesk_testkit::{
    BearerToken, EventQueue, FakeConversations, FakeServices, Mode, new_id, request_id, servers, settled,
};
use prost::{Message, Name};
use sea_orm::{ConnectionTrait, Statement};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    Status,
    service::{RoutesBuilder, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use uuid::Uuid;

/// The bot-session service with a fake of the conversation service.
pub struct Fixture {
    pub fake: FakeServices,
    pub conversations: FakeConversations,
    pub clock: Clock,
    pub db: Db,
    bus: Bus,
    queue: EventQueue,
    keys: DevelopmentKey,
    channel: Channel,
    shutdown: CancellationToken,
    _folder: tempfile::TempDir,
}

pub type Calls = InterceptedService<Channel, BearerToken>;

/// A conversation that began with a bot.
#[derive(Clone, Debug)]
pub struct Chat {
    pub account: AccountId,
    pub conversation: Uuid,
    pub session: Uuid,
    pub started: ConversationStarted,
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Fixture {
    pub async fn start(mode: Mode) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let keys = DevelopmentKey::load_or_create(&folder.path().join("key"), &clock).unwrap();
        let shutdown = CancellationToken::new();
        let url = match mode {
            Mode::Embedded => format!("sqlite://{}", folder.path().join("bot-session.db").display()),
            Mode::Distributed => servers::postgres_database().await,
        };
        let db = database(url, &clock).await;
        frontdesk_db::migrate::<Migrator>(&db).await.unwrap();
        let bus_db = database(format!("sqlite://{}", folder.path().join("bus.db").display()), &clock).await;
        let bus = Bus::in_process(bus_db.clone(), &clock).await.unwrap();

        let (fake, conversations) = (FakeServices::default(), FakeConversations::default());
        conversations.serve_by(&fake);
        let peer = Peer::remote(&fake.serve().await, "bot-session", None, Some(&keys)).unwrap();
        let app =
            App::new(db.clone(), clock.clone(), Pages::new(keys.installation_secret().clone()), peer, shutdown.clone());
        frontdesk_bot_session::subscribe(&app, &bus);
        let mut routes = RoutesBuilder::default();
        frontdesk_bot_session::routes(&app, &mut routes);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let settings = ServerSettings::plain(Duration::from_millis(100));
        let trail = AuditLog::new(vec![("frontdesk.botsession.v1", db.clone())]);
        let audited = AuditLayer::try_new(trail, DESCRIPTORS).unwrap();
        let gate = Admission::new(
            Identity::from_development_key(&keys),
            AccessMap::try_new(DESCRIPTORS).unwrap(),
            audited,
            &settings.limits,
            &clock,
        );
        let served = GrpcServices {
            routes: routes.routes(),
            names: frontdesk_bot_session::SERVICES.to_vec(),
            descriptors: DESCRIPTORS,
            ready: tokio::sync::watch::Sender::new(true).subscribe(),
        };
        tokio::spawn(serve(listener, served, gate, settings, shutdown.clone()));
        tokio::spawn(frontdesk_bot_session::work(app, bus.clone()));
        let (running, until) = (bus.clone(), shutdown.clone());
        tokio::spawn(async move { running.run(until).await });
        let channel = Endpoint::from_shared(address).unwrap().connect_lazy();
        let queue = EventQueue::InProcess(bus_db);
        Self { fake, conversations, clock, db, bus, queue, keys, channel, shutdown, _folder: folder }
    }

    fn calls(&self, account: AccountId) -> Calls {
        let claims = self.keys.claims(account, CallerKind::Admin, "root", Duration::from_secs(24 * 3600));
        let token = self.keys.mint(&claims).unwrap();
        InterceptedService::new(self.channel.clone(), BearerToken::new(&token))
    }

    pub fn bots(&self, account: AccountId) -> BotServiceClient<Calls> {
        BotServiceClient::new(self.calls(account))
    }

    pub fn sessions(&self, account: AccountId) -> BotSessionServiceClient<Calls> {
        BotSessionServiceClient::new(self.calls(account))
    }

    pub async fn create_bot(&self, account: AccountId, flow: Flow) -> Bot {
        self.bots(account).create_bot(new_bot(flow, &request_id())).await.unwrap().into_inner().bot.unwrap()
    }

    pub async fn bot(&self, account: AccountId, id: &str) -> Result<Bot, Status> {
        let request = GetBotRequest { bot_id: id.into() };
        Ok(self.bots(account).get_bot(request).await?.into_inner().bot.unwrap())
    }

    pub async fn session(&self, chat: &Chat) -> Result<BotSession, Status> {
        let request = GetBotSessionRequest { bot_session_id: chat.session.to_string() };
        Ok(self.sessions(chat.account).get_bot_session(request).await?.into_inner().bot_session.unwrap())
    }

    /// Adds a conversation whose session is in charge. Its event is still to be published.
    pub fn new_chat(&self, account: AccountId, bot: &Bot, timeout: Option<Duration>) -> Chat {
        let (conversation, session) = (new_id(), new_id());
        let in_charge = BotSessionInCharge { bot_session_id: session.to_string(), ..BotSessionInCharge::default() };
        self.conversations.insert(Conversation {
            id: conversation.to_string(),
            bot_session: Some(in_charge),
            ..Conversation::default()
        });
        let started = ConversationStarted {
            conversation_id: conversation.to_string(),
            bot_id: bot.id.clone(),
            bot_session_id: session.to_string(),
            inactivity_timeout: timeout.map(|timeout| timeout.try_into().unwrap()),
            start_time: Some(self.clock.now().to_proto()),
            epoch: 1,
            ..ConversationStarted::default()
        };
        Chat { account, conversation, session, started }
    }

    /// Starts a conversation with the bot and waits for the bot's first turn.
    pub async fn start_chat(&self, account: AccountId, bot: &Bot, timeout: Option<Duration>) -> Chat {
        let chat = self.new_chat(account, bot, timeout);
        self.publish(account, &chat.started).await;
        self.settled().await;
        chat
    }

    /// Appends a message of the visitor to the thread; returns its sequence.
    pub fn append(&self, chat: &Chat, text: &str, button: &str) -> i64 {
        let message = ThreadMessage { text: text.into(), chosen_button_id: button.into(), ..ThreadMessage::default() };
        self.conversations.with(chat.conversation, |row| row.append(ActorKind::Visitor, message))
    }

    /// Sends a message of the visitor and waits until the service has handled it.
    pub async fn send(&self, chat: &Chat, text: &str, button: &str) {
        let sequence = self.append(chat, text, button);
        self.publish(chat.account, &chat.posted(sequence)).await;
        self.settled().await;
    }

    /// What the bot has said.
    pub fn said(&self, chat: &Chat) -> Vec<String> {
        self.conversations.with(chat.conversation, |row| row.texts_of(ActorKind::Bot))
    }

    /// Publishes an event as the conversation service would.
    pub async fn publish<M: Message + Name>(&self, account: AccountId, message: &M) {
        self.publish_all(&[event(account, message)]).await;
    }

    pub async fn publish_all(&self, events: &[Event]) {
        assert!(self.bus.publish(events).await.iter().all(Result::is_ok));
    }

    /// Waits until every event is published and handled.
    pub async fn settled(&self) {
        settled(std::slice::from_ref(&self.db), &self.queue).await;
    }

    /// Reasons of the dead letters.
    pub async fn dead_letters(&self) -> Vec<String> {
        let letters = frontdesk_bus::list_dead_letters(&self.db).await.unwrap();
        letters.into_iter().map(|letter| letter.reason).collect()
    }

    /// The service's events of one type, oldest first.
    pub async fn events<M: Message + Name + Default>(&self) -> Vec<M> {
        let backend = self.db.read().get_database_backend();
        let statement = Statement::from_string(backend, "SELECT event FROM outbox_events ORDER BY position");
        let rows = self.db.read().query_all_raw(statement).await.unwrap();
        let events = rows.iter().map(|row| Event::decode(row.try_get::<Vec<u8>>("", "event").unwrap().as_slice()));
        let of_type = events.map(Result::unwrap).filter(|event| event.r#type == M::full_name());
        of_type.map(|event| frontdesk_bus::decode(&event).unwrap()).collect()
    }
}

impl Chat {
    /// The event of a message of the visitor.
    pub fn posted(&self, sequence: i64) -> MessagePosted {
        MessagePosted {
            conversation_id: self.conversation.to_string(),
            sequence,
            author: Some(Actor { kind: ActorKind::Visitor.into(), id: "v".into(), name: String::new() }),
            bot_session_id: self.session.to_string(),
            ..MessagePosted::default()
        }
    }

    /// The event of a close for this reason.
    pub fn closed(&self, reason: CloseReason) -> ConversationClosed {
        ConversationClosed {
            conversation_id: self.conversation.to_string(),
            bot_session_id: self.session.to_string(),
            reason: reason.into(),
            ..ConversationClosed::default()
        }
    }
}

/// An event of the conversation service, with a new id.
pub fn event<M: Message + Name>(account: AccountId, message: &M) -> Event {
    let value = message.encode_to_vec();
    Event {
        id: new_id().to_string(),
        r#type: M::full_name(),
        account_id: account.to_string(),
        data: Some(prost_types::Any { type_url: format!("type.googleapis.com/{}", M::full_name()), value }),
        ..Event::default()
    }
}

/// This event twenty times, each with an id of its own.
pub fn twenty<M: Message + Name>(account: AccountId, message: &M) -> Vec<Event> {
    (0..20).map(|_| event(account, message)).collect()
}

pub fn new_account() -> AccountId {
    AccountId(new_id())
}

pub fn new_bot(flow: Flow, request_id: &str) -> CreateBotRequest {
    let (name, request_id) = ("Robo".into(), request_id.into());
    CreateBotRequest { name, flow: Some(flow), request_id, ..CreateBotRequest::default() }
}

async fn database(url: String, clock: &Clock) -> Db {
    Db::connect(&DbSettings { url: DatabaseUrl(url), ..DbSettings::default() }, clock).await.unwrap()
}
