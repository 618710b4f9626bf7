//! The suite on PostgreSQL and NATS, with the database of the limits beside it on the same server.

use std::time::{Duration, Instant};

use frontdesk_test_servers::{Nats, Postgres};
use sea_orm::sqlx::{self, Connection as _, PgConnection};
use tempfile::TempDir;

use crate::{
    fixture::{self, Tokens},
    messages::Messages,
    process::{Process, migrate},
    raw::Client,
};

/// How events travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum BusKind {
    /// Over NATS JetStream, the services in processes of their own.
    Nats,
    /// Within one process that serves all.
    InProcess,
}

/// Clients connect so many times.
pub const CONNECTIONS: usize = 8;
/// The database that limits are measured in: the conversation database as it was before the first message.
pub const LIMITS: &str = "limits";

const SERVICES: [&str; 4] = ["conversation", "assignment", "bot_session", "notification"];

/// The suite, its servers and a client. Fields end in this order.
pub struct Suite {
    conversation: Vec<Process>,
    others: Vec<Process>,
    /// NATS, unless the bus is within the process.
    pub nats: Nats,
    /// PostgreSQL.
    pub postgres: Postgres,
    /// The bus.
    pub bus: BusKind,
    /// For logs and scripts.
    pub folder: TempDir,
    /// The agent's requests.
    pub messages: std::sync::Arc<Messages>,
    environment: Vec<(String, String)>,
    tokens: Tokens,
}

impl Suite {
    /// Starts everything.
    pub async fn start(bus: BusKind) -> Self {
        let (postgres, nats) = (Postgres::start().await, Nats::start().await);
        let folder = tempfile::tempdir().unwrap();
        let mut environment = vec![
            ("FRONTDESK__DATA_FOLDER".into(), folder.path().display().to_string()),
            ("FRONTDESK__TELEMETRY__LOG".into(), "warn".into()),
        ];
        for service in SERVICES {
            let name = format!("FRONTDESK__DATABASES__{}__URL", service.to_uppercase());
            environment.push((name, postgres.create_database(service).await));
        }
        if bus == BusKind::Nats {
            environment.push(("FRONTDESK__BUS__URL".into(), nats.url()));
        }
        migrate(&environment);
        postgres.psql("conversation", &fixture::conversations()).await;
        postgres.psql("conversation", "ANALYZE").await;
        // A copy: the same tables, indexes and rows, whatever the schema is today.
        postgres.psql("postgres", &format!("CREATE DATABASE {LIMITS} TEMPLATE conversation")).await;

        let mut suite = Self {
            conversation: Vec::new(),
            others: Vec::new(),
            nats,
            postgres,
            bus,
            messages: Messages::new("bench").into(),
            environment,
            tokens: Tokens::of(folder.path()),
            folder,
        };
        let assignment = match bus {
            BusKind::InProcess => {
                suite.conversation.push(Process::serve("all", suite.folder.path(), &suite.environment).await);
                suite.conversation[0].address.clone()
            }
            BusKind::Nats => suite.start_apart().await,
        };
        suite.tokens.enrol(&assignment).await;
        suite
    }

    /// Conversation and the assignment that it asks for its agents, each as a process. Gives assignment's address.
    async fn start_apart(&mut self) -> String {
        // Each must know the other's address before it starts.
        let [conversation, assignment] = [frontdesk_test_servers::free_port(), frontdesk_test_servers::free_port()];
        let nobody = format!("http://127.0.0.1:{}", frontdesk_test_servers::free_port());
        let at = |port: u16| format!("http://127.0.0.1:{port}");
        for (peer, address) in [
            ("CONVERSATION", at(conversation)),
            ("ASSIGNMENT", at(assignment)),
            ("BOT_SESSION", nobody.clone()),
            ("NOTIFICATION", nobody),
        ] {
            self.environment.push((format!("FRONTDESK__PEERS__{peer}"), address));
        }
        let (folder, environment) = (self.folder.path(), &self.environment);
        let started = Process::serve_on("conversation", conversation, folder, environment).await;
        self.conversation.push(started);
        let started = Process::serve_on("assignment", assignment, folder, environment).await;
        let address = started.address.clone();
        self.others.push(started);
        address
    }

    /// A client of the first conversation replica.
    pub async fn client(&self) -> Client {
        self.client_of(&self.conversation[0].address, CONNECTIONS).await
    }

    /// A client with the agent's token.
    pub async fn client_of(&self, address: &str, connections: usize) -> Client {
        Client::connect(address, connections, &self.tokens.agent()).await
    }

    /// The second conversation replica, started when it is first asked for. Within one process it is the first.
    pub async fn second_replica(&mut self) -> String {
        if self.bus == BusKind::Nats && self.conversation.len() < 2 {
            let replica = Process::serve("conversation", self.folder.path(), &self.environment).await;
            self.conversation.push(replica);
        }
        self.conversation.last().unwrap().address.clone()
    }

    /// A connection to the conversation database.
    pub async fn database(&self) -> PgConnection {
        PgConnection::connect(&self.postgres.url("conversation")).await.unwrap()
    }

    /// The figures count only if what was acknowledged is there, numbered without a gap.
    pub async fn assert_dense(&self) {
        let gaps = "SELECT count(*) FROM conversations WHERE last_sequence <>
            (SELECT count(*) FROM entries WHERE conversation_id = conversations.id)";
        assert_eq!(self.postgres.psql("conversation", gaps).await, "0", "conversations with gaps");
    }

    /// Waits until the outbox is published; how long that took.
    pub async fn drained(&self, database: &mut PgConnection) -> Duration {
        let began = Instant::now();
        let waiting = "SELECT EXISTS (SELECT 1 FROM outbox_events WHERE published_at IS NULL)";
        while sqlx::query_scalar::<_, bool>(waiting).fetch_one(&mut *database).await.unwrap() {
            assert!(began.elapsed() < Duration::from_secs(300), "the outbox does not drain");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        began.elapsed()
    }
}
