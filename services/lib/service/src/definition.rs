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
            grpc_services: S::GRPC_SERVICES,
            calls: S::CALLS,
            account_tables: S::ACCOUNT_TABLES,
            migrate: |db| Box::pin(migrate::<S::Migrator>(db)),
            pending_migrations: |db| Box::pin(pending_migrations::<S::Migrator>(db)),
        }
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
