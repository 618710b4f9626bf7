//! What is known of a service before it is built.

use frontdesk_db::{AccountTable, Db, DbErr, migrate, pending_migrations};
use futures::future::BoxFuture;

use crate::Service;

/// An operation on a service's database.
type OnDatabase<T> = for<'a> fn(&'a Db) -> BoxFuture<'a, Result<T, DbErr>>;

/// A service's names and schema.
#[derive(Clone, Copy)]
pub struct ServiceDefinition {
    /// See [`Service::NAME`].
    pub name: &'static str,
    /// See [`Service::PACKAGE`].
    pub package: &'static str,
    /// See [`Service::GRPC_SERVICES`].
    pub grpc_services: &'static [&'static str],
    /// See [`Service::CALLS`].
    pub calls: &'static [&'static str],
    /// See [`Service::ACCOUNT_TABLES`].
    pub account_tables: &'static [AccountTable],
    migrate: OnDatabase<()>,
    pending_migrations: OnDatabase<Vec<String>>,
}

impl ServiceDefinition {
    /// The definition of the service `S`.
    pub fn of<S: Service>() -> Self {
        Self {
            name: S::NAME,
            package: S::PACKAGE,
            grpc_services: S::GRPC_SERVICES,
            calls: S::CALLS,
            account_tables: S::ACCOUNT_TABLES,
            migrate: |db| Box::pin(migrate::<S::Migrator>(db)),
            pending_migrations: |db| Box::pin(pending_migrations::<S::Migrator>(db)),
        }
    }

    /// What the paths of its methods begin with: its package, and the names of its gRPC services in other packages.
    pub fn path_prefixes(&self) -> impl Iterator<Item = &'static str> + use<> {
        let (package, services) = (self.package, self.grpc_services);
        let is_other = move |name: &&'static str| !name.starts_with(package.trim_end_matches("v1"));
        std::iter::once(package).chain(services.iter().copied().filter(is_other))
    }

    /// Brings the service's database up to date.
    pub async fn migrate(&self, db: &Db) -> Result<(), DbErr> {
        (self.migrate)(db).await
    }

    /// Names of the migrations that the database lacks.
    pub async fn pending_migrations(&self, db: &Db) -> Result<Vec<String>, DbErr> {
        (self.pending_migrations)(db).await
    }
}
