//! A replica: one process of one service.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use frontdesk_test_servers::{Supervised, free_port};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Failure;

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// The conversation service.
    Conversation,
    /// The assignment service.
    Assignment,
    /// The bot-session service.
    BotSession,
    /// The notification service.
    Notification,
}

impl Service {
    /// All services.
    pub const ALL: [Self; 4] = [Self::Conversation, Self::Assignment, Self::BotSession, Self::Notification];

    /// Name of the service on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Conversation => "conversation",
            Self::Assignment => "assignment",
            Self::BotSession => "bot-session",
            Self::Notification => "notification",
        }
    }

    /// Name of its database.
    pub fn database(self) -> &'static str {
        match self {
            Self::BotSession => "bot_session",
            other => other.name(),
        }
    }

    /// Name of the service in environment variables.
    pub fn setting(self) -> String {
        self.database().to_uppercase()
    }
}

/// Setting of the address that it listens on.
pub(super) const LISTEN: &str = "FRONTDESK__LISTEN";

/// Setting of the address at which it shows its metrics.
const OPS_LISTEN: &str = "FRONTDESK__OPS__LISTEN";

/// How long a replica may take to show its metrics.
const METRICS_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a replica may take until it listens.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// One replica.
pub struct Replica {
    /// Its service.
    pub service: Service,
    /// Its port on the loopback address.
    pub port: u16,
    /// Number of times that its process was started.
    pub(super) starts: u32,
    ops_port: u16,
    number: usize,
    /// Environment variables of every start.
    pub(super) environment: Vec<(String, String)>,
    extra: Vec<(String, String)>,
    log: PathBuf,
    binary: PathBuf,
    process: Option<Supervised>,
}

impl Replica {
    pub(super) fn new(
        service: Service,
        number: usize,
        port: u16,
        mut environment: Vec<(String, String)>,
        log: PathBuf,
        binary: PathBuf,
    ) -> Self {
        let ops_port = free_port();
        environment.push((OPS_LISTEN.into(), format!("127.0.0.1:{ops_port}")));
        let (starts, extra) = (0, Vec::new());
        Self { service, port, starts, ops_port, number, environment, extra, log, binary, process: None }
    }

    /// Another replica of the service, which is not started, with the same settings.
    pub(super) fn sibling(&self, number: usize, port: u16, log: PathBuf) -> Self {
        let mut environment = self.environment.clone();
        environment.retain(|(name, _)| name != LISTEN && name != OPS_LISTEN);
        environment.push((LISTEN.into(), format!("127.0.0.1:{port}")));
        Self::new(self.service, number, port, environment, log, self.binary.clone())
    }

    /// Its name, for example `conversation-1`.
    pub fn name(&self) -> String {
        format!("{}-{}", self.service.name(), self.number + 1)
    }

    /// Its address for clients.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts it and waits until it listens.
    pub async fn start(&mut self) -> Result<(), Failure> {
        let until = Instant::now() + START_TIMEOUT;
        // A process that cannot reach its database at the start exits, and its supervisor restarts it.
        while Instant::now() < until {
            if self.start_once(until).await {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(format!("{} does not listen; its log is {}", self.name(), self.log.display()).into())
    }

    /// Starts its process and waits until it listens. False: the process ended, or does not listen at this time.
    pub async fn start_once(&mut self, until: Instant) -> bool {
        let environment: Vec<(String, String)> = self.environment.iter().chain(&self.extra).cloned().collect();
        let arguments = ["serve", self.service.name()];
        let process = Supervised::start(&self.binary, &arguments, &environment, &self.log, None).await;
        while process.runs() && Instant::now() < until {
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                self.process = Some(process);
                self.starts += 1;
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }

    /// Waits until its process has ended. False: it had not at this time.
    pub async fn has_ended(&self, until: Instant) -> bool {
        while self.is_running() {
            if Instant::now() > until {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        true
    }

    /// Whether its process runs.
    pub fn is_running(&self) -> bool {
        self.process.as_ref().is_some_and(Supervised::runs)
    }

    /// The metrics of its process, in the Prometheus text format.
    pub(super) async fn metrics(&self) -> Result<String, Failure> {
        let reading = async {
            let mut connection = tokio::net::TcpStream::connect(("127.0.0.1", self.ops_port)).await?;
            connection.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await?;
            let mut answer = String::new();
            connection.read_to_string(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        Ok(tokio::time::timeout(METRICS_TIMEOUT, reading).await??)
    }

    /// kill -9.
    pub async fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill().await;
        }
    }

    /// SIGTERM. Returns how long the process took to exit, or `None` if it was killed after `timeout`.
    pub async fn terminate(&mut self, timeout: Duration) -> Option<Duration> {
        let process = self.process.take()?;
        let took = process.terminate(timeout).await;
        if took.is_none() {
            process.kill().await;
        }
        took
    }

    /// SIGSTOP.
    pub fn pause(&self) {
        if let Some(process) = &self.process {
            process.pause();
        }
    }

    /// SIGCONT.
    pub fn resume(&self) {
        if let Some(process) = &self.process {
            process.resume();
        }
    }

    /// Uses another binary from the next start on.
    pub fn use_binary(&mut self, binary: &Path) {
        binary.clone_into(&mut self.binary);
    }

    /// Adds an environment variable from the next start on.
    pub fn add_environment(&mut self, name: &str, value: &str) {
        self.extra.push((name.to_owned(), value.to_owned()));
    }

    /// Removes the added environment variables, with a restart if there are any.
    pub async fn reset_environment(&mut self) -> Result<(), Failure> {
        if self.extra.is_empty() {
            return Ok(());
        }
        self.extra.clear();
        self.kill().await;
        self.start().await
    }
}
