//! Building the suite and running it.

use std::{
    fs::{DirBuilder, File, TryLockError},
    io,
    os::unix::fs::DirBuilderExt,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use frontdesk_auth::{AccessMap, Keys, UndeclaredMethod};
use frontdesk_bus::{Bus, BusError};
use frontdesk_clock::Clock;
use frontdesk_db::{Db, DbErr, DbSettings, migrate};
use frontdesk_rpc::{Gate, Pages, Peer, PeerError, Served, ServerSettings};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;

use crate::{Settings, dev};

/// The suite cannot start, or ended badly; the text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// The data folder cannot be used.
    #[error("the data folder {folder} cannot be used: {source}")]
    DataFolder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process runs on the data folder.
    #[error("another frontdesk runs on the data folder {0}; stop it, or set another data_folder")]
    Running(PathBuf),
    /// The development key on an address that others reach.
    #[error(
        "listen = {0} can be reached from outside, but callers are known by the development key only; use a loopback address"
    )]
    NotLoopback(std::net::SocketAddr),
    /// A database cannot be used.
    #[error("the database of the {service} service cannot be used: {source}")]
    Database {
        /// Whose.
        service: &'static str,
        /// Why.
        source: DbErr,
    },
    /// The bus cannot start.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// A service's address is wrong.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// A method of the contract does not say who may call it.
    #[error(transparent)]
    Undeclared(#[from] UndeclaredMethod),
    /// A setting of the notification service is wrong.
    #[error("notification: {0}")]
    Notification(String),
    /// The server ended badly.
    #[error("the server ended: {0}")]
    Server(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// All services, ready to run.
pub struct Suite {
    settings: Settings,
    clock: Clock,
    keys: Keys,
    databases: Opened,
    bus: Bus,
    shutdown: CancellationToken,
    /// Held as long as the suite lives: one process for a data folder.
    _lock: Arc<File>,
}

struct Opened {
    conversation: Db,
    assignment: Db,
    bot_session: Db,
    notification: Db,
}

impl Suite {
    /// Opens the data folder, makes the key at the first start, brings every database up to date.
    pub async fn open(settings: Settings) -> Result<Self, SuiteError> {
        if !settings.listen.ip().is_loopback() {
            return Err(SuiteError::NotLoopback(settings.listen));
        }
        let folder = settings.data_folder.clone();
        let data_folder = |source| SuiteError::DataFolder { folder: folder.clone(), source };
        // Chats, addresses and the key are in it: nobody else's to read.
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(data_folder)?;
        let lock = File::create(folder.join("lock")).map_err(data_folder)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(SuiteError::Running(folder)),
            Err(TryLockError::Error(source)) => return Err(data_folder(source)),
        }
        let clock = Clock::persisted(&folder.join("clock-offset")).map_err(data_folder)?;
        let keys = Keys::development(&Self::key_file(&settings), &clock).map_err(data_folder)?;
        let databases = Opened::open(&settings, &clock).await?;
        let bus_file = settings.database(&DbSettings::default(), "bus");
        let bus = database("bus", &bus_file, &clock).await?;
        Ok(Self {
            bus: Bus::in_process(bus, &clock).await?,
            settings,
            clock,
            keys,
            databases,
            shutdown: CancellationToken::new(),
            _lock: Arc::new(lock),
        })
    }

    /// Where the development key is.
    pub fn key_file(settings: &Settings) -> PathBuf {
        settings.data_folder.join("development.key")
    }

    /// The key that signs tokens for this suite.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The suite's clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Cancel it to stop the suite.
    pub fn shutdown(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Serves on `listener` and runs every worker until the shutdown; returns when everything has ended.
    pub async fn serve(self, listener: TcpListener) -> Result<(), SuiteError> {
        let address = listener.local_addr().map_err(|error| SuiteError::Server(error.into()))?;
        // In one process the others are found where we are.
        let here = format!("http://{address}");
        let peer = |me| Peer::new(&here, me, self.keys.clone());
        let pages = Pages::new(self.keys.clone());
        let (dbs, clock, stop) = (&self.databases, &self.clock, &self.shutdown);
        let conversation = frontdesk_conversation::App::new(
            dbs.conversation.clone(),
            clock.clone(),
            pages.clone(),
            peer("conversation")?,
            peer("conversation")?,
            stop.clone(),
        );
        let assignment = frontdesk_assignment::App::new(
            dbs.assignment.clone(),
            clock.clone(),
            pages.clone(),
            peer("assignment")?,
            stop.clone(),
        );
        let bot_session = frontdesk_bot_session::App::new(
            dbs.bot_session.clone(),
            clock.clone(),
            pages.clone(),
            peer("bot-session")?,
            stop.clone(),
        );
        let notification = frontdesk_notification::App::new(
            self.settings.notification.clone(),
            dbs.notification.clone(),
            clock.clone(),
            pages,
            peer("notification")?,
            &self.settings.data_folder,
            stop.clone(),
        )
        .map_err(|error| SuiteError::Notification(error.to_string()))?;

        frontdesk_conversation::subscribe(&conversation, &self.bus);
        frontdesk_assignment::subscribe(&assignment, &self.bus);
        frontdesk_bot_session::subscribe(&bot_session, &self.bus);
        frontdesk_notification::subscribe(&notification, &self.bus);

        let mut routes = RoutesBuilder::default();
        frontdesk_conversation::routes(&conversation, &mut routes);
        frontdesk_assignment::routes(&assignment, &mut routes);
        frontdesk_bot_session::routes(&bot_session, &mut routes);
        frontdesk_notification::routes(&notification, &mut routes);
        dev::routes(clock.clone(), notification.mailbox_folder().map(PathBuf::from), &mut routes);

        let mut workers = JoinSet::new();
        let (bus, token) = (self.bus.clone(), stop.clone());
        workers.spawn(async move { bus.run(token).await });
        workers.spawn(frontdesk_conversation::work(conversation, self.bus.clone()));
        workers.spawn(frontdesk_assignment::work(assignment, self.bus.clone()));
        workers.spawn(frontdesk_bot_session::work(bot_session, self.bus.clone()));
        workers.spawn(frontdesk_notification::work(notification, self.bus.clone()));

        let names = [
            frontdesk_conversation::SERVICES,
            frontdesk_assignment::SERVICES,
            frontdesk_bot_session::SERVICES,
            frontdesk_notification::SERVICES,
        ];
        let served =
            Served { routes: routes.routes(), names: names.concat(), descriptors: frontdesk_proto::DESCRIPTORS };
        let gate = Gate::new(self.keys.clone(), AccessMap::try_new(frontdesk_proto::DESCRIPTORS)?);
        let settings = ServerSettings { drain: self.settings.drain };
        let ended = frontdesk_rpc::serve(listener, served, gate, settings, stop.clone()).await;

        // Also when the server ended by itself: what it feeds must not go on without it.
        stop.cancel();
        let all = async { while workers.join_next().await.is_some() {} };
        if tokio::time::timeout(self.settings.drain.max(Duration::from_secs(1)), all).await.is_err() {
            tracing::warn!("some workers did not end in time; what they did goes on at the next start");
        }
        ended.map_err(SuiteError::Server)
    }
}

impl Opened {
    async fn open(settings: &Settings, clock: &Clock) -> Result<Self, SuiteError> {
        let of = &settings.databases;
        let opened = Self {
            conversation: database("conversation", &settings.database(&of.conversation, "conversation"), clock).await?,
            assignment: database("assignment", &settings.database(&of.assignment, "assignment"), clock).await?,
            bot_session: database("bot-session", &settings.database(&of.bot_session, "bot-session"), clock).await?,
            notification: database("notification", &settings.database(&of.notification, "notification"), clock).await?,
        };
        let failed = |service| move |source| SuiteError::Database { service, source };
        migrate::<frontdesk_conversation::Migrator>(&opened.conversation).await.map_err(failed("conversation"))?;
        migrate::<frontdesk_assignment::Migrator>(&opened.assignment).await.map_err(failed("assignment"))?;
        migrate::<frontdesk_bot_session::Migrator>(&opened.bot_session).await.map_err(failed("bot-session"))?;
        migrate::<frontdesk_notification::Migrator>(&opened.notification).await.map_err(failed("notification"))?;
        Ok(opened)
    }
}

async fn database(service: &'static str, settings: &DbSettings, clock: &Clock) -> Result<Db, SuiteError> {
    Db::connect(settings, clock).await.map_err(|source| SuiteError::Database { service, source })
}
