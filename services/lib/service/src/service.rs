//! The trait that each service implements.

use std::{future::Future, sync::Arc, time::Duration};

use axum::Router;
use frontdesk_auth::VisitorKeyStore;
use frontdesk_bus::Bus;
use frontdesk_db::{AccountId, AccountTable, Db};
use futures::future::BoxFuture;
use sea_orm_migration::MigratorTrait;
use tonic::service::RoutesBuilder;

use crate::{ServiceContext, ServiceDefinition};

/// Why a service cannot be built: a setting or the address of a peer is invalid. The text says which and what to do.
pub type BuildError = Box<dyn std::error::Error + Send + Sync>;

/// A service. Clones share their state.
pub trait Service: Clone + Send + Sync + 'static {
    /// Name in commands, events, tokens and consumers, such as `bot-session`.
    const NAME: &'static str;
    /// Full names of the gRPC services that [`Service::routes`] adds.
    const GRPC_SERVICES: &'static [&'static str];
    /// Names of the services that it calls.
    const CALLS: &'static [&'static str];
    /// The tables with rows of accounts, in the order in which the rows are exported and erased: first those from which something is done.
    /// The record of an account's end and the audit log stay; the tables of libraries are known.
    const ACCOUNT_TABLES: &'static [AccountTable];
    /// Its schema.
    type Migrator: MigratorTrait;
    /// Settings of its own; `()` for a service without any.
    type Settings;

    /// Builds the service. Opens no connection and starts no task.
    fn try_new(context: ServiceContext, settings: Self::Settings) -> Result<Self, BuildError>;

    /// Adds its gRPC services.
    fn routes(&self, routes: &mut RoutesBuilder);

    /// Adds its consumers, before the first event is published.
    fn subscribe(&self, bus: &Bus);

    /// Background tasks beside those that every service has (outbox relay, retention).
    fn workers(&self) -> Vec<Worker> {
        Vec::new()
    }

    /// What an operator should repair although the service serves calls, one line each. `/readyz` shows them.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Routes of plain HTTP on the listener for browsers, beside the gRPC services. What they serve needs a permission of its own: no token
    /// of a caller was verified.
    fn http_routes(&self) -> Router {
        Router::new()
    }

    /// The keys that visitors' tokens are signed with, where this service holds them.
    fn visitor_keys(&self) -> Option<Arc<dyn VisitorKeyStore>> {
        None
    }

    /// Deletes the files of an account that has ended, after its rows. It is called again after a failure, and by several replicas.
    fn erase_files_of(&self, _account: AccountId) -> BoxFuture<'static, Result<(), BuildError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A background task of a service, restarted when it panics.
pub struct Worker {
    pub(crate) name: &'static str,
    pub(crate) start: Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>,
    /// How long it may take to end after a stop; zero where the process's own time is enough.
    pub(crate) drain: Duration,
}

impl Worker {
    /// A task that runs until the service's shutdown. `start` is called again after a panic.
    pub fn new<F>(name: &'static str, start: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self { name, start: Box::new(move || Box::pin(start())), drain: Duration::ZERO }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// A new run of the task, for simulations, which run one task at a time. [`run`](crate::run) runs all of them.
    pub fn start(&self) -> BoxFuture<'static, ()> {
        (self.start)()
    }

    /// Lets the task take this long to end after a stop, where the process would give it less.
    pub fn drains_for(self, drain: Duration) -> Self {
        Self { drain, ..self }
    }
}

/// A built service without its type, so that a process can hold several.
pub trait AnyService: Send + Sync {
    /// What is known of the service without building it.
    fn definition(&self) -> ServiceDefinition;
    /// See [`Service::routes`].
    fn routes(&self, routes: &mut RoutesBuilder);
    /// See [`Service::subscribe`].
    fn subscribe(&self, bus: &Bus);
    /// See [`Service::workers`].
    fn workers(&self) -> Vec<Worker>;
    /// See [`Service::warnings`].
    fn warnings(&self) -> Vec<String>;
    /// See [`Service::http_routes`].
    fn http_routes(&self) -> Router;
    /// See [`Service::visitor_keys`].
    fn visitor_keys(&self) -> Option<Arc<dyn VisitorKeyStore>>;
    /// See [`Service::erase_files_of`].
    fn erase_files_of(&self, account: AccountId) -> BoxFuture<'static, Result<(), BuildError>>;
    /// Its database.
    fn db(&self) -> &Db;
}

/// A service and the database that it was built on.
struct Built<S> {
    service: S,
    db: Db,
}

impl<S: Service> AnyService for Built<S> {
    fn definition(&self) -> ServiceDefinition {
        ServiceDefinition::of::<S>()
    }

    fn routes(&self, routes: &mut RoutesBuilder) {
        self.service.routes(routes);
    }

    fn subscribe(&self, bus: &Bus) {
        self.service.subscribe(bus);
    }

    fn workers(&self) -> Vec<Worker> {
        self.service.workers()
    }

    fn warnings(&self) -> Vec<String> {
        self.service.warnings()
    }

    fn http_routes(&self) -> Router {
        self.service.http_routes()
    }

    fn visitor_keys(&self) -> Option<Arc<dyn VisitorKeyStore>> {
        self.service.visitor_keys()
    }

    fn erase_files_of(&self, account: AccountId) -> BoxFuture<'static, Result<(), BuildError>> {
        self.service.erase_files_of(account)
    }

    fn db(&self) -> &Db {
        &self.db
    }
}

impl dyn AnyService {
    /// Builds a service from its context and settings.
    pub fn build<S: Service>(context: ServiceContext, settings: S::Settings) -> Result<Arc<Self>, BuildError> {
        let db = context.db.clone();
        Ok(Arc::new(Built { service: S::try_new(context, settings)?, db }))
    }
}
