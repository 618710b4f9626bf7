//! The service as it runs, and callers of it.

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
    botsession::v1::{
        Bot, BotSession, BotSessionStatus, CreateBotRequest, Flow, GetBotSessionRequest,
        bot_service_client::BotServiceClient, bot_session_service_client::BotSessionServiceClient,
    },
    conversation::v1::{
        conversation_service_server::ConversationServiceServer, thread_service_server::ThreadServiceServer,
    },
    event::v1::{Actor, ActorKind, ConversationStarted, Event, MessagePosted},
};
use frontdesk_server::{Admission, AuditLayer, GrpcServices, ServerSettings, serve};
use prost::{Message, Name};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, RoutesBuilder, interceptor::InterceptedService},
    transport::{Channel, Endpoint, Server},
};
use uuid::Uuid;

use crate::arbiter::Arbiter;

pub struct Suite {
    pub arbiter: Arbiter,
    pub bus: Bus,
    pub clock: Clock,
    pub db: Db,
    keys: DevelopmentKey,
    channel: Channel,
    shutdown: CancellationToken,
    _folder: tempfile::TempDir,
}

/// Says who calls.
#[derive(Clone)]
pub struct Token(MetadataValue<Ascii>);

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

pub type Calls = InterceptedService<Channel, Token>;

impl Drop for Suite {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Suite {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let keys = DevelopmentKey::load_or_create(&folder.path().join("key"), &clock).unwrap();
        let shutdown = CancellationToken::new();
        let db = database(&folder, "bot-session", &clock).await;
        frontdesk_db::migrate::<Migrator>(&db).await.unwrap();
        let bus = Bus::in_process(database(&folder, "bus", &clock).await, &clock).await.unwrap();

        let arbiter = Arbiter::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let server = Server::builder()
            .add_service(ConversationServiceServer::new(arbiter.clone()))
            .add_service(ThreadServiceServer::new(arbiter.clone()));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));

        let peer = Peer::remote(&address, "bot-session", None, Some(&keys)).unwrap();
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
        Self { arbiter, bus, clock, db, keys, channel, shutdown, _folder: folder }
    }

    fn calls(&self, account: AccountId, kind: CallerKind, subject: &str) -> Calls {
        let token = self.keys.mint(&self.keys.claims(account, kind, subject, Duration::from_secs(600))).unwrap();
        InterceptedService::new(self.channel.clone(), Token(format!("Bearer {token}").parse().unwrap()))
    }

    pub fn bots(&self, account: AccountId) -> BotServiceClient<Calls> {
        BotServiceClient::new(self.calls(account, CallerKind::Admin, "root"))
    }

    pub fn sessions(&self, account: AccountId) -> BotSessionServiceClient<Calls> {
        BotSessionServiceClient::new(self.calls(account, CallerKind::Admin, "root"))
    }

    pub async fn bot(&self, account: AccountId, flow: Flow) -> Bot {
        let request = new_bot(flow, &frontdesk_clock::testing::new_id().to_string());
        self.bots(account).create_bot(request).await.unwrap().into_inner().bot.unwrap()
    }

    /// Starts a conversation with the bot, as the conversation service would.
    pub async fn chat(&self, account: AccountId, bot: &Bot, timeout: Option<Duration>) -> Chat {
        let (conversation, session) = (frontdesk_clock::testing::new_id(), frontdesk_clock::testing::new_id());
        self.arbiter.open(conversation, session);
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

    /// The visitor says something: it is in the thread, and the event is on its way.
    pub async fn speak(&self, chat: &Chat, text: &str, button: &str) {
        let sequence = self.arbiter.visitor_says(chat.conversation, text, button);
        self.publish(chat.account, &spoke(chat, sequence)).await;
    }

    pub async fn session(&self, chat: &Chat) -> Option<BotSession> {
        let request = GetBotSessionRequest { bot_session_id: chat.session.to_string() };
        self.sessions(chat.account).get_bot_session(request).await.ok()?.into_inner().bot_session
    }

    /// Waits until the bot said exactly this.
    pub async fn said(&self, chat: &Chat, texts: &[&str]) {
        eventually(|| async { (self.arbiter.said(chat.conversation) == texts).then_some(()) }).await;
    }

    /// Waits until the session stands so.
    pub async fn stands(&self, chat: &Chat, status: BotSessionStatus) -> BotSession {
        eventually(|| async { self.session(chat).await.filter(|session| session.status() == status) }).await
    }

    /// Waits until the session waits at this step.
    pub async fn waits_at(&self, chat: &Chat, step: &str) {
        eventually(|| async { self.session(chat).await.filter(|session| session.step_id == step) }).await;
    }

    /// Publishes an event as another service's relay would.
    pub async fn publish<M: Message + Name>(&self, account: AccountId, message: &M) {
        let event = event(account, message);
        assert!(self.bus.publish(&[event]).await.iter().all(Result::is_ok));
    }
}

pub fn event<M: Message + Name>(account: AccountId, message: &M) -> Event {
    let value = message.encode_to_vec();
    Event {
        id: frontdesk_clock::testing::new_id().to_string(),
        r#type: M::full_name(),
        account_id: account.to_string(),
        data: Some(prost_types::Any { type_url: format!("type.googleapis.com/{}", M::full_name()), value }),
        ..Event::default()
    }
}

pub fn account() -> AccountId {
    AccountId(frontdesk_clock::testing::new_id())
}

/// A conversation with a bot.
pub struct Chat {
    pub account: AccountId,
    pub conversation: Uuid,
    pub session: Uuid,
    pub started: ConversationStarted,
}

/// The event of a visitor's message.
pub fn spoke(chat: &Chat, sequence: i64) -> MessagePosted {
    MessagePosted {
        conversation_id: chat.conversation.to_string(),
        sequence,
        author: Some(Actor { kind: ActorKind::Visitor.into(), id: "v".into() }),
        bot_session_id: chat.session.to_string(),
        ..MessagePosted::default()
    }
}

pub fn new_bot(flow: Flow, request_id: &str) -> CreateBotRequest {
    let (name, request_id) = ("Robo".into(), request_id.into());
    CreateBotRequest { name, flow: Some(flow), request_id, ..CreateBotRequest::default() }
}

/// The reason of a refusal.
pub fn reason(status: &Status) -> String {
    use tonic_types::StatusExt;
    status.get_details_error_info().map(|info| info.reason).unwrap_or_else(|| format!("{status:?}"))
}

/// Waits until `look` sees what it wants.
pub async fn eventually<T, F: Future<Output = Option<T>>>(look: impl Fn() -> F) -> T {
    let patience = Duration::from_secs(20);
    let found = tokio::time::timeout(patience, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    found.await.unwrap()
}

async fn database(folder: &tempfile::TempDir, name: &str, clock: &Clock) -> Db {
    let url = format!("sqlite://{}", folder.path().join(format!("{name}.db")).display());
    let settings = DbSettings { url: DatabaseUrl(url), ..DbSettings::default() };
    Db::connect(&settings, clock).await.unwrap()
}
