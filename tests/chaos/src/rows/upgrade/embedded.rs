//! One process with all services, on the SQLite databases of a data folder.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use frontdesk_auth::DevelopmentKey;
use frontdesk_clock::Clock;
use frontdesk_test_servers::{Supervised, free_port, leave_out_unknown_settings};
use sea_orm::{DatabaseConnection, DbErr};
use uuid::Uuid;

use super::{Failure, tables};
use crate::{
    cluster::{Service, settings_of_the_workload},
    driver::Driver,
    final_state::{Databases, FinalState, read_databases, read_objects},
    history::Recorder,
    mail_sink::MailSink,
    workload::{Account, BOT_TEXTS},
};

/// How long a process may take until it listens, which it does once its schema is up to date.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a process may take to exit.
const EXIT_TIMEOUT: Duration = Duration::from_secs(25);

/// How long events, mails and their effects may take.
const QUIESCENCE_TIMEOUT: Duration = Duration::from_secs(60);

/// Number of times that the process is stopped. A chat that times out meanwhile leaves events, which the next start publishes.
const MAX_STOPS: usize = 5;

/// What the services have not finished: events that are not published, and mails that are not sent.
const UNPUBLISHED: &str =
    "SELECT count(*) FROM outbox_events WHERE position > (SELECT settled_to FROM outbox_progress)";
const UNSENT: &str = "SELECT count(*) FROM deliveries WHERE state IN ('QUEUED', 'SENDING')";

/// A process, or its settings while it does not run.
pub(super) struct Embedded {
    folder: PathBuf,
    log: PathBuf,
    ports: [u16; 2],
    settings: Vec<(String, String)>,
    process: Option<Supervised>,
}

impl Embedded {
    /// A process that is not started, on an empty folder.
    pub(super) fn new(folder: &Path, log: &Path, mail_sink: &MailSink) -> Self {
        let settings = settings_of_the_workload(mail_sink.port);
        let ports = [free_port(), free_port()];
        Self { folder: folder.to_owned(), log: log.to_owned(), ports, settings, process: None }
    }

    /// Removes the settings that a binary does not know; returns their names.
    pub(super) fn leave_out_unknown_settings(&mut self, binary: &Path) -> Result<Vec<String>, Failure> {
        Ok(leave_out_unknown_settings(binary, &mut self.settings)?)
    }

    /// Uses another folder from the next start on.
    pub(super) fn use_folder(&mut self, folder: &Path) {
        folder.clone_into(&mut self.folder);
    }

    /// The environment variables of a process on a folder.
    pub(super) fn environment(&self, folder: &Path) -> Vec<(String, String)> {
        let [port, web_port] = self.ports;
        let own = [
            ("DATA_FOLDER", folder.display().to_string()),
            ("LISTEN", format!("127.0.0.1:{port}")),
            ("WEB__LISTEN", format!("127.0.0.1:{web_port}")),
        ];
        let own = own.into_iter().map(|(name, value)| (format!("FRONTDESK__{name}"), value));
        self.settings.iter().cloned().chain(own).collect()
    }

    /// Starts the process with a binary, and waits until it listens.
    pub(super) async fn start(&mut self, binary: &Path) -> Result<(), Failure> {
        let environment = self.environment(&self.folder);
        let process = Supervised::start(binary, &["serve", "all"], &environment, &self.log, None).await;
        let until = Instant::now() + START_TIMEOUT;
        while process.runs() && Instant::now() < until {
            if tokio::net::TcpStream::connect(("127.0.0.1", self.ports[0])).await.is_ok() {
                self.process = Some(process);
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(format!("{} does not listen; its log is {}", binary.display(), self.log.display()).into())
    }

    /// kill -9.
    pub(super) async fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill().await;
        }
    }

    async fn stop(&mut self) -> Result<(), Failure> {
        let Some(process) = self.process.take() else { return Ok(()) };
        process.terminate(EXIT_TIMEOUT).await.ok_or("the process did not exit")?;
        Ok(())
    }

    /// A driver of its API.
    pub(super) fn driver(&self, recorder: Recorder) -> Result<Driver, Failure> {
        let [port, web_port] = self.ports;
        let addresses = Service::ALL.map(|service| (service, format!("http://127.0.0.1:{port}")));
        let keys = DevelopmentKey::load_or_create(&self.folder.join("development.key"), &Clock::system())?;
        Driver::to(addresses, &[web_port], keys, recorder)
    }

    /// Waits until everything that the folder holds has had its effects, stops the process, and reads the state of an account. The
    /// process runs with this binary.
    pub(super) async fn finish(
        &mut self,
        binary: &Path,
        driver: &Driver,
        account: &Account,
    ) -> Result<FinalState, Failure> {
        let (databases, bus) = self.connect().await?;
        let ids = sqlite_id(account.id);
        let until = Instant::now() + QUIESCENCE_TIMEOUT;
        while pending(&databases, &bus).await? > 0 && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let mut downloads = BTreeMap::new();
        for attachment in read_databases(&databases, &ids).await?.attachments.iter().filter(|one| one.sent) {
            let sha256 = driver.download_attachment(&account.agents[0], &attachment.id).await;
            downloads.insert(attachment.id.clone(), sha256.unwrap_or_default());
        }
        self.stop().await?;
        for _ in 1..MAX_STOPS {
            if pending(&databases, &bus).await? == 0 {
                break;
            }
            self.start(binary).await?;
            tokio::time::sleep(Duration::from_secs(2)).await;
            self.stop().await?;
        }
        let attachments = self.folder.join("attachments").join(account.id.to_string());
        Ok(FinalState {
            now: Clock::system().now().0,
            objects: read_objects(&attachments)?,
            downloads,
            canaries: [(account.id.to_string(), account.canary.clone())].into(),
            bot_texts: BOT_TEXTS.map(str::to_owned).into(),
            ..read_databases(&databases, &ids).await?
        })
    }

    async fn connect(&self) -> Result<(Databases, DatabaseConnection), DbErr> {
        let file = |name: &str| self.folder.join(format!("{name}.db"));
        let [one, two, three, four] = Service::ALL.map(|service| file(service.name()));
        let databases = [
            tables::open(&one).await?,
            tables::open(&two).await?,
            tables::open(&three).await?,
            tables::open(&four).await?,
        ];
        Ok((Databases::of(databases), tables::open(&file("bus")).await?))
    }
}

/// The id as a literal: SQLite stores its bytes.
fn sqlite_id(id: Uuid) -> String {
    format!("x'{}'", id.simple())
}

/// Number of events that are not published or not handled, and of mails that are not sent.
async fn pending(databases: &Databases, bus: &DatabaseConnection) -> Result<i64, Failure> {
    let mut pending = databases.number(Service::Notification, UNSENT).await?;
    for service in Service::ALL {
        pending += databases.number(service, UNPUBLISHED).await?;
    }
    let unhandled = tables::rows(bus, "SELECT CAST(count(*) AS TEXT) FROM pending").await?;
    let unhandled: String = unhandled.first().ok_or("no number")?.try_get_by_index(0)?;
    Ok(pending + unhandled.parse::<i64>()?)
}
