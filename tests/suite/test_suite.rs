//! A whole suite in this process, on free ports and with a data folder of its own.

use std::time::Duration;

use frontdesk::{Server, ServerChannel, Service, Settings};
use frontdesk_auth::DevelopmentKey;
use frontdesk_clock::{Clock, development::FOLLOW_DELAY};
use frontdesk_db::{DatabaseUrl, Db, DbSettings};
use frontdesk_test_servers::free_port;
use frontdesk_testkit::{EventQueue, Mode, new_id, servers, settled};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::Account;

/// The settings of a suite with a data folder of its own, edited by `set`.
fn settings(set: impl FnOnce(&mut Settings)) -> (Settings, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = Settings { data_folder: folder.path().to_owned(), ..Settings::default() };
    settings.telemetry.log = "warn".into();
    // Tests call as fast as they can.
    settings.limits = settings.limits.without_caller_limits();
    set(&mut settings);
    serve_browsers(&mut settings);
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    (settings, folder)
}

/// Gives the suite a listener for browsers, to which attachments are uploaded, unless the test has set one.
fn serve_browsers(settings: &mut Settings) {
    if settings.web.listen.is_some() {
        return;
    }
    let free = std::net::SocketAddr::from(([127, 0, 0, 1], free_port()));
    settings.web.listen = Some(Some(free));
    settings.web.public_url = Some(format!("http://{free}"));
    if settings.attachments.s3.bucket.is_empty() {
        settings.attachments.folder = settings.data_folder.join("attachments");
    }
}

/// Number of replicas of each service in distributed mode.
const REPLICAS: usize = 2;

/// A running suite. In distributed mode it has two replicas of each service, each at an address of its own. It stops
/// when it is dropped, or with [`TestSuite::stop`].
pub struct TestSuite {
    /// Address of the process in embedded mode; of the first replica of the conversation service in distributed mode.
    pub address: String,
    /// Channel to all of its services.
    pub channel: ServerChannel,
    /// Key that signs its tokens.
    pub keys: DevelopmentKey,
    /// Its clock; [`TestSuite::advance`] moves it.
    pub clock: Clock,
    /// Data folder.
    pub folder: tempfile::TempDir,
    /// Settings of its processes.
    pub settings: Settings,
    mode: Mode,
    shutdowns: Vec<CancellationToken>,
    serving: JoinSet<Result<(), frontdesk::ServerError>>,
}

impl TestSuite {
    /// Starts a suite with default settings, in the mode that the environment names.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts a suite whose settings `set` has edited, in the mode that the environment names.
    pub async fn start_with(set: impl FnOnce(&mut Settings)) -> Self {
        Self::start_on(Mode::from_environment(), set).await
    }

    /// Starts a suite in this mode.
    pub async fn start_on(mode: Mode, set: impl FnOnce(&mut Settings)) -> Self {
        let (settings, folder) = settings(set);
        match mode {
            Mode::Embedded => Self::embedded(settings, folder).await,
            Mode::Distributed => Self::distributed(settings, folder, |_, _| {}).await,
        }
    }

    /// Starts a suite in distributed mode whose processes have settings of their own: `set_process` edits those of a
    /// service, and those of commands, for which there is no service.
    pub async fn start_processes(
        set: impl FnOnce(&mut Settings),
        set_process: impl Fn(&mut Settings, Option<Service>),
    ) -> Self {
        let (settings, folder) = settings(set);
        Self::distributed(settings, folder, set_process).await
    }

    async fn embedded(settings: Settings, folder: tempfile::TempDir) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let suite = Server::open(settings.clone(), &Service::ALL).await.expect("a suite");
        let (keys, clock, shutdown) =
            (suite.development_key().cloned().expect("the development key"), suite.clock().clone(), suite.shutdown());
        let mut serving = JoinSet::new();
        serving.spawn(suite.serve(listener));
        let channel = ServerChannel::at(&address).expect("an address");
        let mode = Mode::Embedded;
        Self { address, channel, keys, clock, folder, settings, mode, shutdowns: vec![shutdown], serving }
    }

    async fn distributed(
        mut settings: Settings,
        folder: tempfile::TempDir,
        set_process: impl Fn(&mut Settings, Option<Service>),
    ) -> Self {
        use_test_servers(&mut settings).await;
        set_process(&mut settings, None);
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
        let all = Server::open(settings.clone(), &Service::ALL).await.expect("databases and a broker");
        all.migrate().await.expect("schema and streams");
        let keys = all.development_key().cloned().expect("the development key");
        let (mut shutdowns, mut serving) = (Vec::new(), JoinSet::new());
        for (service, listener) in listeners {
            let address = format!("http://{}", listener.local_addr().expect("an address"));
            let is_first = service == Service::Conversation
                && settings.peers.get(service).split(',').next() == Some(address.as_str());
            let mut settings = settings.clone();
            if !is_first {
                // One replica of conversation has the port for browsers.
                settings.web.listen = Some(None);
            }
            set_process(&mut settings, Some(service));
            let suite = Server::open(settings, &[service]).await.expect("a service");
            shutdowns.push(suite.shutdown());
            serving.spawn(suite.serve(listener));
        }
        let address = settings.peers.conversation.split(',').next().expect("an address").to_owned();
        let channel = ServerChannel::to_peers(&settings).expect("addresses");
        let clock = all.clock().clone();
        Self { address, channel, keys, clock, folder, settings, mode: Mode::Distributed, shutdowns, serving }
    }

    /// A new account.
    pub async fn account(&self) -> Account {
        Account::on(self.channel.clone(), &self.keys, new_id())
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by).expect("a clock that moves");
        if self.mode == Mode::Distributed {
            // The other replicas read the offset from a file.
            std::thread::sleep(FOLLOW_DELAY);
        }
    }

    /// Waits until every event that was appended so far is handled, and every event that its handling appended.
    pub async fn settled(&self) {
        let services = frontdesk::connect_databases(&self.settings, &Service::ALL, &self.clock).await;
        let databases: Vec<Db> = services.expect("the databases").into_iter().map(|(_, db)| db).collect();
        let queue = match self.mode {
            Mode::Embedded => {
                let file = self.settings.data_folder.join("bus.db");
                let url = DatabaseUrl(format!("sqlite://{}", file.display()));
                let bus = Db::connect(&DbSettings { url, ..DbSettings::default() }, &self.clock).await;
                EventQueue::InProcess(bus.expect("the database of the bus"))
            }
            Mode::Distributed => {
                let (url, prefix) = (self.settings.bus.url.clone(), self.settings.bus.prefix.clone());
                EventQueue::Nats { url, prefix }
            }
        };
        settled(&databases, &queue).await;
    }

    /// Stops the suite; returns how long that took.
    pub async fn stop(mut self) -> Duration {
        let began = std::time::Instant::now();
        self.shutdowns.iter().for_each(CancellationToken::cancel);
        while let Some(ended) = self.serving.join_next().await {
            ended.expect("a task without a panic").expect("a stop without an error");
        }
        began.elapsed()
    }
}

/// Sets new databases on the PostgreSQL server of the tests, and a new prefix on the NATS server of the tests, or on the one that
/// is set already.
pub async fn use_test_servers(settings: &mut Settings) {
    let of = &mut settings.databases;
    for database in [&mut of.conversation, &mut of.assignment, &mut of.bot_session, &mut of.notification] {
        database.url = DatabaseUrl(servers::postgres_database().await);
        database.max_connections.get_or_insert(5);
    }
    if settings.bus.url.is_empty() {
        settings.bus.url = servers::nats().await;
    }
    settings.bus.prefix = servers::nats_prefix();
    // The NATS server reserves this for each stream of each test.
    settings.bus.stream_max_bytes = 8 << 20;
}

impl Drop for TestSuite {
    fn drop(&mut self) {
        self.shutdowns.iter().for_each(CancellationToken::cancel);
    }
}
