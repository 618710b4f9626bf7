//! What a promise is tried on: databases and a bus that can be opened again on what they kept.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use frontdesk_bus::{Bus, BusSettings, Consumer, DEAD_LETTERS, Outcome};
use frontdesk_clock::Clock;
use frontdesk_db::{DatabaseUrl, Db, DbSettings, Sql, migrate};
use frontdesk_outbox::{OUTBOX, OUTBOX_LEADER_AND_STREAM};
use frontdesk_proto::event::v1::Event;
use frontdesk_tests::servers;
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// The service whose events they are.
pub const SOURCE: &str = "test";

pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(OUTBOX),
            Box::new(frontdesk_idempotency::REQUESTS),
            Box::new(DEAD_LETTERS),
            Box::new(OUTBOX_LEADER_AND_STREAM),
            Box::new(Sql {
                name: "test_001_walls",
                text: "{row_level_security outbox_events} {row_level_security requests}",
            }),
        ]
    }
}

enum Kind {
    Embedded(tempfile::TempDir),
    Distributed { database: String, bus: BusSettings },
}

pub struct Rig {
    kind: Kind,
    pub clock: Clock,
}

impl Rig {
    pub fn embedded() -> Self {
        Self { kind: Kind::Embedded(tempfile::tempdir().unwrap()), clock: Clock::system() }
    }

    pub async fn distributed() -> Self {
        Self::with_broker(servers::nats().await).await
    }

    /// With a broker that the test may kill.
    pub async fn with_broker(url: String) -> Self {
        let prefix = servers::nats_prefix();
        let bus = BusSettings { url, prefix, stream_max_bytes: 8 << 20, ..BusSettings::default() };
        let database = servers::postgres_database().await;
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Self { kind: Kind::Distributed { database, bus }, clock: Clock::system() }
    }

    /// On a PostgreSQL database that the test looks into, and without a broker.
    pub fn on(database: &str) -> Self {
        let kind = Kind::Distributed { database: database.into(), bus: BusSettings::default() };
        Self { kind, clock: Clock::system() }
    }

    /// Where its broker is.
    pub fn bus_settings(&self) -> BusSettings {
        match &self.kind {
            Kind::Embedded(_) => BusSettings::default(),
            Kind::Distributed { bus, .. } => bus.clone(),
        }
    }

    pub fn is_distributed(&self) -> bool {
        matches!(self.kind, Kind::Distributed { .. })
    }

    /// The service's database, without a schema. Opened again it is the same one.
    pub async fn empty_db(&self) -> Db {
        let url = match &self.kind {
            Kind::Embedded(folder) => format!("sqlite://{}", folder.path().join("service.db").display()),
            Kind::Distributed { database, .. } => database.clone(),
        };
        self.connect(url).await
    }

    async fn connect(&self, url: String) -> Db {
        let settings = DbSettings { url: DatabaseUrl(url), max_connections: Some(8) };
        Db::connect(&settings, &self.clock).await.unwrap()
    }

    /// The service's database.
    pub async fn db(&self) -> Db {
        let db = self.empty_db().await;
        migrate::<Migrator>(&db).await.unwrap();
        db
    }

    /// The bus. Opened again it goes on with what it kept.
    pub async fn bus(&self) -> Bus {
        match &self.kind {
            Kind::Embedded(folder) => {
                let db = self.connect(format!("sqlite://{}", folder.path().join("bus.db").display())).await;
                Bus::in_process(db, &self.clock).await.unwrap()
            }
            Kind::Distributed { bus, .. } => Bus::jet_stream(bus.clone(), &self.clock).await.unwrap(),
        }
    }
}

/// Runs the bus.
pub fn run(bus: &Bus) -> (CancellationToken, JoinHandle<()>) {
    let (shutdown, bus) = (CancellationToken::new(), bus.clone());
    let token = shutdown.clone();
    (shutdown, tokio::spawn(async move { bus.run(token).await }))
}

/// A bus that has what it needs for its consumers, and runs.
pub async fn ready(bus: &Bus) -> (CancellationToken, JoinHandle<()>) {
    // The connection may still be on its way.
    until("the broker", || async { bus.prepare(&[SOURCE]).await.is_ok() }).await;
    run(bus)
}

pub fn event(kind: &str) -> Event {
    let aggregate_id = frontdesk_clock::testing::new_id().to_string();
    Event {
        id: frontdesk_clock::testing::new_id().to_string(),
        r#type: kind.into(),
        source: SOURCE.into(),
        aggregate_id,
        ..Event::default()
    }
}

/// Publishes all, or fails.
pub async fn publish(bus: &Bus, events: &[Event]) {
    for result in bus.publish(events).await {
        result.unwrap();
    }
}

/// Asks until it is so.
pub async fn until<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting)
        .await
        .unwrap_or_else(|_| panic!("waited in vain for {what}"));
}

type Handler = dyn Fn(&str, usize) -> Outcome + Send + Sync;

/// Counts how often it got each event, and answers as told.
#[derive(Clone)]
pub struct Recorder {
    name: &'static str,
    pub seen: Arc<Mutex<HashMap<String, usize>>>,
    changed: Arc<Notify>,
    answer: Arc<Handler>,
}

impl Recorder {
    pub fn new(name: &'static str, answer: impl Fn(&str, usize) -> Outcome + Send + Sync + 'static) -> Self {
        Self { name, seen: Arc::default(), changed: Arc::default(), answer: Arc::new(answer) }
    }

    pub async fn until(&self, what: &str, done: impl Fn(&HashMap<String, usize>) -> bool) {
        let waiting = async {
            while !done(&self.seen.lock().unwrap()) {
                self.changed.notified().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waiting)
            .await
            .unwrap_or_else(|_| panic!("waited in vain for {what}: {:?}", self.seen.lock().unwrap().len()));
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
        let times = {
            let mut seen = self.seen.lock().unwrap();
            let times = seen.entry(event.id.clone()).or_default();
            *times += 1;
            *times
        };
        self.changed.notify_one();
        (self.answer)(&event.id, times)
    }
}
