//! Frontdesk on PostgreSQL and NATS, with the database of the baselines on the same PostgreSQL server.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use frontdesk_auth::CallerKind;
use frontdesk_bench::{messages::Messages, raw::Client};
use frontdesk_proto::conversation::v1::conversation_service_client::ConversationServiceClient;
use frontdesk_test_servers::{Nats, Postgres, free_port};
use sea_orm::sqlx::{self, Connection as _, PgConnection};
use tempfile::TempDir;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use crate::{
    fixture::{self, Tokens},
    process::{Binary, Environment, Process, common_environment},
};

/// The event bus of the deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum BusKind {
    /// NATS JetStream; each service is a process of its own.
    Nats,
    /// The in-process bus; one process runs all services.
    InProcess,
}

/// Number of connections of a client.
pub const CONNECTIONS: usize = 8;
/// Database of the baselines: a copy of the conversation database before the first message.
pub const BASELINE_DATABASE: &str = "limits";
/// Copy of the assignment database for the baselines, before the first agent.
pub const BASELINE_ASSIGNMENT: &str = "limits_assignment";
/// Number of segments of the write-ahead log that exist before the measurement; `min_wal_size` keeps them.
const WAL_SEGMENTS: u32 = 100;
/// How long the outbox may take to drain.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(300);

const SERVICES: [&str; 4] = ["conversation", "assignment", "bot_session", "notification"];

/// A deployment of Frontdesk. Its fields are dropped in this order: the processes stop before the servers.
pub struct Deployment {
    conversation: Vec<Process>,
    assignment: Option<Process>,
    bot_session: Option<Process>,
    notification: Option<Process>,
    /// The NATS server; unused with the in-process bus.
    pub nats: Nats,
    /// The PostgreSQL server.
    pub postgres: Arc<Postgres>,
    /// The kind of bus.
    pub bus: BusKind,
    /// Folder for data, logs and scripts.
    pub folder: TempDir,
    /// The agent's requests.
    pub messages: Arc<Messages>,
    binary: Binary,
    /// Where other processes expect the bot-session service, which is started when it is first needed.
    bot_session_port: u16,
    /// Where other processes expect the notification service, which runs for the rows about mails only.
    notification_port: u16,
    /// Prefix of the names of its databases.
    prefix: String,
    environment: Environment,
    tokens: Tokens,
}

/// A connection whose calls have the agent's token.
pub type AgentChannel = InterceptedService<Channel, Authorization>;
/// Calls of the conversation service.
pub type Inbox = ConversationServiceClient<AgentChannel>;

/// Adds the `authorization` header.
#[derive(Clone)]
pub struct Authorization(MetadataValue<Ascii>);

impl Interceptor for Authorization {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// Opens a connection whose calls have this `authorization` header.
pub async fn connect(address: &str, authorization: &str) -> AgentChannel {
    let channel = Endpoint::from_shared(address.to_owned()).unwrap().connect().await.unwrap();
    InterceptedService::new(channel, Authorization(authorization.parse().unwrap()))
}

impl Deployment {
    /// Starts a deployment of the binary beside this program, with servers of its own.
    pub async fn start(bus: BusKind) -> Self {
        let postgres = Arc::new(Postgres::start().await);
        let deployment = Self::prepare(Binary::beside_this_program(), bus, postgres, "").await;
        let source = deployment.database_name();
        // A copy has the same tables, indexes and rows, whatever the current schema is.
        let copy = format!("CREATE DATABASE {BASELINE_DATABASE} TEMPLATE {source}");
        deployment.postgres.psql("postgres", &copy).await;
        let copy = format!("CREATE DATABASE {BASELINE_ASSIGNMENT} TEMPLATE {}", deployment.database_of("assignment"));
        deployment.postgres.psql("postgres", &copy).await;
        deployment.create_wal_segments().await;
        deployment.serve().await
    }

    /// Gives the server the segments of its write-ahead log, as one that runs for a while has them for reuse. A new server creates
    /// each when it is needed, and commits wait about 50 ms until its 16 MiB are on disk.
    async fn create_wal_segments(&self) {
        self.postgres.psql("postgres", "ALTER SYSTEM SET min_wal_size = '2GB'").await;
        self.postgres.psql("postgres", "SELECT pg_reload_conf()").await;
        for _ in 0..WAL_SEGMENTS {
            // A segment without a record is not switched.
            self.postgres.psql("postgres", "SELECT pg_logical_emit_message(false, 'bench', '')").await;
            self.postgres.psql("postgres", "SELECT pg_switch_wal()").await;
        }
        self.postgres.psql("postgres", "CHECKPOINT").await;
    }

    /// Starts a deployment of this binary. Several deployments can share a PostgreSQL server if their prefixes differ; each has
    /// a NATS server of its own, because the names of its streams are fixed.
    pub async fn start_binary(binary: Binary, postgres: Arc<Postgres>, prefix: &str) -> Self {
        Self::prepare(binary, BusKind::Nats, postgres, prefix).await.serve().await
    }

    /// Creates the databases with their schema and the conversations, and no process yet.
    async fn prepare(mut binary: Binary, bus: BusKind, postgres: Arc<Postgres>, prefix: &str) -> Self {
        let (nats, folder) = (Nats::start().await, tempfile::tempdir().unwrap());
        let mut environment = common_environment(folder.path());
        for service in SERVICES {
            let name = format!("FRONTDESK__DATABASES__{}__URL", service.to_uppercase());
            environment.push((name, postgres.create_database(&format!("{prefix}{service}")).await));
        }
        if bus == BusKind::Nats {
            environment.push(("FRONTDESK__BUS__URL".into(), nats.url()));
        }
        binary.drop_unknown_settings(&environment);
        binary.migrate(&environment);
        let tokens = Tokens::new(folder.path());
        let deployment = Self {
            conversation: Vec::new(),
            assignment: None,
            bot_session: None,
            notification: None,
            bot_session_port: free_port(),
            notification_port: free_port(),
            nats,
            postgres,
            bus,
            folder,
            messages: Messages::new("bench").into(),
            binary,
            prefix: prefix.to_owned(),
            environment,
            tokens,
        };
        let database = deployment.database_name();
        deployment.postgres.psql(&database, &fixture::conversations()).await;
        deployment.postgres.psql(&database, "ANALYZE").await;
        deployment
    }

    /// Starts the processes and creates the agent.
    async fn serve(mut self) -> Self {
        let assignment = match self.bus {
            BusKind::InProcess => self.start_one_process().await,
            BusKind::Nats => self.start_services().await,
        };
        self.tokens.create_agent(&assignment).await;
        self
    }

    /// Starts one process with all services; returns its address.
    async fn start_one_process(&mut self) -> String {
        let process = self.binary.serve("all", self.folder.path(), &self.environment).await;
        let address = process.address.clone();
        self.conversation.push(process);
        address
    }

    /// Starts the conversation service and the assignment service, which it asks for its agents, as processes. Returns the
    /// address of the assignment service.
    async fn start_services(&mut self) -> String {
        // Each process needs the addresses of all services when it starts.
        let [conversation, assignment] = [free_port(), free_port()];
        let ports = [conversation, assignment, self.bot_session_port, self.notification_port];
        for (service, port) in SERVICES.into_iter().zip(ports) {
            let name = format!("FRONTDESK__PEERS__{}", service.to_uppercase());
            self.environment.push((name, format!("http://127.0.0.1:{port}")));
        }
        let (folder, environment) = (self.folder.path(), &self.environment);
        let process = self.binary.serve_on("conversation", conversation, folder, environment).await;
        self.conversation.push(process);
        let process = self.binary.serve_on("assignment", assignment, folder, environment).await;
        self.assignment.insert(process).address.clone()
    }

    /// Address of the first conversation replica.
    pub fn address(&self) -> &str {
        &self.conversation[0].address
    }

    /// Process id of the first conversation replica.
    pub fn pid(&self) -> i32 {
        self.conversation[0].pid()
    }

    /// A client of the first conversation replica.
    pub async fn client(&self) -> Client {
        self.client_of(self.address(), CONNECTIONS).await
    }

    /// A client of all conversation replicas, with as many connections as one of the first.
    pub async fn client_of_all(&self) -> Client {
        let addresses: Vec<String> = self.conversation.iter().map(|replica| replica.address.clone()).collect();
        Client::connect(&addresses, CONNECTIONS / addresses.len(), &self.tokens.agent()).await.unwrap()
    }

    /// A client of the server at this address, with the agent's token.
    pub async fn client_of(&self, address: &str, connections: usize) -> Client {
        Client::connect(&[address.to_owned()], connections, &self.tokens.agent()).await.unwrap()
    }

    /// Address of the second conversation replica, which is started when it is first needed. With the in-process bus it is the
    /// only one.
    pub async fn second_replica(&mut self) -> String {
        if self.bus == BusKind::Nats && self.conversation.len() < 2 {
            let replica = self.binary.serve("conversation", self.folder.path(), &self.environment).await;
            self.conversation.push(replica);
        }
        self.conversation.last().unwrap().address.clone()
    }

    /// Starts another conversation replica, which ends when it is dropped. Not with the in-process bus, which one process has.
    pub async fn new_replica(&self) -> Process {
        self.binary.serve("conversation", self.folder.path(), &self.environment).await
    }

    /// Starts the bot-session service. With the in-process bus it runs already.
    pub async fn start_bot_session(&mut self) {
        if self.bus == BusKind::Nats && self.bot_session.is_none() {
            let (port, folder) = (self.bot_session_port, self.folder.path());
            let process = self.binary.serve_on("bot-session", port, folder, &self.environment).await;
            self.bot_session = Some(process);
        }
    }

    /// Starts the bot-session service anew. Not with the in-process bus, with which one process runs all services.
    pub async fn restart_bot_session(&mut self) {
        if let Some(process) = self.bot_session.take() {
            // The next one takes its port.
            process.kill().await;
        }
        self.start_bot_session().await;
    }

    /// Starts the notification service with further settings; returns its address. Not with the in-process bus.
    pub async fn start_notification(&mut self, settings: Environment) -> String {
        let environment: Environment = self.environment.iter().cloned().chain(settings).collect();
        let (port, folder) = (self.notification_port, self.folder.path());
        let process = self.binary.serve_on("notification", port, folder, &environment).await;
        self.notification.insert(process).address.clone()
    }

    /// Process id of the notification service.
    ///
    /// # Panics
    /// If it was not started.
    pub fn notification_pid(&self) -> i32 {
        self.notification.as_ref().unwrap().pid()
    }

    /// Ends the notification service.
    pub async fn stop_notification(&mut self) {
        if let Some(process) = self.notification.take() {
            process.kill().await;
        }
    }

    /// Process id of the bot-session service.
    ///
    /// # Panics
    /// If it was not started.
    pub fn bot_session_pid(&self) -> i32 {
        self.bot_session.as_ref().unwrap().pid()
    }

    /// The agent's calls of the conversation service, over one connection.
    pub async fn inbox(&self) -> Inbox {
        ConversationServiceClient::new(self.channel_to(self.address()).await)
    }

    /// A connection of the agent to the server at this address.
    pub async fn channel_to(&self, address: &str) -> AgentChannel {
        connect(address, &self.tokens.agent()).await
    }

    /// A connection of this caller, whose token has this mail address, to the first conversation replica.
    pub async fn channel_of(&self, kind: CallerKind, subject: &str, email: Option<&str>) -> AgentChannel {
        connect(self.address(), &self.tokens.caller(kind, subject, email)).await
    }

    /// The `authorization` header of this visitor.
    pub fn visitor(&self, visitor: &str) -> String {
        self.tokens.caller(CallerKind::Visitor, visitor, None)
    }

    fn database_name(&self) -> String {
        self.database_of("conversation")
    }

    /// Name of the database of this service.
    pub fn database_of(&self, service: &str) -> String {
        format!("{}{service}", self.prefix)
    }

    /// A connection to the conversation database.
    pub async fn database(&self) -> PgConnection {
        PgConnection::connect(&self.postgres.url(&self.database_name())).await.unwrap()
    }

    /// Runs a statement in the conversation database.
    pub async fn execute(&self, statement: &str) {
        self.postgres.psql(&self.database_name(), statement).await;
    }

    /// Marks all entries as indexed, so that the worker that indexes them for searches takes no time of a measurement. Searches do not
    /// find those that it has not come to.
    pub async fn mark_indexed(&self) {
        // The lock lets a transaction of the worker end first, which also writes marks.
        self.execute(
            "BEGIN; LOCK TABLE search_marks IN EXCLUSIVE MODE;
            INSERT INTO search_marks (conversation_id, account_id, sequence)
            SELECT id, account_id, last_sequence FROM conversations WHERE last_sequence > 0
            ON CONFLICT (conversation_id) DO UPDATE SET sequence = excluded.sequence; COMMIT",
        )
        .await;
    }

    /// Checks that every thread is numbered without a gap, so that all acknowledged messages are stored.
    ///
    /// # Panics
    /// If a thread has a gap.
    pub async fn assert_no_gaps(&self) {
        let gaps = "SELECT count(*) FROM conversations WHERE last_sequence <>
            (SELECT count(*) FROM entries WHERE conversation_id = conversations.id)";
        assert_eq!(self.postgres.psql(&self.database_name(), gaps).await, "0", "conversations with gaps");
    }

    /// Waits until the outbox is published; returns how long that took.
    ///
    /// # Panics
    /// If it takes longer than [`DRAIN_TIMEOUT`].
    pub async fn drain_outbox(&self, database: &mut PgConnection) -> Duration {
        let began = Instant::now();
        // The commits before this table mark each event instead.
        let has_progress = sqlx::query_scalar::<_, bool>("SELECT to_regclass('outbox_progress') IS NOT NULL");
        let has_unpublished = match has_progress.fetch_one(&mut *database).await.unwrap() {
            true => {
                "SELECT EXISTS (SELECT 1 FROM outbox_events WHERE position > (SELECT settled_to FROM outbox_progress))"
            }
            false => "SELECT EXISTS (SELECT 1 FROM outbox_events WHERE published_at IS NULL)",
        };
        while sqlx::query_scalar::<_, bool>(has_unpublished).fetch_one(&mut *database).await.unwrap() {
            assert!(began.elapsed() < DRAIN_TIMEOUT, "the outbox does not drain");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        began.elapsed()
    }
}
