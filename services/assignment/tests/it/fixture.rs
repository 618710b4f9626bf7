//! The service as it runs, and its callers.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use frontdesk_assignment::App;
use frontdesk_audit::AuditLog;
use frontdesk_auth::{AccessMap, CallerKind, DevelopmentKey, Identity};
use frontdesk_bus::Bus;
use frontdesk_client::Peer;
use frontdesk_clock::Clock;
use frontdesk_db::{AccountId, DatabaseUrl, Db, DbSettings};
use frontdesk_proto::{
    DESCRIPTORS,
    assignment::v1::{
        Agent, AssignConversationRequest, Assignment, CreateAgentRequest, ListAssignmentsRequest,
        TakeOverConversationRequest, UnassignConversationRequest, assignment_service_client::AssignmentServiceClient,
        roster_service_client::RosterServiceClient,
    },
    conversation::v1::conversation_service_server::ConversationServiceServer,
    event::v1::Event,
};
use frontdesk_server::{Admission, AuditLayer, GrpcServices, ServerSettings, serve};
use frontdesk_service::{AnyService, Process, Service, ServiceContext};
use frontdesk_test_servers::Postgres;
use prost::{Message, Name};
use tokio::{net::TcpListener, sync::OnceCell};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, RoutesBuilder, interceptor::InterceptedService},
    transport::{Channel, Endpoint, Server},
};
use uuid::Uuid;

use crate::{fake_conversations::FakeConversations, mode::Mode};

/// How long calls may take to end when the service stops.
const DRAIN: Duration = Duration::from_millis(100);
/// The PostgreSQL server of all tests of the process.
static POSTGRES: OnceCell<Postgres> = OnceCell::const_new();

/// The service under test, with a conversation service in memory as its neighbour.
pub struct Fixture {
    pub conversations: FakeConversations,
    pub bus: Bus,
    pub db: Db,
    keys: DevelopmentKey,
    channel: Channel,
    shutdown: CancellationToken,
    _folder: tempfile::TempDir,
}

/// Adds the caller's token to each call.
#[derive(Clone)]
pub struct Token(MetadataValue<Ascii>);

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

pub type Calls = InterceptedService<Channel, Token>;

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
            Mode::Embedded => sqlite(&folder, "assignment"),
            Mode::Distributed => {
                let server = POSTGRES.get_or_init(Postgres::start).await;
                server.create_database(&format!("t{}", new_id().simple())).await
            }
        };
        let db = connect(url, &clock).await;
        frontdesk_db::migrate::<<App as Service>::Migrator>(&db).await.unwrap();
        let bus = Bus::in_process(connect(sqlite(&folder, "bus"), &clock).await, &clock).await.unwrap();

        let conversations = FakeConversations::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let service = ConversationServiceServer::new(conversations.clone());
        tokio::spawn(Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener)));

        let key = keys.clone();
        let context = ServiceContext {
            db: db.clone(),
            clock: clock.clone(),
            bus: bus.clone(),
            secret: keys.installation_secret().clone(),
            data_folder: folder.path().to_owned(),
            shutdown: shutdown.clone(),
            peers: Arc::new(move |_| Peer::remote(&address, App::NAME, None, Some(&key))),
        };
        let service = <dyn AnyService>::build::<App>(context, ()).unwrap();
        service.subscribe(&bus);
        let mut routes = RoutesBuilder::default();
        service.routes(&mut routes);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let settings = ServerSettings::plain(DRAIN);
        let audit = AuditLayer::try_new(AuditLog::new(vec![(App::PACKAGE, db.clone())]), DESCRIPTORS).unwrap();
        let access = AccessMap::try_new(DESCRIPTORS).unwrap();
        let identity = Identity::from_development_key(&keys);
        let admission = Admission::new(identity, access, audit, &settings.limits, &clock);
        let process = Process {
            services: vec![service],
            bus: bus.clone(),
            tasks: Vec::new(),
            ops: None,
            drain: DRAIN,
            shutdown: shutdown.clone(),
        };
        let stop = shutdown.clone();
        tokio::spawn(frontdesk_service::run(process, move |ready| {
            let names = App::GRPC_SERVICES.to_vec();
            let services = GrpcServices { routes: routes.routes(), names, descriptors: DESCRIPTORS, ready };
            serve(listener, services, admission, settings, stop)
        }));

        let channel = Endpoint::from_shared(address).unwrap().connect_lazy();
        Self { conversations, bus, db, keys, channel, shutdown, _folder: folder }
    }

    fn calls(&self, account: AccountId, kind: CallerKind, subject: &str) -> Calls {
        let token = self.keys.mint(&self.keys.claims(account, kind, subject, Duration::from_secs(600))).unwrap();
        InterceptedService::new(self.channel.clone(), Token(format!("Bearer {token}").parse().unwrap()))
    }

    pub fn roster(&self, account: AccountId) -> RosterServiceClient<Calls> {
        RosterServiceClient::new(self.calls(account, CallerKind::Admin, "root"))
    }

    /// Calls of the agent with this id, on the roster or not.
    pub fn assignments(&self, account: AccountId, agent: Uuid) -> AssignmentServiceClient<Calls> {
        AssignmentServiceClient::new(self.calls(account, CallerKind::Agent, &agent.to_string()))
    }

    /// Calls of this agent.
    pub fn calls_of(&self, account: AccountId, agent: &Agent) -> AssignmentServiceClient<Calls> {
        self.assignments(account, agent.id.parse().unwrap())
    }

    /// Adds an agent to the account's roster.
    pub async fn agent(&self, account: AccountId, handle: &str) -> Agent {
        let request = new_agent(handle, &format!("create-{handle}"));
        self.roster(account).create_agent(request).await.unwrap().into_inner().agent.unwrap()
    }

    /// An unassigned conversation at epoch 1.
    pub fn conversation(&self) -> Uuid {
        let id = new_id();
        self.conversations.add(id, "");
        id
    }

    /// Answers the next calls of the conversation service with UNAVAILABLE.
    pub fn fail_conversation_calls(&self, number: usize) {
        self.conversations.failing.store(number, Ordering::SeqCst);
    }

    /// Publishes an event as the relay of another service does.
    pub async fn publish<M: Message + Name>(&self, account: AccountId, message: &M) {
        self.publish_events(&[event(account, message)]).await;
    }

    pub async fn publish_events(&self, events: &[Event]) {
        assert!(self.bus.publish(events).await.iter().all(Result::is_ok));
    }

    /// The conversation's history, as an agent of the account reads it.
    pub async fn history(&self, account: AccountId, conversation: Uuid) -> Vec<Assignment> {
        let request = ListAssignmentsRequest { conversation_id: conversation.to_string() };
        let mut calls = self.assignments(account, new_id());
        calls.list_assignments(request).await.unwrap().into_inner().assignments
    }

    /// The same, once it has this number of assignments.
    pub async fn wait_for_history(&self, account: AccountId, conversation: Uuid, number: usize) -> Vec<Assignment> {
        wait_for(|| async {
            let history = self.history(account, conversation).await;
            (history.len() == number).then_some(history)
        })
        .await
    }
}

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

pub fn new_id() -> Uuid {
    frontdesk_clock::testing::new_id()
}

pub fn account() -> AccountId {
    AccountId(new_id())
}

pub fn new_agent(handle: &str, request_id: &str) -> CreateAgentRequest {
    CreateAgentRequest {
        name: handle.to_uppercase(),
        handle: handle.into(),
        request_id: request_id.into(),
        ..CreateAgentRequest::default()
    }
}

pub fn assign(
    conversation: Uuid,
    agent: &Agent,
    expected_epoch: i64,
    request_id: &str,
) -> Request<AssignConversationRequest> {
    let (conversation_id, agent_id) = (conversation.to_string(), agent.id.clone());
    Request::new(AssignConversationRequest { conversation_id, agent_id, expected_epoch, request_id: request_id.into() })
}

pub fn take_over(conversation: Uuid, expected_epoch: i64, request_id: &str) -> Request<TakeOverConversationRequest> {
    let conversation_id = conversation.to_string();
    Request::new(TakeOverConversationRequest { conversation_id, expected_epoch, request_id: request_id.into() })
}

pub fn unassign(conversation: Uuid, expected_epoch: i64, request_id: &str) -> Request<UnassignConversationRequest> {
    let conversation_id = conversation.to_string();
    Request::new(UnassignConversationRequest { conversation_id, expected_epoch, request_id: request_id.into() })
}

/// Code and reason of a rejection.
pub fn rejection(status: &Status) -> (Code, String) {
    use tonic_types::StatusExt;
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_else(|| format!("{status:?}"));
    (status.code(), reason)
}

/// Calls `find` until it returns a value, for at most 20 seconds.
pub async fn wait_for<T, F: Future<Output = Option<T>>>(find: impl Fn() -> F) -> T {
    let finding = async {
        loop {
            if let Some(found) = find().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), finding).await.unwrap()
}

fn sqlite(folder: &tempfile::TempDir, name: &str) -> String {
    format!("sqlite://{}", folder.path().join(format!("{name}.db")).display())
}

async fn connect(url: String, clock: &Clock) -> Db {
    Db::connect(&DbSettings { url: DatabaseUrl(url), ..DbSettings::default() }, clock).await.unwrap()
}
