//! What a promise is tested on: a database and a bus of one mode, which a test can open again on what they kept.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use frontdesk_bus::{Bus, BusSettings, Consumer, DEAD_LETTERS, Outcome};
use frontdesk_clock::Clock;
use frontdesk_db::{ACCOUNT_STATES, DatabaseUrl, Db, DbSettings, Sql, migrate};
use frontdesk_outbox::{OUTBOX, OUTBOX_LEADER_AND_STREAM, OUTBOX_PROGRESS, OUTBOX_REPUBLISHING};
use frontdesk_proto::event::v1::Event;
use frontdesk_testkit::{EventQueue, Mode, new_id, servers, settled, wait_until};
use sea_orm::ConnectionTrait;
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use tokio::{
    sync::{Notify, Semaphore},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// Name of the service whose events are published.
pub const SOURCE: &str = "test";
/// How long [`Recorder::until`] waits before the test fails.
const WAIT: Duration = Duration::from_secs(90);

pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let tables = "{row_level_security outbox_events} {row_level_security requests}";
        vec![
            Box::new(OUTBOX),
            Box::new(frontdesk_idempotency::REQUESTS),
            Box::new(DEAD_LETTERS),
            Box::new(OUTBOX_LEADER_AND_STREAM),
            Box::new(OUTBOX_REPUBLISHING),
            Box::new(OUTBOX_PROGRESS),
            Box::new(Sql { name: "test_001_row_level_security", text: tables }),
            Box::new(ACCOUNT_STATES),
        ]
    }
}

enum Servers {
    Embedded(tempfile::TempDir),
    Distributed { database: String, bus: BusSettings },
}

pub struct Backend {
    servers: Servers,
    pub clock: Clock,
}

impl Backend {
    pub async fn new(mode: Mode) -> Self {
        match mode {
            Mode::Embedded => Self { servers: Servers::Embedded(tempfile::tempdir().unwrap()), clock: Clock::system() },
            Mode::Distributed => Self::with_nats(servers::nats().await).await,
        }
    }

    /// PostgreSQL, and a NATS server that the test may kill.
    pub async fn with_nats(url: String) -> Self {
        let prefix = servers::nats_prefix();
        let bus = BusSettings { url, prefix, stream_max_bytes: 8 << 20, ..BusSettings::default() };
        let database = servers::postgres_database().await;
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Self { servers: Servers::Distributed { database, bus }, clock: Clock::system() }
    }

    /// A PostgreSQL database that the test reads by itself, and no bus.
    pub fn on_postgres(database: &str) -> Self {
        let servers = Servers::Distributed { database: database.into(), bus: BusSettings::default() };
        Self { servers, clock: Clock::system() }
    }

    /// Settings of the bus; those of the in-process bus in embedded mode.
    pub fn bus_settings(&self) -> BusSettings {
        match &self.servers {
            Servers::Embedded(_) => BusSettings::default(),
            Servers::Distributed { bus, .. } => bus.clone(),
        }
    }

    pub fn is_distributed(&self) -> bool {
        matches!(self.servers, Servers::Distributed { .. })
    }

    /// Opens the service's database, without a schema.
    pub async fn empty_db(&self) -> Db {
        match &self.servers {
            Servers::Embedded(_) => self.connect(self.file("service.db")).await,
            Servers::Distributed { database, .. } => self.connect(database.clone()).await,
        }
    }

    /// Opens the service's database.
    pub async fn db(&self) -> Db {
        let db = self.empty_db().await;
        migrate::<Migrator>(&db).await.unwrap();
        db
    }

    /// Opens the bus.
    pub async fn bus(&self) -> Bus {
        match &self.servers {
            Servers::Embedded(_) => Bus::in_process(self.bus_file().await, &self.clock).await.unwrap(),
            Servers::Distributed { bus, .. } => Bus::jet_stream(bus.clone(), &self.clock).await.unwrap(),
        }
    }

    /// Opens the file of the in-process bus.
    pub async fn bus_file(&self) -> Db {
        self.connect(self.file("bus.db")).await
    }

    /// Waits until every event that was published or appended to `db` is handled.
    pub async fn settled(&self, db: &Db) {
        let queue = match &self.servers {
            Servers::Embedded(_) => EventQueue::InProcess(self.bus_file().await),
            Servers::Distributed { bus, .. } => EventQueue::Nats { url: bus.url.clone(), prefix: bus.prefix.clone() },
        };
        settled(std::slice::from_ref(db), &queue).await;
    }

    fn file(&self, name: &str) -> String {
        match &self.servers {
            Servers::Embedded(folder) => format!("sqlite://{}", folder.path().join(name).display()),
            Servers::Distributed { .. } => unreachable!("no files in distributed mode"),
        }
    }

    async fn connect(&self, url: String) -> Db {
        let settings = DbSettings { url: DatabaseUrl(url), max_connections: Some(8) };
        Db::connect(&settings, &self.clock).await.unwrap()
    }
}

/// Executes SQL in a transaction.
pub async fn execute(db: &Db, sql: &str) {
    let tx = db.begin().await.unwrap();
    tx.conn().execute_unprepared(sql).await.unwrap();
    tx.commit().await.unwrap();
}

/// A bus that delivers events; dropping the token lets it run on.
pub struct RunningBus {
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl RunningBus {
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

/// Creates the streams and consumers of the bus. The connection may take a moment.
pub async fn prepare(bus: &Bus) {
    wait_until("the streams of the bus", || async { bus.prepare(&[SOURCE]).await.is_ok() }).await;
}

/// Prepares the bus and delivers its events from now on.
pub async fn run(bus: &Bus) -> RunningBus {
    prepare(bus).await;
    let (shutdown, bus) = (CancellationToken::new(), bus.clone());
    let token = shutdown.clone();
    RunningBus { shutdown, task: tokio::spawn(async move { bus.run(token).await }) }
}

pub fn event(event_type: &str) -> Event {
    Event {
        id: new_id().to_string(),
        r#type: event_type.into(),
        source: SOURCE.into(),
        aggregate_id: new_id().to_string(),
        ..Event::default()
    }
}

/// Publishes all events, or fails.
pub async fn publish(bus: &Bus, events: &[Event]) {
    for result in bus.publish(events).await {
        result.unwrap();
    }
}

type Handler = dyn Fn(&str, usize) -> Outcome + Send + Sync;

/// A consumer that counts the deliveries of each event. The handler is given the id of the event and the number of
/// deliveries so far.
#[derive(Clone)]
pub struct Recorder {
    name: &'static str,
    pub deliveries: Arc<Mutex<HashMap<String, usize>>>,
    changed: Arc<Notify>,
    handler: Arc<Handler>,
    gate: Option<Gate>,
}

/// Holds up handlers until it is opened.
#[derive(Clone)]
pub struct Gate {
    open: Arc<Semaphore>,
    begun: Arc<AtomicUsize>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { open: Arc::new(Semaphore::new(0)), begun: Arc::default() }
    }
}

impl Gate {
    pub fn open(&self) {
        self.open.add_permits(1);
    }

    /// Number of handlers that came to it.
    pub fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }
}

impl Recorder {
    pub fn new(name: &'static str, handler: impl Fn(&str, usize) -> Outcome + Send + Sync + 'static) -> Self {
        Self { name, deliveries: Arc::default(), changed: Arc::default(), handler: Arc::new(handler), gate: None }
    }

    /// A consumer that acknowledges every event.
    pub fn acknowledging(name: &'static str) -> Self {
        Self::new(name, |_, _| Outcome::Ack)
    }

    /// The consumer, with handlers that wait for the gate first.
    pub fn behind(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    pub async fn until(&self, what: &str, done: impl Fn(&HashMap<String, usize>) -> bool) {
        let waiting = async {
            while !done(&self.deliveries.lock().unwrap()) {
                self.changed.notified().await;
            }
        };
        tokio::time::timeout(WAIT, waiting)
            .await
            .unwrap_or_else(|_| panic!("waited in vain for {what}: {} events", self.deliveries.lock().unwrap().len()));
    }

    /// Fails unless each event was delivered exactly once.
    pub fn assert_once(&self) {
        let deliveries = self.deliveries.lock().unwrap();
        assert!(deliveries.values().all(|times| *times == 1), "{deliveries:?}");
    }
}

#[async_trait::async_trait]
impl Consumer for Recorder {
    fn name(&self) -> &'static str {
        self.name
    }

    fn source(&self) -> &'static str {
        SOURCE
    }

    fn types(&self) -> Vec<String> {
        vec!["test.Thing".into()]
    }

    async fn handle(&self, event: &Event) -> Outcome {
        if let Some(gate) = &self.gate {
            gate.begun.fetch_add(1, Ordering::SeqCst);
            drop(gate.open.acquire().await.unwrap());
        }
        let times = {
            let mut deliveries = self.deliveries.lock().unwrap();
            let times = deliveries.entry(event.id.clone()).or_default();
            *times += 1;
            *times
        };
        self.changed.notify_one();
        (self.handler)(&event.id, times)
    }
}

/// A consumer whose handlers never return.
#[derive(Clone)]
pub struct Stuck {
    name: &'static str,
    started: Arc<AtomicUsize>,
}

impl Stuck {
    pub fn new(name: &'static str) -> Self {
        Self { name, started: Arc::default() }
    }

    /// Number of handlers that were started.
    pub fn started(&self) -> usize {
        self.started.load(Ordering::SeqCst)
    }
}

#[async_trait::async_trait]
impl Consumer for Stuck {
    fn name(&self) -> &'static str {
        self.name
    }

    fn source(&self) -> &'static str {
        SOURCE
    }

    fn types(&self) -> Vec<String> {
        vec!["test.Thing".into()]
    }

    async fn handle(&self, _: &Event) -> Outcome {
        self.started.fetch_add(1, Ordering::SeqCst);
        std::future::pending().await
    }
}
