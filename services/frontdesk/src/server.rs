//! Building a process that runs services, and running it.

use std::{
    fs::{File, TryLockError},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::Router;
use frontdesk_api::Pages;
use frontdesk_audit::AuditLog;
use frontdesk_auth::{AccessMap, DevelopmentKey, Identity, InstallationSecret};
use frontdesk_bus::Bus;
use frontdesk_client::Peer;
use frontdesk_clock::{Clock, development};
use frontdesk_db::Db;
use frontdesk_server::{Admission, AuditLayer, GrpcServices, ServerSettings, WebListener};
use frontdesk_service::{AnyService, Process, ServiceContext, Worker};
use frontdesk_transport::{InProcessConnector, Tls};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::{Routes, RoutesBuilder};

use crate::{
    ServerError, Service, Settings,
    check::check,
    data_folder,
    databases::{connect, migrate, wait_for_schema},
    dev::{self, ExamplePages, PAGE_SERVICES},
    error::Listener,
    reflection::Reflection,
};

/// Services, ready to run in this process.
pub struct Server {
    settings: Settings,
    clock: Clock,
    /// The development key, where it is accepted.
    development_key: Option<DevelopmentKey>,
    secret: InstallationSecret,
    identity: Identity,
    access: AccessMap,
    tls: Option<Tls>,
    web_tls: Option<Tls>,
    databases: Vec<(Service, Db)>,
    bus: Bus,
    shutdown: CancellationToken,
    /// In embedded mode: the lock that keeps other processes off the data folder, held until the server is dropped.
    _lock: Option<File>,
}

impl Server {
    /// Opens the data folder and connects to databases and bus; creates the development key at the first start. In embedded
    /// mode it brings every database up to date; in distributed mode [`Server::migrate`] does, and [`Server::serve`] waits
    /// for it.
    pub async fn open(settings: Settings, services: &[Service]) -> Result<Self, ServerError> {
        check(&settings, services)?;
        let folder = settings.data_folder.clone();
        let unusable = |source| ServerError::DataFolder { folder: folder.clone(), source };
        data_folder::open(&folder).map_err(unusable)?;
        let lock = if settings.is_distributed() { None } else { Some(lock(&folder)?) };
        let clock = dev::clock(&settings).map_err(unusable)?;
        let development_key = match settings.identity.accepts_development_key() {
            true => Some(DevelopmentKey::load_or_create(&Self::key_file(&settings), &clock).map_err(unusable)?),
            false => None,
        };
        let secret = installation_secret(&settings, development_key.as_ref(), &clock)?;
        let tls = Tls::load(&settings.tls)?;
        let web_tls = settings.web.tls(&settings.tls)?;
        let access = AccessMap::try_new(frontdesk_proto::DESCRIPTORS)?;
        settings.identity.roles.check(&access)?;
        let identity = Identity::try_new(&settings.identity, development_key.clone(), secret.clone(), &clock)?;
        identity.load_issuer_keys().await?;
        let (databases, bus) = connect(&settings, services, &clock).await?;
        if !settings.is_distributed() {
            migrate(&databases).await?;
        }
        let shutdown = CancellationToken::new();
        Ok(Self {
            settings,
            clock,
            development_key,
            secret,
            identity,
            access,
            tls,
            web_tls,
            databases,
            bus,
            shutdown,
            _lock: lock,
        })
    }

    /// File of the development key.
    pub fn key_file(settings: &Settings) -> PathBuf {
        settings.data_folder.join("development.key")
    }

    /// The development key, where this server accepts it.
    pub fn development_key(&self) -> Option<&DevelopmentKey> {
        self.development_key.as_ref()
    }

    /// The server's clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Cancel it to stop the server.
    pub fn shutdown(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Brings every database up to date, and creates or checks the broker's streams and consumers.
    pub async fn migrate(&self) -> Result<(), ServerError> {
        migrate(&self.databases).await?;
        self.build(&InProcessConnector::new().0)?;
        let sources: Vec<&str> = self.databases.iter().map(|(service, _)| service.name()).collect();
        Ok(self.bus.prepare(&sources).await?)
    }

    /// Builds the services and subscribes their consumers. `connector` leads to the services of this process.
    fn build(&self, connector: &InProcessConnector) -> Result<Vec<Arc<dyn AnyService>>, ServerError> {
        let build = |(service, db): &(Service, Db)| {
            let context = self.context(*service, db.clone(), connector);
            let built = service.build(context, &self.settings);
            let built = built.map_err(|source| ServerError::Service { service: service.name(), source })?;
            built.subscribe(&self.bus);
            Ok(built)
        };
        self.databases.iter().map(build).collect()
    }

    fn context(&self, service: Service, db: Db, connector: &InProcessConnector) -> ServiceContext {
        let (addresses, connector) = (self.settings.peers.clone(), connector.clone());
        let (tls, key) = (self.tls.clone(), self.development_key.clone());
        let peers = move |name| match Service::named(name).map_or("", |peer| addresses.get(peer)) {
            "" => Ok(Peer::in_process(&connector, service.name())),
            addresses => Peer::remote(addresses, service.name(), tls.as_ref(), key.as_ref()),
        };
        ServiceContext {
            db,
            clock: self.clock.clone(),
            bus: self.bus.clone(),
            secret: self.secret.clone(),
            data_folder: self.settings.data_folder.clone(),
            shutdown: self.shutdown.clone(),
            peers: Arc::new(peers),
        }
    }

    /// Serves on `listener` and runs every background task until the shutdown; returns when everything has ended.
    pub async fn serve(self, listener: TcpListener) -> Result<(), ServerError> {
        self.serve_announced(listener, || {}).await
    }

    /// Like [`Server::serve`]; calls `announce` when everything that can prevent the start has succeeded.
    pub async fn serve_announced(self, listener: TcpListener, announce: impl FnOnce()) -> Result<(), ServerError> {
        let ops = listen("ops.listen", self.settings.ops.listen).await?;
        let mut web = self.listen_for_browsers().await?;
        wait_for_schema(&self.databases, self.settings.schema_wait, &self.shutdown).await?;
        let (connector, in_process) = InProcessConnector::new();
        let services = self.build(&connector)?;
        let (routes, names) = self.routes(&services);
        if let Some(web) = &mut web {
            let pages = self.example_pages().map_or_else(Router::new, ExamplePages::routes);
            web.routes = services.iter().fold(pages, |all, service| all.merge(service.http_routes()));
        }
        let reflection = Reflection::of(&names, self.development_key.is_some());
        let reflection = reflection.map_err(|error| ServerError::Server(error.into()))?;

        let of_service = |(service, db): &(Service, Db)| {
            let names = service.definition().grpc_services;
            names.iter().map(|name| (*name, db.clone())).collect::<Vec<_>>()
        };
        let databases: Vec<_> = self.databases.iter().flat_map(of_service).collect();
        let audit = AuditLayer::try_new(AuditLog::new(databases.clone()), frontdesk_proto::DESCRIPTORS)?;
        for keys in services.iter().filter_map(|service| service.visitor_keys()) {
            self.identity.accept_visitor_keys(keys);
        }
        let tasks = self.clock_follower().into_iter().collect();
        let limits = self.settings.limits.clone();
        let admission = Admission::new(self.identity.clone(), self.access, audit, &limits, &self.clock);
        let admission = admission.with_accounts(databases);
        let drain = self.settings.drain;
        let settings = ServerSettings { drain, limits, tls: self.tls, in_process: Some(in_process), web };

        if !self.shutdown.is_cancelled() {
            announce();
        }
        let process = Process { services, bus: self.bus, tasks, ops, drain, shutdown: self.shutdown.clone() };
        let serve = |ready| {
            let Reflection { names: listed, descriptors } = reflection;
            let services = GrpcServices { routes, names, listed, descriptors, ready };
            frontdesk_server::serve(listener, services, admission, settings, self.shutdown)
        };
        let ended = frontdesk_service::run(process, serve).await;
        let _ = tokio::time::timeout(drain, self.identity.shutdown()).await;
        ended.map_err(ServerError::Server)
    }

    /// The gRPC services, and their names.
    fn routes(&self, services: &[Arc<dyn AnyService>]) -> (Routes, Vec<&'static str>) {
        let mut routes = RoutesBuilder::default();
        let mut names = Vec::new();
        for service in services {
            service.routes(&mut routes);
            names.extend(service.definition().grpc_services);
        }
        if self.development_key.is_some() {
            let mailbox = dev::Mailbox::new(self.mailbox_folder(), Pages::new(self.secret.clone()));
            dev::routes(self.clock.clone(), mailbox, self.settings.is_distributed(), &mut routes);
            names.extend(dev::GRPC_SERVICES);
        }
        (routes.routes(), names)
    }

    /// The folder that this process writes mails to, where it does.
    fn mailbox_folder(&self) -> Option<PathBuf> {
        let mails = self.databases.iter().any(|(service, _)| *service == Service::Notification);
        self.settings.notification.mailbox_folder(&self.settings.data_folder).filter(|_| mails)
    }

    /// The example pages, where this process serves them or says how to build them.
    fn example_pages(&self) -> Option<ExamplePages> {
        let folder = &self.settings.development.pages_folder;
        let key = self.development_key.clone().filter(|_| !self.settings.is_distributed());
        let key = key.filter(|_| !folder.as_os_str().is_empty())?;
        Some(ExamplePages { folder: folder.clone(), key, mailbox: self.mailbox_folder() })
    }

    /// Whether browsers find the example pages on the listener for browsers. None: not even how to build them.
    pub fn has_example_pages(&self) -> Option<bool> {
        self.example_pages().map(|pages| pages.are_built())
    }

    /// The task that keeps this clock in step: the processes of a distributed installation in development share one.
    fn clock_follower(&self) -> Option<Worker> {
        if !self.settings.is_distributed() || self.development_key.is_none() {
            return None;
        }
        let (clock, stop) = (self.clock.clone(), self.shutdown.clone());
        Some(Worker::new("clock", move || {
            let (clock, stop) = (clock.clone(), stop.clone());
            async move {
                let _ = stop.run_until_cancelled(development::follow(&clock)).await;
            }
        }))
    }

    /// The listener for browsers, where this process has services for them, or pages that links lead to.
    async fn listen_for_browsers(&self) -> Result<Option<WebListener>, ServerError> {
        let web = &self.settings.web;
        let own: Vec<Service> = self.databases.iter().map(|(service, _)| *service).collect();
        let mut services = web.services_of(&own);
        if self.has_example_pages() == Some(true) {
            for name in PAGE_SERVICES {
                if !services.iter().any(|served| served == name) {
                    services.push((*name).to_owned());
                }
            }
        }
        let address = web.address().filter(|_| !services.is_empty() || web.is_served_by(&own));
        let Some(listener) = listen("web.listen", address).await? else { return Ok(None) };
        Ok(Some(web.listener(listener, self.web_tls.clone(), services)?))
    }
}

/// Opens the listener of this setting, where it has an address.
async fn listen(setting: &'static str, address: Option<SocketAddr>) -> Result<Option<TcpListener>, ServerError> {
    let Some(address) = address else { return Ok(None) };
    let listener = TcpListener::bind(address).await;
    listener.map(Some).map_err(|source| ServerError::Http { listener: Listener { setting, address }, source })
}

/// The installation's secret; the development key serves as one where none is set.
fn installation_secret(
    settings: &Settings,
    development_key: Option<&DevelopmentKey>,
    clock: &Clock,
) -> Result<InstallationSecret, ServerError> {
    let identity = &settings.identity;
    match development_key {
        Some(key) if identity.secret.is_empty() => Ok(key.installation_secret().clone()),
        _ => Ok(InstallationSecret::try_new(&identity.secret, &identity.previous_secret, clock)?),
    }
}

/// Locks the data folder for this process.
fn lock(folder: &Path) -> Result<File, ServerError> {
    let unusable = |source| ServerError::DataFolder { folder: folder.to_owned(), source };
    let lock = File::create(folder.join("lock")).map_err(unusable)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(ServerError::Running(folder.to_owned())),
        Err(TryLockError::Error(source)) => Err(unusable(source)),
    }
}
