//! The service as it runs, and callers of it.

use std::time::Duration;

use frontdesk_api::Pages;
use frontdesk_assignment::{App, Migrator};
use frontdesk_audit::AuditLog;
use frontdesk_auth::{AccessMap, CallerKind, DevelopmentKey, Identity};
use frontdesk_bus::Bus;
use frontdesk_client::Peer;
use frontdesk_clock::Clock;
use frontdesk_db::{AccountId, DatabaseUrl, Db, DbSettings};
use frontdesk_proto::{
    DESCRIPTORS,
    assignment::v1::{
        Agent, CreateAgentRequest, assignment_service_client::AssignmentServiceClient,
        roster_service_client::RosterServiceClient,
    },
    conversation::v1::conversation_service_server::ConversationServiceServer,
    event::v1::Event,
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
        let db = database(&folder, "assignment", &clock).await;
        frontdesk_db::migrate::<Migrator>(&db).await.unwrap();
        let bus = Bus::in_process(database(&folder, "bus", &clock).await, &clock).await.unwrap();

        let arbiter = Arbiter::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let service = ConversationServiceServer::new(arbiter.clone());
        tokio::spawn(Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener)));

        let peer = Peer::remote(&address, "assignment", None, Some(&keys)).unwrap();
        let trail = AuditLog::new(vec![("frontdesk.assignment.v1", db.clone())]);
        let app = App::new(db, Pages::new(keys.installation_secret().clone()), peer, shutdown.clone());
        frontdesk_assignment::subscribe(&app, &bus);
        let mut routes = RoutesBuilder::default();
        frontdesk_assignment::routes(&app, &mut routes);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let settings = ServerSettings::plain(Duration::from_millis(100));
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
            names: frontdesk_assignment::SERVICES.to_vec(),
            descriptors: DESCRIPTORS,
            ready: tokio::sync::watch::Sender::new(true).subscribe(),
        };
        tokio::spawn(serve(listener, served, gate, settings, shutdown.clone()));
        tokio::spawn(frontdesk_assignment::work(app, bus.clone()));
        let (running, until) = (bus.clone(), shutdown.clone());
        tokio::spawn(async move { running.run(until).await });

        let channel = Endpoint::from_shared(address).unwrap().connect_lazy();
        Self { arbiter, bus, keys, channel, shutdown, _folder: folder }
    }

    fn calls(&self, account: AccountId, kind: CallerKind, subject: &str) -> Calls {
        let token = self.keys.mint(&self.keys.claims(account, kind, subject, Duration::from_secs(600))).unwrap();
        InterceptedService::new(self.channel.clone(), Token(format!("Bearer {token}").parse().unwrap()))
    }

    pub fn roster(&self, account: AccountId) -> RosterServiceClient<Calls> {
        RosterServiceClient::new(self.calls(account, CallerKind::Admin, "root"))
    }

    pub fn assignments(&self, account: AccountId, agent: Uuid) -> AssignmentServiceClient<Calls> {
        AssignmentServiceClient::new(self.calls(account, CallerKind::Agent, &agent.to_string()))
    }

    /// Adds an agent to the account's roster.
    pub async fn agent(&self, account: AccountId, handle: &str) -> Agent {
        let request = new_agent(handle, &format!("create-{handle}"));
        self.roster(account).create_agent(request).await.unwrap().into_inner().agent.unwrap()
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

pub fn new_agent(handle: &str, request_id: &str) -> CreateAgentRequest {
    CreateAgentRequest {
        name: handle.to_uppercase(),
        handle: handle.into(),
        request_id: request_id.into(),
        ..CreateAgentRequest::default()
    }
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
