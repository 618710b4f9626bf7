//! A whole suite in this process, on port 0 and a folder of its own.

use std::time::Duration;

use frontdesk::{Service, Settings, Suite, SuiteChannel};
use frontdesk_auth::Keys;
use frontdesk_clock::Clock;
use frontdesk_db::DatabaseUrl;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{Account, servers};

/// What a suite stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Footing {
    /// SQLite files and the bus within the process, all services at one address.
    Embedded,
    /// PostgreSQL and NATS, two replicas of each service, each at an address of its own.
    Distributed,
}

impl Footing {
    /// `FRONTDESK_TEST_FOOTING`; embedded, if it is not set.
    pub fn of_the_environment() -> Self {
        match std::env::var("FRONTDESK_TEST_FOOTING").as_deref() {
            Ok("distributed") => Self::Distributed,
            Ok("embedded") | Err(_) => Self::Embedded,
            Ok(other) => panic!("FRONTDESK_TEST_FOOTING is {other}: it must be embedded or distributed"),
        }
    }
}

const REPLICAS: usize = 2;

/// A running suite; it ends when it is dropped, or with [`TestSuite::stop`].
pub struct TestSuite {
    /// Where it listens, on the embedded footing; on the distributed one the first replica of the conversation service.
    pub address: String,
    /// The way to all of its services.
    pub channel: SuiteChannel,
    /// The key that signs its tokens.
    pub keys: Keys,
    /// Its clock, which the test moves.
    pub clock: Clock,
    /// Its data folder.
    pub folder: tempfile::TempDir,
    /// The settings of all of its processes.
    pub settings: Settings,
    footing: Footing,
    shutdowns: Vec<CancellationToken>,
    serving: JoinSet<Result<(), frontdesk::SuiteError>>,
}

impl TestSuite {
    /// A suite with default settings, on the footing that the environment names.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// A suite with settings of the test's.
    pub async fn start_with(set: impl FnOnce(&mut Settings)) -> Self {
        Self::start_on(Footing::of_the_environment(), set).await
    }

    /// A suite on this footing.
    pub async fn start_on(footing: Footing, set: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = Settings { data_folder: folder.path().to_owned(), ..Settings::default() };
        settings.telemetry.log = "warn".into();
        // A test calls as fast as it can.
        settings.limits = settings.limits.without_caller_limits();
        set(&mut settings);
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        match footing {
            Footing::Embedded => Self::embedded(settings, folder).await,
            Footing::Distributed => Self::distributed(settings, folder).await,
        }
    }

    async fn embedded(settings: Settings, folder: tempfile::TempDir) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let suite = Suite::open(settings.clone(), &Service::ALL).await.expect("a suite");
        let (keys, clock, shutdown) =
            (suite.keys().cloned().expect("the development key"), suite.clock().clone(), suite.shutdown());
        let mut serving = JoinSet::new();
        serving.spawn(suite.serve(listener));
        let channel = SuiteChannel::at(&address).expect("an address");
        let footing = Footing::Embedded;
        Self { address, channel, keys, clock, folder, settings, footing, shutdowns: vec![shutdown], serving }
    }

    async fn distributed(mut settings: Settings, folder: tempfile::TempDir) -> Self {
        on_servers(&mut settings).await;
        let mut listeners = Vec::new();
        for service in Service::ALL {
            let mut addresses = Vec::new();
            for _ in 0..REPLICAS {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                addresses.push(format!("http://{}", listener.local_addr().expect("an address")));
                listeners.push((service, listener));
            }
            *match service {
                Service::Conversation => &mut settings.peers.conversation,
                Service::Assignment => &mut settings.peers.assignment,
                Service::BotSession => &mut settings.peers.bot_session,
                Service::Notification => &mut settings.peers.notification,
            } = addresses.join(",");
        }
        let all = Suite::open(settings.clone(), &Service::ALL).await.expect("databases and a broker");
        all.migrate().await.expect("schema and streams");
        let keys = all.keys().cloned().expect("the development key");
        let (mut shutdowns, mut serving) = (Vec::new(), JoinSet::new());
        for (service, listener) in listeners {
            let suite = Suite::open(settings.clone(), &[service]).await.expect("a service");
            shutdowns.push(suite.shutdown());
            serving.spawn(suite.serve(listener));
        }
        let address = settings.peers.conversation.split(',').next().expect("an address").to_owned();
        let channel = SuiteChannel::to_peers(&settings).expect("addresses");
        let clock = all.clock().clone();
        Self { address, channel, keys, clock, folder, settings, footing: Footing::Distributed, shutdowns, serving }
    }

    /// A new account on it.
    pub async fn account(&self) -> Account {
        Account::on(self.channel.clone(), &self.keys, uuid::Uuid::now_v7())
    }

    /// Moves the suite's clock forward.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by).expect("a clock that moves");
        if self.footing == Footing::Distributed {
            // The replicas follow a file.
            std::thread::sleep(frontdesk_clock::FOLLOWED_WITHIN);
        }
    }

    /// Stops it and says how long that took.
    pub async fn stop(mut self) -> Duration {
        let began = std::time::Instant::now();
        self.shutdowns.iter().for_each(CancellationToken::cancel);
        while let Some(ended) = self.serving.join_next().await {
            ended.expect("no panic").expect("a clean end");
        }
        began.elapsed()
    }
}

/// Databases of its own on the PostgreSQL server of the tests, and a prefix of its own on the NATS server.
pub async fn on_servers(settings: &mut Settings) {
    let of = &mut settings.databases;
    for database in [&mut of.conversation, &mut of.assignment, &mut of.bot_session, &mut of.notification] {
        database.url = DatabaseUrl(servers::postgres_database().await);
        database.max_connections.get_or_insert(5);
    }
    settings.bus.url = servers::nats().await;
    settings.bus.prefix = servers::nats_prefix();
    // The broker sets it aside for each stream of each test.
    settings.bus.stream_max_bytes = 8 << 20;
}

impl Drop for TestSuite {
    fn drop(&mut self) {
        self.shutdowns.iter().for_each(CancellationToken::cancel);
    }
}
