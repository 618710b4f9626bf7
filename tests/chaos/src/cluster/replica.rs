//! One process of one service.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use frontdesk_test_servers::Supervised;

use super::Failure;

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// Threads, the arbiter.
    Conversation,
    /// Owners.
    Assignment,
    /// Bots and their timers.
    BotSession,
    /// Transcripts.
    Notification,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Conversation, Self::Assignment, Self::BotSession, Self::Notification];

    /// As the command line names it.
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

    /// As the environment names it.
    pub fn setting(self) -> String {
        self.database().to_uppercase()
    }
}

/// How long a process may take to listen.
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// One replica.
pub struct Replica {
    /// Its service.
    pub service: Service,
    /// Its port on the loopback address.
    pub port: u16,
    number: usize,
    environment: Vec<(String, String)>,
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
        environment: Vec<(String, String)>,
        log: PathBuf,
        binary: PathBuf,
    ) -> Self {
        Self { service, port, number, environment, extra: Vec::new(), log, binary, process: None }
    }

    /// `conversation-1`
    pub fn name(&self) -> String {
        format!("{}-{}", self.service.name(), self.number + 1)
    }

    /// Its address for clients.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<i32> {
        self.process.as_ref().map(Supervised::pid)
    }

    /// Starts it and waits until it listens.
    pub async fn start(&mut self) -> Result<(), Failure> {
        let environment: Vec<(String, String)> = self.environment.iter().chain(&self.extra).cloned().collect();
        let until = Instant::now() + STARTS_WITHIN;
        // A process that cannot reach its database at the start ends, and whoever runs it starts it again.
        while Instant::now() < until {
            let arguments = ["serve", self.service.name()];
            let process = Supervised::start(&self.binary, &arguments, &environment, &self.log, None).await;
            while process.runs() && Instant::now() < until {
                if tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                    self.process = Some(process);
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(format!("{} does not listen; its log is {}", self.name(), self.log.display()).into())
    }

    /// Whether its process runs.
    pub fn runs(&self) -> bool {
        self.process.as_ref().is_some_and(Supervised::runs)
    }

    /// kill -9.
    pub async fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill().await;
        }
    }

    /// SIGTERM; gives how long the end took. None: it had to be killed.
    pub async fn terminate(&mut self, patience: Duration) -> Option<Duration> {
        let process = self.process.take()?;
        let took = process.terminate(patience).await;
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

    /// From its next start on its environment has this too.
    pub fn add_environment(&mut self, name: &str, value: &str) {
        self.extra.push((name.to_owned(), value.to_owned()));
    }

    /// Takes back what was added to its environment, by another start if need be.
    pub(super) async fn environment_as_usual(&mut self) -> Result<(), Failure> {
        if self.extra.is_empty() {
            return Ok(());
        }
        self.extra.clear();
        self.kill().await;
        self.start().await
    }
}
