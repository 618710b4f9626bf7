//! The installation under test: PostgreSQL, NATS, a mail sink, and two replicas of each service as processes, with a proxy
//! between each service and each server. All of it ends with this process.

mod call_counts;
mod replica;
mod settings;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use frontdesk_auth::DevelopmentKey;
use frontdesk_clock::Clock;
use frontdesk_test_servers::{Nats, Postgres, ROLE, free_port, leave_out_unknown_settings};

pub use call_counts::{CallCounts, Counted};
pub use replica::{Replica, Service};
pub use settings::settings_of_the_workload;

use crate::{
    mail_sink::MailSink,
    proxy::{Protocol, Proxy},
};

/// Number of replicas of each service.
pub const REPLICAS: usize = 2;

/// Address that begins the links to files. Nothing listens there: callers send the rest to the replica that they choose.
pub const PUBLIC_URL: &str = "http://files.test";

/// How long the bytes of an attachment are awaited, and how long one that is not sent is kept.
pub const KEEP_UNSENT: Duration = Duration::from_secs(600);

/// Maximum duration of one step of the exchange with the mail server.
pub const SMTP_TIMEOUT: Duration = Duration::from_secs(2);

/// Maximum duration from the end of a mail to the mail server's response.
pub const SMTP_ACCEPTANCE_TIMEOUT: Duration = Duration::from_secs(4);

/// An error of the test program itself.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The installation.
pub struct Cluster {
    /// The database server.
    pub postgres: Postgres,
    /// The broker.
    pub nats: Nats,
    /// The mail server.
    pub mail_sink: MailSink,
    /// The replicas, ordered by service.
    pub replicas: Vec<Replica>,
    /// Further replicas, which neither peers nor callers know: they do the work that all replicas of a service share.
    further: Vec<Replica>,
    /// Proxy to the database for each service.
    pub to_postgres: Vec<Proxy>,
    /// Proxy to the broker for each service.
    pub to_nats: Vec<Proxy>,
    /// The notification service's proxy to the mail sink.
    pub to_smtp: Proxy,
    /// Ports of the conversation replicas' listeners for browsers.
    pub web_ports: Vec<u16>,
    /// Zero of the driver's clock.
    pub began: Instant,
    /// Binary that the replicas were started with first.
    pub binary: PathBuf,
    logs: PathBuf,
    /// The replicas' data folder with their key and clock. A temporary folder: its path must be short.
    data: tempfile::TempDir,
}

impl Cluster {
    /// Starts the installation; it writes its logs into `folder`.
    pub async fn start(folder: &Path, seed: u64) -> Result<Self, Failure> {
        let mut cluster = Self::prepare(folder, seed, binary()?).await?;
        cluster.start_replicas().await?;
        Ok(cluster)
    }

    /// Starts the installation with the binary of an older commit, without the settings that it does not know.
    pub async fn start_older(folder: &Path, seed: u64, binary: &Path) -> Result<Self, Failure> {
        let mut cluster = Self::prepare(folder, seed, binary.to_owned()).await?;
        for replica in &mut cluster.replicas {
            let left_out = leave_out_unknown_settings(binary, &mut replica.environment)?;
            if !left_out.is_empty() {
                println!("{}: the older binary does not know {}", replica.name(), left_out.join(", "));
            }
        }
        cluster.start_replicas().await?;
        Ok(cluster)
    }

    /// The servers, and the replicas before their start.
    async fn prepare(folder: &Path, seed: u64, binary: PathBuf) -> Result<Self, Failure> {
        let began = Instant::now();
        let logs = folder.join("logs");
        std::fs::create_dir_all(&logs)?;
        let (postgres, nats) = tokio::join!(Postgres::start(), Nats::start());
        let mail_sink = MailSink::start(&folder.join("mails.jsonl"), began).await?;
        let mut last_seed = seed;
        let mut next_seed = || {
            last_seed = last_seed.wrapping_add(1);
            last_seed
        };
        let (mut to_postgres, mut to_nats) = (Vec::new(), Vec::new());
        for service in Service::ALL {
            postgres.create_database(service.database()).await;
            to_postgres.push(Proxy::start(postgres.port, Protocol::Postgres, next_seed()).await?);
            to_nats.push(Proxy::start(nats.port, Protocol::Nats, next_seed()).await?);
        }
        let to_smtp = Proxy::start(mail_sink.port, Protocol::Opaque, next_seed()).await?;
        let mut cluster = Self {
            postgres,
            nats,
            mail_sink,
            replicas: Vec::new(),
            further: Vec::new(),
            to_postgres,
            to_nats,
            to_smtp,
            web_ports: (0..REPLICAS).map(|_| free_port()).collect(),
            began,
            binary,
            logs,
            data: tempfile::tempdir()?,
        };
        cluster.keys()?;
        let ports: Vec<u16> = (0..Service::ALL.len() * REPLICAS).map(|_| free_port()).collect();
        for (index, environment) in cluster.environment(&ports).into_iter().enumerate() {
            let (service, number) = (Service::ALL[index / REPLICAS], index % REPLICAS);
            let log = cluster.logs.join(format!("{}-{}.log", service.name(), number + 1));
            let binary = cluster.binary.clone();
            cluster.replicas.push(Replica::new(service, number, ports[index], environment, log, binary));
        }
        Ok(cluster)
    }

    async fn start_replicas(&mut self) -> Result<(), Failure> {
        self.migrate(&self.binary).await?;
        let starting = self.replicas.iter_mut().map(Replica::start);
        for started in futures::future::join_all(starting).await {
            started?;
        }
        Ok(())
    }

    /// Runs `frontdesk migrate` of this binary.
    pub async fn migrate(&self, binary: &Path) -> Result<(), Failure> {
        let log = self.logs.join("migrate.log");
        let migrated = tokio::process::Command::new(binary)
            .arg("migrate")
            .envs(self.replicas[0].environment.iter().cloned())
            .stderr(std::fs::File::create(&log)?)
            .stdout(std::process::Stdio::null())
            .status()
            .await?;
        if !migrated.success() {
            return Err(format!("frontdesk migrate: {}", std::fs::read_to_string(&log)?).into());
        }
        Ok(())
    }

    /// The environment variables of each replica.
    fn environment(&self, ports: &[u16]) -> Vec<Vec<(String, String)>> {
        let mut shared = settings_of_the_workload(self.to_smtp.port);
        let mut set = |name: &str, value: String| shared.push((format!("FRONTDESK__{name}"), value));
        set("DATA_FOLDER", self.data.path().display().to_string());
        set("ATTACHMENTS__FOLDER", self.attachments().display().to_string());
        for (index, service) in Service::ALL.iter().enumerate() {
            let url = format!("postgres://{ROLE}@127.0.0.1:{}/{}", self.to_postgres[index].port, service.database());
            set(&format!("DATABASES__{}__URL", service.setting()), url);
            let of_service = &ports[index * REPLICAS..(index + 1) * REPLICAS];
            let peers: Vec<String> = of_service.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
            set(&format!("PEERS__{}", service.setting()), peers.join(","));
        }
        (0..ports.len())
            .map(|index| {
                let mut environment = shared.clone();
                let broker = self.to_nats[index / REPLICAS].port;
                environment.push(("FRONTDESK__BUS__URL".into(), format!("nats://127.0.0.1:{broker}")));
                environment.push((replica::LISTEN.into(), format!("127.0.0.1:{}", ports[index])));
                if index / REPLICAS == Self::index_of(Service::Conversation) {
                    let port = self.web_ports[index % REPLICAS];
                    environment.push(("FRONTDESK__WEB__LISTEN".into(), format!("127.0.0.1:{port}")));
                }
                environment
            })
            .collect()
    }

    /// The key that signs tokens.
    pub fn keys(&self) -> Result<DevelopmentKey, Failure> {
        Ok(DevelopmentKey::load_or_create(&self.data.path().join("development.key"), &self.clock()?)?)
    }

    /// The installation's clock. It does not follow later moves.
    pub fn clock(&self) -> Result<Clock, Failure> {
        Ok(frontdesk_clock::development::clock_from_file(&self.data.path().join("clock-offset"))?)
    }

    /// How far the installation's clock was advanced, in microseconds.
    pub fn clock_offset(&self) -> i64 {
        let file = std::fs::read_to_string(self.data.path().join("clock-offset")).unwrap_or_default();
        file.trim().parse().unwrap_or(0)
    }

    /// The replicas of a service.
    pub fn replicas_of(&self, service: Service) -> impl Iterator<Item = &Replica> {
        self.replicas.iter().filter(move |replica| replica.service == service)
    }

    /// Starts this number of further replicas of a service.
    pub async fn add_replicas(&mut self, service: Service, count: usize) -> Result<(), Failure> {
        let first = &self.replicas[Self::index_of(service) * REPLICAS];
        for number in REPLICAS..REPLICAS + count {
            let log = self.logs.join(format!("{}-{}.log", service.name(), number + 1));
            let mut replica = first.sibling(number, free_port(), log);
            replica.start().await?;
            self.further.push(replica);
        }
        Ok(())
    }

    /// Kills all further replicas.
    pub async fn remove_further_replicas(&mut self) {
        for mut replica in self.further.drain(..) {
            replica.kill().await;
        }
    }

    /// All replicas of a service, further ones included.
    pub fn all_replicas_of(&mut self, service: Service) -> Vec<&mut Replica> {
        let all = self.replicas.iter_mut().chain(&mut self.further);
        all.filter(|replica| replica.service == service).collect()
    }

    /// Index of the service's proxies in `to_postgres` and `to_nats`, and of its first replica divided by [`REPLICAS`].
    pub fn index_of(service: Service) -> usize {
        Service::ALL.iter().position(|other| *other == service).unwrap_or_default()
    }

    /// Folder with the logs of all processes.
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// Folder with the bytes of attachments, which the conversation replicas share.
    pub fn attachments(&self) -> PathBuf {
        self.data.path().join("attachments")
    }

    /// Ends all faults: the proxies forward, the mail sink accepts, and killed or paused replicas run again.
    pub async fn heal(&mut self) -> Result<(), Failure> {
        self.to_postgres.iter().chain(&self.to_nats).chain([&self.to_smtp]).for_each(Proxy::heal);
        self.mail_sink.heal();
        for replica in self.replicas.iter_mut().chain(&mut self.further) {
            replica.resume();
            replica.reset_environment().await?;
            if !replica.is_running() {
                replica.start().await?;
            }
        }
        Ok(())
    }

    /// Number of acknowledgements that were dropped and commit replies that were lost.
    pub fn protocol_faults(&self) -> u64 {
        self.to_postgres.iter().chain(&self.to_nats).map(Proxy::protocol_faults).sum()
    }

    /// Copies the logs of the database server and the broker into the folder of logs.
    pub fn copy_server_logs(&self) {
        for (name, log) in [("postgres", self.postgres.log()), ("nats", self.nats.log())] {
            let _ = std::fs::copy(log, self.logs.join(format!("{name}.log")));
        }
    }
}

/// The `frontdesk` binary in the folder of this program, or the one above it.
pub fn binary() -> Result<PathBuf, Failure> {
    let program = std::env::current_exe()?;
    let candidates = program.ancestors().skip(1).take(2).map(|folder| folder.join("frontdesk"));
    let mut existing = candidates.filter(|path| path.is_file());
    existing.next().ok_or_else(|| "no frontdesk binary beside this program: build the workspace first".into())
}
