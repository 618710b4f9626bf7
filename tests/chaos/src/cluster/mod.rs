//! The whole installation that is tormented: PostgreSQL, NATS, a mail server, and two replicas of each service as processes,
//! with a proxy of ours on every edge between them. All of it ends with this process.

mod replica;

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use frontdesk_auth::DevelopmentKey;
use frontdesk_clock::Clock;
use frontdesk_test_servers::{NO_LIMITS_OF_CALLERS, Nats, Postgres, ROLE};

pub use replica::{Replica, Service};

use crate::{
    proxy::{Proxy, Reads},
    sink::Sink,
};

/// Replicas of each service.
pub const REPLICAS: usize = 2;

/// Why the installation cannot be started.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The installation.
pub struct Cluster {
    /// The database server.
    pub postgres: Postgres,
    /// The broker.
    pub nats: Nats,
    /// The mail server.
    pub sink: Sink,
    /// The replicas: service by service.
    pub replicas: Vec<Replica>,
    /// Each service's way to the database.
    pub to_postgres: Vec<Proxy>,
    /// Each service's way to the broker.
    pub to_nats: Vec<Proxy>,
    /// The notification service's way to the mail server.
    pub to_smtp: Proxy,
    /// When the driver's clock began.
    pub began: Instant,
    folder: PathBuf,
    logs: PathBuf,
    /// Kept on a short path: the replicas' data, keys and clock.
    data: tempfile::TempDir,
}

impl Cluster {
    /// Starts everything; logs go to `folder`.
    pub async fn start(folder: &Path, seed: u64) -> Result<Self, Failure> {
        let began = Instant::now();
        let logs = folder.join("logs");
        std::fs::create_dir_all(&logs)?;
        let (postgres, nats) = tokio::join!(Postgres::start(), Nats::start());
        let sink = Sink::start(&folder.join("mails.jsonl"), began).await?;
        let mut edge = seed;
        let mut number = || {
            edge = edge.wrapping_add(1);
            edge
        };
        let (mut to_postgres, mut to_nats) = (Vec::new(), Vec::new());
        for service in Service::ALL {
            postgres.create_database(service.database()).await;
            to_postgres.push(Proxy::start(postgres.port, Reads::Postgres, number()).await?);
            to_nats.push(Proxy::start(nats.port, Reads::Nats, number()).await?);
        }
        let to_smtp = Proxy::start(sink.port, Reads::Bytes, number()).await?;
        let mut cluster = Self {
            postgres,
            nats,
            sink,
            replicas: Vec::new(),
            to_postgres,
            to_nats,
            to_smtp,
            began,
            folder: folder.to_owned(),
            logs,
            data: tempfile::tempdir()?,
        };
        cluster.keys()?;
        cluster.start_replicas().await?;
        Ok(cluster)
    }

    async fn start_replicas(&mut self) -> Result<(), Failure> {
        let ports: Vec<u16> = (0..Service::ALL.len() * REPLICAS).map(|_| free_port()).collect();
        let environment = self.environment(&ports);
        let migrated = tokio::process::Command::new(binary()?)
            .arg("migrate")
            .envs(environment[0].iter().cloned())
            .stderr(std::fs::File::create(self.logs.join("migrate.log"))?)
            .stdout(std::process::Stdio::null())
            .status()
            .await?;
        if !migrated.success() {
            return Err(
                format!("frontdesk migrate: {}", std::fs::read_to_string(self.logs.join("migrate.log"))?).into()
            );
        }
        for (index, service) in Service::ALL.iter().enumerate() {
            for number in 0..REPLICAS {
                let place = index * REPLICAS + number;
                let log = self.logs.join(format!("{}-{}.log", service.name(), number + 1));
                self.replicas.push(Replica::new(
                    *service,
                    number,
                    ports[place],
                    environment[place].clone(),
                    log,
                    binary()?,
                ));
            }
        }
        let starting = self.replicas.iter_mut().map(Replica::start);
        for started in futures::future::join_all(starting).await {
            started?;
        }
        Ok(())
    }

    /// The environment of each replica.
    fn environment(&self, ports: &[u16]) -> Vec<Vec<(String, String)>> {
        let mut shared: Vec<(String, String)> = Vec::new();
        let mut set = |name: &str, value: String| shared.push((format!("FRONTDESK__{name}"), value));
        set("DATA_FOLDER", self.data.path().display().to_string());
        for (index, service) in Service::ALL.iter().enumerate() {
            let url = format!("postgres://{ROLE}@127.0.0.1:{}/{}", self.to_postgres[index].port, service.database());
            set(&format!("DATABASES__{}__URL", service.setting()), url);
            let of_service = &ports[index * REPLICAS..(index + 1) * REPLICAS];
            let peers: Vec<String> = of_service.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
            set(&format!("PEERS__{}", service.setting()), peers.join(","));
        }
        set("NOTIFICATION__SMTP__HOST", "127.0.0.1".into());
        set("NOTIFICATION__SMTP__PORT", self.to_smtp.port.to_string());
        set("NOTIFICATION__SMTP__TLS", "none".into());
        set("NOTIFICATION__SMTP__TIMEOUT", "2s".into());
        set("NOTIFICATION__RETRY_PAUSE", "100ms".into());
        // The limits are for people; the workload is many of them.
        for limit in ["ACCOUNT", "AGENT", "RECIPIENT"] {
            set(&format!("NOTIFICATION__MANUAL_PER_{limit}_PER_HOUR"), "1000000".into());
        }
        set("TELEMETRY__LOG", std::env::var("FRONTDESK_CHAOS_LOG").unwrap_or_else(|_| "info,sqlx=warn".into()));
        shared.extend(NO_LIMITS_OF_CALLERS.map(|(name, value)| (name.into(), value.into())));
        (0..ports.len())
            .map(|place| {
                let mut environment = shared.clone();
                let broker = self.to_nats[place / REPLICAS].port;
                environment.push(("FRONTDESK__BUS__URL".into(), format!("nats://127.0.0.1:{broker}")));
                environment.push(("FRONTDESK__LISTEN".into(), format!("127.0.0.1:{}", ports[place])));
                environment
            })
            .collect()
    }

    /// The key that signs tokens.
    pub fn keys(&self) -> Result<DevelopmentKey, Failure> {
        let clock = frontdesk_clock::development::clock_from_file(&self.data.path().join("clock-offset"))?;
        Ok(DevelopmentKey::load_or_create(&self.data.path().join("development.key"), &clock)?)
    }

    /// How far the installation's clock was moved, in microseconds.
    pub fn clock_offset(&self) -> i64 {
        let file = std::fs::read_to_string(self.data.path().join("clock-offset")).unwrap_or_default();
        file.trim().parse().unwrap_or(0)
    }

    /// The replicas of a service.
    pub fn replicas_of(&self, service: Service) -> impl Iterator<Item = &Replica> {
        self.replicas.iter().filter(move |replica| replica.service == service)
    }

    /// Where this service stands among the edges.
    pub fn edge(service: Service) -> usize {
        Service::ALL.iter().position(|other| *other == service).unwrap_or_default()
    }

    /// Where the logs of all processes are.
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// Where the run keeps its files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes everything whole again: proxies pass, the mail server accepts, whoever was killed or paused runs.
    pub async fn heal(&mut self) -> Result<(), Failure> {
        self.to_postgres.iter().chain(&self.to_nats).chain([&self.to_smtp]).for_each(Proxy::heal);
        self.sink.heal();
        for replica in &mut self.replicas {
            replica.resume();
            replica.environment_as_usual().await?;
            if !replica.runs() {
                replica.start().await?;
            }
        }
        Ok(())
    }

    /// How often commits were cut and acknowledgements lost.
    pub fn struck(&self) -> u64 {
        self.to_postgres.iter().chain(&self.to_nats).map(Proxy::struck).sum()
    }

    /// Copies the servers' logs beside the others.
    pub fn keep_logs(&self) {
        for (name, log) in [("postgres", self.postgres.log()), ("nats", self.nats.log())] {
            let _ = std::fs::copy(log, self.logs.join(format!("{name}.log")));
        }
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// The binary that the workspace built, beside ours.
pub fn binary() -> Result<PathBuf, Failure> {
    let ours = std::env::current_exe()?;
    let beside = ours.ancestors().skip(1).take(2).map(|folder| folder.join("frontdesk"));
    let mut there = beside.filter(|path| path.is_file());
    there.next().ok_or_else(|| "there is no frontdesk binary beside this one: build the workspace first".into())
}
