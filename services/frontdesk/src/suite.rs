//! Building a process that runs services, and running it.

use std::{
    fs::{DirBuilder, File, TryLockError},
    os::unix::fs::DirBuilderExt,
    path::PathBuf,
    time::Duration,
};

use frontdesk_audit::AuditLog;
use frontdesk_auth::{AccessMap, DevelopmentKey, Identity, InstallationSecret};
use frontdesk_bus::Bus;
use frontdesk_clock::Clock;
use frontdesk_db::{Db, DbSettings};
use frontdesk_server::{Admission, AuditLayer, GrpcServices, ServerSettings};
use frontdesk_transport::{InProcessConnector, Tls};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;

use crate::{
    Service, Settings, SuiteError,
    check::check,
    dev,
    service::{App, Parts},
};

/// So often a replica asks its database whether it is there.
const ASK_DATABASE_EVERY: Duration = Duration::from_secs(1);

/// Services, ready to run in this process.
pub struct Suite {
    settings: Settings,
    clock: Clock,
    /// The development key, where it is accepted.
    keys: Option<DevelopmentKey>,
    installation_secret: InstallationSecret,
    identity: Identity,
    access: AccessMap,
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
        let clock = frontdesk_clock::development::skewed_clock_from_file(&folder.join("clock-offset"), skew)
            .map_err(data_folder)?;
        let keys = match settings.identity.accepts_development_key() {
            true => Some(DevelopmentKey::load_or_create(&Self::key_file(&settings), &clock).map_err(data_folder)?),
            false => None,
        };
        let installation_secret = installation_secret(&settings, keys.as_ref(), &clock)?;
        let tls = Tls::load(&settings.tls)?;
        let access = AccessMap::try_new(frontdesk_proto::DESCRIPTORS)?;
        settings.identity.roles.check(&access)?;
        let identity = Identity::try_new(&settings.identity, keys.clone(), installation_secret.clone(), &clock)?;
        identity.load_issuer_keys().await?;
        let (databases, bus) = connect(&settings, services, &clock).await?;
        let shutdown = CancellationToken::new();
        let suite = Self {
            settings,
            clock,
            keys,
            installation_secret,
            identity,
            access,
            tls,
            databases,
            bus,
            shutdown,
            _lock: lock,
        };
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
    pub fn keys(&self) -> Option<&DevelopmentKey> {
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
        self.build(&InProcessConnector::new().0)?;
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
            if matches!(db.bypasses_row_level_security().await, Ok(true)) {
                tracing::warn!(
                    service = service.name(),
                    "the database's role is a superuser or bypasses row-level security, so nothing stands behind the queries; \
                     give the service an ordinary role that owns its database"
                );
            }
        }
        Ok(())
    }

    fn build(&self, within: &InProcessConnector) -> Result<Vec<App>, SuiteError> {
        let parts = Parts {
            settings: &self.settings,
            clock: &self.clock,
            keys: self.keys.as_ref(),
            installation_secret: &self.installation_secret,
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
        let within = InProcessConnector::new();
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
            workers.spawn(until_stopped(stop, async move { frontdesk_clock::development::follow(&clock).await }));
        }

        let development = self.keys.iter().flat_map(|_| dev::SERVICES);
        let names = apps.iter().flat_map(|app| app.names()).chain(development).copied().collect();
        let routes = routes.routes();
        let served = GrpcServices { routes, names, descriptors: frontdesk_proto::DESCRIPTORS, ready: readiness };
        let trail = AuditLog::new(self.databases.iter().map(|(service, db)| (service.package(), db.clone())).collect());
        let audited = AuditLayer::try_new(trail, frontdesk_proto::DESCRIPTORS)?;
        apps.iter().filter_map(App::visitor_keys).for_each(|keys| self.identity.accept_visitor_keys(keys));
        let limits = self.settings.limits.clone();
        let gate = Admission::new(self.identity, self.access, audited, &limits, &self.clock);
        let settings =
            ServerSettings { drain: self.settings.drain, limits, tls: self.tls.clone(), in_process: Some(within.1) };
        let ended = frontdesk_server::serve(listener, served, gate, settings, stop.clone()).await;

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
        Bus::jet_stream(settings.bus.clone(), clock).await?
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

/// The installation's secret; the development key serves where there is none.
fn installation_secret(
    settings: &Settings,
    keys: Option<&DevelopmentKey>,
    clock: &Clock,
) -> Result<InstallationSecret, SuiteError> {
    let identity = &settings.identity;
    match keys {
        Some(keys) if identity.secret.is_empty() => Ok(keys.installation_secret().clone()),
        _ => Ok(InstallationSecret::try_new(&identity.secret, &identity.previous_secret, clock)?),
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
