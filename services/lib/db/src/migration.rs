//! Migrations as SQL text, one for both databases.

use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, MigratorTrait, SchemaManager};

use crate::Db;

/// One migration. `{identity}` stands for a numbered primary key, `{bytes}` for the type of byte strings, the two words
/// that the databases spell differently.
pub struct Sql {
    /// Its name: number and what changes.
    pub name: &'static str,
    /// Its statements.
    pub text: &'static str,
}

impl MigrationName for Sql {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Sql {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let (identity, bytes) = match manager.get_database_backend() {
            DbBackend::Postgres => ("BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "BYTEA"),
            _ => ("INTEGER PRIMARY KEY AUTOINCREMENT", "BLOB"),
        };
        let text = self.text.replace("{identity}", identity).replace("{bytes}", bytes);
        manager.get_connection().execute_unprepared(&text).await?;
        Ok(())
    }
}

/// Brings the schema up to date.
pub async fn migrate<M: MigratorTrait>(db: &Db) -> Result<(), DbErr> {
    M::up(db.writer(), None).await
}
