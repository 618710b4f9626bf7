//! One service as it runs in a process, with a fake in the place of every other service.

use std::{sync::Arc, time::Duration};

use frontdesk_audit::AuditLog;
use frontdesk_auth::{AccessMap, CallerKind, Claims, DevelopmentKey, Identity};
use frontdesk_bus::{Bus, BusSettings};
use frontdesk_client::Peer;
use frontdesk_clock::Clock;
use frontdesk_db::{AccountId, Db};
use frontdesk_proto::{DESCRIPTORS, event::v1::Event};
use frontdesk_server::{Admission, AuditLayer, GrpcServices, ServerSettings, serve};
use frontdesk_service::{AnyService, Process, Service, ServiceContext};
use prost::{Message, Name};
use sea_orm::{ConnectionTrait, Statement};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    service::{RoutesBuilder, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use crate::{BearerToken, EventQueue, FakeServices, Mode, TestDatabase, new_id, servers, settled};

/// Names of the services whose events a test publishes.
const SOURCES: [&str; 4] = ["conversation", "assignment", "bot-session", "notification"];
/// How long calls may take to end when the service stops.
const DRAIN: Duration = Duration::from_millis(100);
/// How long the tokens of callers are valid.
const TOKEN_LIFETIME: Duration = Duration::from_secs(14 * 24 * 3600);
/// Disk space that the NATS server reserves for each stream of a test.
const STREAM_MAX_BYTES: i64 = 8 << 20;

/// A connection that sends the token of one caller.
pub type Calls = InterceptedService<Channel, BearerToken>;

/// A running service: gRPC on a free port behind the same middleware as in production, its consumers, its workers and
/// its outbox relay. It stops when it is dropped.
pub struct ServiceUnderTest {
    /// What it runs on.
    pub mode: Mode,
    /// Every other service.
    pub fake: FakeServices,
    /// Its database.
    pub db: Db,
    /// Its event bus.
    pub bus: Bus,
    /// Its clock, which the test moves.
    pub clock: Clock,
    /// Key that signs the tokens of its callers.
    pub key: DevelopmentKey,
    /// Its data folder.
    pub folder: TempDir,
    /// Its routes of plain HTTP.
    pub http: axum::Router,
    channel: Channel,
    queue: EventQueue,
    shutdown: CancellationToken,
    _databases: Vec<TestDatabase>,
}

impl Drop for ServiceUnderTest {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl ServiceUnderTest {
    /// Starts a service with default settings.
    pub async fn start<S: Service>(mode: Mode) -> Self
    where
        S::Settings: Default,
    {
        Self::start_with::<S>(mode, S::Settings::default()).await
    }

    /// Starts a service with these settings.
    pub async fn start_with<S: Service>(mode: Mode, settings: S::Settings) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Clock::system();
        let key = DevelopmentKey::load_or_create(&folder.path().join("key"), &clock).expect("a key");
        let shutdown = CancellationToken::new();
        let database = TestDatabase::create(mode, &clock).await;
        let db = database.db.clone();
        frontdesk_db::migrate::<S::Migrator>(&db).await.expect("the schema of the service");
        let mut databases = vec![database];
        let (bus, queue) = bus(mode, &clock, &mut databases).await;
        let fake = FakeServices::default();
        let peers = fake.serve().await;

        let peer_key = key.clone();
        let context = ServiceContext {
            db: db.clone(),
            clock: clock.clone(),
            bus: bus.clone(),
            secret: key.installation_secret().clone(),
            data_folder: folder.path().to_owned(),
            shutdown: shutdown.clone(),
            peers: Arc::new(move |_| Peer::remote(&peers, S::NAME, None, Some(&peer_key))),
        };
        let service = <dyn AnyService>::build::<S>(context, settings).expect("the service");
        service.subscribe(&bus);
        let http = service.http_routes();
        crate::wait_until("the streams of the bus", || async { bus.prepare(&SOURCES).await.is_ok() }).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        run::<S>(service, listener, &key, &bus, &clock, shutdown.clone());

        let channel = Endpoint::from_shared(address).expect("an address").connect_lazy();
        Self { mode, fake, db, bus, clock, key, folder, http, channel, queue, shutdown, _databases: databases }
    }

    /// Calls of a caller whose token has the permissions of the kind's default role.
    pub fn calls(&self, account: AccountId, kind: CallerKind, subject: &str) -> Calls {
        self.calls_with(account, kind, subject, |_| {})
    }

    /// Calls of a caller whose token's claims `change` has edited.
    pub fn calls_with(
        &self,
        account: AccountId,
        kind: CallerKind,
        subject: &str,
        change: impl FnOnce(&mut Claims),
    ) -> Calls {
        let mut claims = self.key.claims(account, kind, subject, TOKEN_LIFETIME);
        change(&mut claims);
        self.calls_with_token(&self.key.mint(&claims).expect("a token"))
    }

    /// Calls of a caller with this token.
    pub fn calls_with_token(&self, token: &str) -> Calls {
        InterceptedService::new(self.channel.clone(), BearerToken::new(token))
    }

    /// Publishes an event of the service `source`, as that service's outbox relay does; returns it.
    pub async fn publish<M: Message + Name>(&self, source: &str, account: AccountId, message: &M) -> Event {
        let event = event(source, account, message);
        self.deliver(&event).await;
        event
    }

    /// Publishes an event once more under another id: the bus cannot recognise it as a repeat, the service must.
    pub async fn deliver_again(&self, event: &Event) {
        self.deliver(&Event { id: new_id().to_string(), ..event.clone() }).await;
    }

    async fn deliver(&self, event: &Event) {
        for published in self.bus.publish(std::slice::from_ref(event)).await {
            published.expect("a published event");
        }
    }

    /// Waits until every published event is handled, and every event that the service appended is published and
    /// handled. Timers and deliveries are no events: wait for their effect.
    pub async fn settled(&self) {
        settled(std::slice::from_ref(&self.db), &self.queue).await;
    }

    /// Every event of the type `M` that the service appended to its outbox, oldest first.
    pub async fn appended<M: Message + Name + Default>(&self) -> Vec<M> {
        let connection = self.db.read();
        let query = Statement::from_string(
            connection.get_database_backend(),
            "SELECT event FROM outbox_events ORDER BY position",
        );
        let rows = connection.query_all_raw(query).await.expect("the outbox");
        let events = rows.iter().map(|row| {
            let bytes: Vec<u8> = row.try_get("", "event").expect("an event");
            Event::decode(bytes.as_slice()).expect("an event")
        });
        let of_type = events.filter(|event| event.r#type == M::full_name());
        of_type.map(|event| frontdesk_bus::decode(&event).expect("the message of the event")).collect()
    }
}

/// An event of the service `source`, about a new aggregate.
pub fn event<M: Message + Name>(source: &str, account: AccountId, message: &M) -> Event {
    let value = message.encode_to_vec();
    Event {
        id: new_id().to_string(),
        source: source.to_owned(),
        r#type: M::full_name(),
        account_id: account.to_string(),
        aggregate_id: new_id().to_string(),
        version: 1,
        data: Some(prost_types::Any { type_url: format!("type.googleapis.com/{}", M::full_name()), value }),
        ..Event::default()
    }
}

/// The bus of the mode, and where events wait in it.
async fn bus(mode: Mode, clock: &Clock, databases: &mut Vec<TestDatabase>) -> (Bus, EventQueue) {
    match mode {
        Mode::Embedded => {
            let database = TestDatabase::create(mode, clock).await;
            let db = database.db.clone();
            databases.push(database);
            (Bus::in_process(db.clone(), clock).await.expect("the in-process bus"), EventQueue::InProcess(db))
        }
        Mode::Distributed => {
            let (url, prefix) = (servers::nats().await, servers::nats_prefix());
            let settings = BusSettings {
                url: url.clone(),
                prefix: prefix.clone(),
                stream_max_bytes: STREAM_MAX_BYTES,
                ..BusSettings::default()
            };
            (Bus::jet_stream(settings, clock).await.expect("the NATS server"), EventQueue::Nats { url, prefix })
        }
    }
}

fn run<S: Service>(
    service: Arc<dyn AnyService>,
    listener: TcpListener,
    key: &DevelopmentKey,
    bus: &Bus,
    clock: &Clock,
    shutdown: CancellationToken,
) {
    let settings = ServerSettings::plain(DRAIN);
    let databases: Vec<_> = S::GRPC_SERVICES.iter().map(|name| (*name, service.db().clone())).collect();
    let audit_log = AuditLog::new(databases.clone());
    let identity = Identity::from_development_key(key);
    if let Some(keys) = service.visitor_keys() {
        identity.accept_visitor_keys(keys);
    }
    let admission = Admission::new(
        identity,
        AccessMap::try_new(DESCRIPTORS).expect("the declared access of every method"),
        AuditLayer::try_new(audit_log, DESCRIPTORS).expect("the declared access of every method"),
        &settings.limits,
        clock,
    )
    .with_accounts(databases);
    let mut routes = RoutesBuilder::default();
    service.routes(&mut routes);
    let process = Process {
        services: vec![service],
        bus: bus.clone(),
        tasks: Vec::new(),
        ops: None,
        drain: DRAIN,
        shutdown: shutdown.clone(),
    };
    let names = S::GRPC_SERVICES.to_vec();
    tokio::spawn(frontdesk_service::run(process, move |ready| {
        let (routes, listed) = (routes.routes(), names.clone());
        let services = GrpcServices { routes, names, listed, descriptors: DESCRIPTORS.into(), ready };
        serve(listener, services, admission, settings, shutdown)
    }));
}
