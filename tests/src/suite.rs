//! A whole suite in this process, on port 0 and a folder of its own.

use std::time::Duration;

use frontdesk::{Settings, Suite};
use frontdesk_auth::Keys;
use frontdesk_clock::Clock;
use frontdesk_db::DatabaseUrl;
use sea_orm::ConnectionTrait;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::Account;

/// A running suite; it ends when it is dropped, or with [`TestSuite::stop`].
pub struct TestSuite {
    /// Where it listens.
    pub address: String,
    /// The key that signs its tokens.
    pub keys: Keys,
    /// Its clock, which the test moves.
    pub clock: Clock,
    /// Its data folder.
    pub folder: tempfile::TempDir,
    shutdown: CancellationToken,
    serving: JoinHandle<Result<(), frontdesk::SuiteError>>,
}

impl TestSuite {
    /// A suite with default settings.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// A suite with settings of the test's.
    pub async fn start_with(set: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = Settings { data_folder: folder.path().to_owned(), ..Settings::default() };
        settings.telemetry.log = "warn".into();
        if let Ok(server) = std::env::var("FRONTDESK_TEST_POSTGRES") {
            on_postgres(&mut settings, &server).await;
        }
        set(&mut settings);
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let suite = Suite::open(settings).await.expect("a suite");
        let (keys, clock, shutdown) = (suite.keys().clone(), suite.clock().clone(), suite.shutdown());
        let serving = tokio::spawn(suite.serve(listener));
        Self { address, keys, clock, folder, shutdown, serving }
    }

    /// A new account on it.
    pub async fn account(&self) -> Account {
        Account::open(&self.address, &self.keys, uuid::Uuid::now_v7()).await
    }

    /// Moves the suite's clock forward.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by).expect("a clock that moves");
    }

    /// Stops it and says how long that took.
    pub async fn stop(mut self) -> Duration {
        let began = std::time::Instant::now();
        self.shutdown.cancel();
        (&mut self.serving).await.expect("no panic").expect("a clean end");
        began.elapsed()
    }
}

/// The same suite on the PostgreSQL server that the environment names, with databases of its own.
async fn on_postgres(settings: &mut Settings, server: &str) {
    let admin =
        sea_orm::Database::connect(format!("{server}/postgres")).await.expect("the server of FRONTDESK_TEST_POSTGRES");
    let suite = uuid::Uuid::now_v7().simple().to_string();
    let of = &mut settings.databases;
    let databases = [&mut of.conversation, &mut of.assignment, &mut of.bot_session, &mut of.notification];
    for (number, database) in databases.into_iter().enumerate() {
        let name = format!("t{suite}_{number}");
        admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.expect("a database");
        database.url = DatabaseUrl(format!("{server}/{name}"));
        database.max_connections = Some(5);
    }
}

impl Drop for TestSuite {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
