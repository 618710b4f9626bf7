//! Building a process that runs services, and running it.

use std::{
    fs::{DirBuilder, File, TryLockError},
    io,
    net::SocketAddr,
    os::unix::fs::DirBuilderExt,
    path::PathBuf,
    time::Duration,
};

use frontdesk_audit::Trail;
use frontdesk_auth::{
    AccessMap, Identity, IdentityError, Keyring, Keys, UndeclaredMethod, UnknownPermission, WeakSecret,
};
use frontdesk_bus::{Bus, BusError};
use frontdesk_clock::Clock;
use frontdesk_db::{Db, DbErr, DbSettings};
use frontdesk_rpc::{Audited, Gate, PeerError, Served, ServerSettings, Tls, TlsError, WithinProcess};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;

use crate::{
    Service, Settings, dev,
    service::{App, Parts},
};

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
    /// Nobody vouches for callers on an address that others reach.
    #[error(
        "listen = {0} can be reached by others, but callers are known by the development key only: name an issuer in identity.issuers, or listen on a loopback address"
    )]
    NoIssuer(SocketAddr),
    /// The development key on an address that others reach.
    #[error(
        "listen = {0} can be reached by others, and identity.development_key = true lets in whoever has the data folder's key: set it to false, or listen on a loopback address"
    )]
    DevelopmentKey(SocketAddr),
    /// Tokens in the clear on an address that others reach.
    #[error(
        "listen = {0} can be reached by others: set tls.certificate_path and tls.key_path, or tls.terminated_outside = true where a mesh or gateway encrypts"
    )]
    NoTls(SocketAddr),
    /// Nothing to sign with.
    #[error(
        "identity.secret must be set where the development key is not accepted, the same for every process; make one with: openssl rand -base64 48"
    )]
    NoSecret,
    /// A service that could be anybody.
    #[error(
        "peers.{0} must be https addresses, with tls.certificate_path, tls.key_path and tls.ca_path set: without the development key services know each other by certificates"
    )]
    NotMutual(&'static str),
    /// Nobody would be served.
    #[error("limits.{0} must be at least 1: with 0 nobody is served")]
    NoRoom(&'static str),
    /// The secret of the installation is no good.
    #[error(transparent)]
    Secret(#[from] WeakSecret),
    /// An issuer's settings are no good.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A role's are.
    #[error(transparent)]
    Role(#[from] UnknownPermission),
    /// A certificate is.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// One service alone, without what connects it to the others.
    #[error(
        "`serve {0}` runs one service in a process of its own: set bus.url to your NATS servers, or run `serve all`, which needs none"
    )]
    NoBroker(&'static str),
    /// One service alone, with a database that is this machine's.
    #[error(
        "databases.{0}.url must be a PostgreSQL address (postgres://user:password@host/database) when bus.url is set: replicas share it"
    )]
    NotShared(&'static str),
    /// One service alone, which does not know where another is.
    #[error("peers.{0} must say where that service is, such as https://{0}:7700")]
    NoPeer(&'static str),
    /// A database cannot be used.
    #[error("the database of the {service} service cannot be used: {source}")]
    Database {
        /// Whose.
        service: &'static str,
        /// Why.
        source: DbErr,
    },
    /// A database is not as this binary needs it.
    #[error(
        "the database of the {service} service lacks {missing} after {waited:?} of waiting: run `frontdesk migrate` with these settings"
    )]
    Schema {
        /// Whose.
        service: &'static str,
        /// Which migrations, or why nobody knows.
        missing: String,
        /// So long.
        waited: Duration,
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

/// So often a replica asks its database whether it is there.
const ASK_DATABASE_EVERY: Duration = Duration::from_secs(1);

/// Services, ready to run in this process.
pub struct Suite {
    settings: Settings,
    clock: Clock,
    /// The development key, where it is accepted.
    keys: Option<Keys>,
    keyring: Keyring,
    tls: Option<Tls>,
    databases: Vec<(Service, Db)>,
    bus: Bus,
    shutdown: CancellationToken,
    /// Held as long as the suite lives, where the data folder holds more than keys: one process for it.
    _lock: Option<File>,
}

impl Suite {
    /// Opens the data folder and connects to databases and bus; makes the key at the first start. On the embedded footing
    /// it brings every database up to date; on the distributed one [`Suite::migrate`] does, and [`Suite::serve`] waits for it.
    pub async fn open(settings: Settings, services: &[Service]) -> Result<Self, SuiteError> {
        check(&settings, services)?;
        let folder = settings.data_folder.clone();
        let data_folder = |source| SuiteError::DataFolder { folder: folder.clone(), source };
        // Chats, addresses and the key are in it: nobody else's to read.
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(data_folder)?;
        let lock = if settings.is_distributed() { None } else { Some(lock(&settings)?) };
        let skew = settings.development.clock_skew_seconds.saturating_mul(1_000_000);
        let clock = Clock::wrong_by(&folder.join("clock-offset"), skew).map_err(data_folder)?;
        let keys = match settings.identity.accepts_development() {
            true => Some(Keys::development(&Self::key_file(&settings), &clock).map_err(data_folder)?),
            false => None,
        };
        let keyring = keyring(&settings, keys.as_ref(), &clock)?;
        let tls = Tls::load(&settings.tls)?;
        settings.identity.roles.check(&AccessMap::try_new(frontdesk_proto::DESCRIPTORS)?)?;
        Identity::try_new(&settings.identity, keys.clone(), keyring.clone(), None, &clock)?.check().await?;
        let (databases, bus) = connect(&settings, services, &clock).await?;
        let shutdown = CancellationToken::new();
        let suite = Self { settings, clock, keys, keyring, tls, databases, bus, shutdown, _lock: lock };
        if !suite.settings.is_distributed() {
            suite.migrate_databases().await?;
        }
        Ok(suite)
    }

    /// Where the development key is.
    pub fn key_file(settings: &Settings) -> PathBuf {
        settings.data_folder.join("development.key")
    }

    /// The development key, where this suite accepts it.
    pub fn keys(&self) -> Option<&Keys> {
        self.keys.as_ref()
    }

    /// The suite's clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Cancel it to stop the suite.
    pub fn shutdown(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Brings every database up to date, and makes or checks what the broker must have.
    pub async fn migrate(&self) -> Result<(), SuiteError> {
        self.migrate_databases().await?;
        self.build(&WithinProcess::new().0)?;
        let sources: Vec<&str> = self.databases.iter().map(|(service, _)| service.name()).collect();
        Ok(self.bus.prepare(&sources).await?)
    }

    async fn migrate_databases(&self) -> Result<(), SuiteError> {
        for (service, db) in &self.databases {
            let migrated = service.migrate(db).await;
            migrated.map_err(|source| SuiteError::Database { service: service.name(), source })?;
        }
        Ok(())
    }

    /// Waits until every database is as this binary needs it: replicas may start before `migrate` has run, and before the
    /// database server has.
    async fn wait_for_schema(&self) -> Result<(), SuiteError> {
        let waited = self.settings.schema_wait;
        let give_up = tokio::time::Instant::now() + waited;
        for (service, db) in &self.databases {
            loop {
                let missing = match service.pending_migrations(db).await {
                    Ok(pending) if pending.is_empty() => break,
                    Ok(pending) => format!("the migrations {}", pending.join(", ")),
                    Err(error) => format!("an answer ({error})"),
                };
                if tokio::time::Instant::now() > give_up {
                    return Err(SuiteError::Schema { service: service.name(), missing, waited });
                }
                tracing::warn!(service = service.name(), missing, "waiting for the database");
                tokio::select! {
                    () = self.shutdown.cancelled() => return Ok(()),
                    () = tokio::time::sleep(ASK_DATABASE_EVERY) => {}
                }
            }
            if matches!(db.passes_walls().await, Ok(true)) {
                tracing::warn!(
                    service = service.name(),
                    "the database's role is a superuser or bypasses row-level security, so nothing stands behind the queries; \
                     give the service an ordinary role that owns its database"
                );
            }
        }
        Ok(())
    }

    fn build(&self, within: &WithinProcess) -> Result<Vec<App>, SuiteError> {
        let parts = Parts {
            settings: &self.settings,
            clock: &self.clock,
            keys: self.keys.as_ref(),
            keyring: &self.keyring,
            tls: self.tls.as_ref(),
            bus: &self.bus,
            shutdown: &self.shutdown,
            within,
        };
        self.databases.iter().map(|(service, db)| App::build(*service, db.clone(), &parts)).collect()
    }

    /// Serves on `listener` and runs every worker until the shutdown; returns when everything has ended.
    pub async fn serve(self, listener: TcpListener) -> Result<(), SuiteError> {
        self.wait_for_schema().await?;
        let within = WithinProcess::new();
        let apps = self.build(&within.0)?;
        let stop = &self.shutdown;

        let mut routes = RoutesBuilder::default();
        apps.iter().for_each(|app| app.routes(&mut routes));
        if self.keys.is_some() {
            let mailbox = apps.iter().find_map(App::mailbox_folder);
            dev::routes(self.clock.clone(), mailbox, self.settings.is_distributed(), &mut routes);
        }

        let mut workers = JoinSet::new();
        let (bus, token) = (self.bus.clone(), stop.clone());
        workers.spawn(async move { bus.run(token).await });
        apps.iter().for_each(|app| drop(workers.spawn(app.clone().work(self.bus.clone()))));
        let (ready, readiness) = watch::channel(true);
        workers.spawn(until_stopped(stop, ask_databases(self.databases.clone(), ready)));
        if self.settings.is_distributed() {
            let clock = self.clock.clone();
            workers.spawn(until_stopped(stop, async move { clock.follow().await }));
        }

        let development = self.keys.iter().flat_map(|_| dev::SERVICES);
        let names = apps.iter().flat_map(|app| app.names()).chain(development).copied().collect();
        let routes = routes.routes();
        let served = Served { routes, names, descriptors: frontdesk_proto::DESCRIPTORS, ready: readiness };
        let trail = Trail::new(self.databases.iter().map(|(service, db)| (service.package(), db.clone())).collect());
        let audited = Audited::try_new(trail, frontdesk_proto::DESCRIPTORS)?;
        let scoped = apps.iter().find_map(App::visitor_keys);
        let (identity, keyring) = (&self.settings.identity, self.keyring.clone());
        let identity = Identity::try_new(identity, self.keys.clone(), keyring, scoped, &self.clock)?;
        let access = AccessMap::try_new(frontdesk_proto::DESCRIPTORS)?;
        let limits = self.settings.limits.clone();
        let gate = Gate::new(identity, access, audited, &limits, &self.clock);
        let settings = ServerSettings { drain: self.settings.drain, limits, tls: self.tls.clone(), within };
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

/// The databases of the services and the bus, for who runs them or looks after them while they run.
pub async fn connect(
    settings: &Settings,
    services: &[Service],
    clock: &Clock,
) -> Result<(Vec<(Service, Db)>, Bus), SuiteError> {
    let databases = connect_databases(settings, services, clock).await?;
    let bus = if settings.is_distributed() {
        Bus::jet_stream(settings.bus.clone()).await?
    } else {
        Bus::in_process(database("bus", &settings.bus_database(), clock).await?, clock).await?
    };
    Ok((databases, bus))
}

/// The databases of the services alone, for who looks into them while they run.
pub async fn connect_databases(
    settings: &Settings,
    services: &[Service],
    clock: &Clock,
) -> Result<Vec<(Service, Db)>, SuiteError> {
    let mut databases = Vec::with_capacity(services.len());
    for service in services {
        let db = database(service.name(), &settings.database(*service), clock).await?;
        databases.push((*service, db));
    }
    Ok(databases)
}

/// What cannot work is refused before anything is opened.
fn check(settings: &Settings, services: &[Service]) -> Result<(), SuiteError> {
    let (identity, tls) = (&settings.identity, &settings.tls);
    if !settings.listen.ip().is_loopback() {
        if identity.issuers.is_empty() {
            return Err(SuiteError::NoIssuer(settings.listen));
        }
        if identity.accepts_development() {
            return Err(SuiteError::DevelopmentKey(settings.listen));
        }
        if !tls.is_on() && !tls.terminated_outside {
            return Err(SuiteError::NoTls(settings.listen));
        }
    }
    let limits = &settings.limits;
    let rooms = [
        ("connections", limits.connections),
        ("connections_per_address", limits.connections_per_address),
        ("streams_per_connection", limits.streams_per_connection as usize),
        ("in_flight", limits.in_flight),
        ("streams", limits.streams),
    ];
    if let Some((name, _)) = rooms.into_iter().find(|(_, room)| *room == 0) {
        return Err(SuiteError::NoRoom(name));
    }
    if !identity.accepts_development() && identity.secret.is_empty() {
        return Err(SuiteError::NoSecret);
    }
    if !settings.is_distributed() {
        return match services {
            [alone] => Err(SuiteError::NoBroker(alone.name())),
            _ => Ok(()),
        };
    }
    for service in services {
        if !settings.database(*service).url.0.starts_with("postgres") {
            return Err(SuiteError::NotShared(service.setting()));
        }
        let elsewhere = service.calls().iter().filter(|other| !services.contains(other));
        for other in elsewhere {
            if settings.peer(*other).is_empty() {
                return Err(SuiteError::NoPeer(other.setting()));
            }
            let plain = settings.peer(*other).split(',').any(|address| !address.trim().starts_with("https://"));
            if !identity.accepts_development() && (plain || !tls.is_mutual()) {
                return Err(SuiteError::NotMutual(other.setting()));
            }
        }
    }
    Ok(())
}

/// The installation's secret; the development key serves where there is none.
fn keyring(settings: &Settings, keys: Option<&Keys>, clock: &Clock) -> Result<Keyring, SuiteError> {
    let identity = &settings.identity;
    match keys {
        Some(keys) if identity.secret.is_empty() => Ok(keys.keyring().clone()),
        _ => Ok(Keyring::try_new(&identity.secret, &identity.previous_secret, clock)?),
    }
}

fn lock(settings: &Settings) -> Result<File, SuiteError> {
    let folder = settings.data_folder.clone();
    let data_folder = |source| SuiteError::DataFolder { folder: folder.clone(), source };
    let lock = File::create(folder.join("lock")).map_err(data_folder)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(SuiteError::Running(folder)),
        Err(TryLockError::Error(source)) => Err(data_folder(source)),
    }
}

async fn database(service: &'static str, settings: &DbSettings, clock: &Clock) -> Result<Db, SuiteError> {
    Db::connect(settings, clock).await.map_err(|source| SuiteError::Database { service, source })
}

fn until_stopped(
    stop: &CancellationToken,
    work: impl Future<Output = ()> + Send + 'static,
) -> impl Future<Output = ()> + Send + 'static {
    let stop = stop.clone();
    async move {
        let _ = stop.run_until_cancelled(work).await;
    }
}

/// Keeps the health check true: a replica whose database does not answer serves nothing.
async fn ask_databases(databases: Vec<(Service, Db)>, ready: watch::Sender<bool>) {
    loop {
        let mut all = true;
        for (_, db) in &databases {
            all &= matches!(tokio::time::timeout(ASK_DATABASE_EVERY * 2, db.now()).await, Ok(Ok(_)));
        }
        ready.send_if_modified(|before| std::mem::replace(before, all) != all);
        tokio::time::sleep(ASK_DATABASE_EVERY).await;
    }
}
