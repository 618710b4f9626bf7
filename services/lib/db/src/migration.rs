//! Migrations as SQL text, one for both databases.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, TransactionTrait};
use sea_orm_migration::{MigrationName, MigrationTrait, MigratorTrait, SchemaManager};

use crate::{Db, wall};

/// One migration. `{identity}` stands for a numbered primary key, `{bytes}` for the type of byte strings, the two words
/// that the databases spell differently; `{wall things}` puts the table of things behind the wall between accounts, where the
/// database has one.
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
        let (identity, bytes, walls) = match manager.get_database_backend() {
            DbBackend::Postgres => ("BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "BYTEA", true),
            _ => ("INTEGER PRIMARY KEY AUTOINCREMENT", "BLOB", false),
        };
        let text = wall::walled(self.text, walls).replace("{identity}", identity).replace("{bytes}", bytes);
        manager.get_connection().execute_unprepared(&text).await?;
        Ok(())
    }
}

/// Any number that nobody else on the server is likely to lock.
const MIGRATION_LOCK: i64 = 0x66_726f_6e74_6465;

/// Brings the schema up to date. Several that start at once do it one after the other, the later ones finding nothing to do.
pub async fn migrate<M: MigratorTrait>(db: &Db) -> Result<(), DbErr> {
    if db.is_sqlite() {
        return M::up(db.writer(), None).await;
    }
    // One transaction holds the lock and the changes: it ends with the process, however that ends, and leaves all or nothing.
    let tx = db.writer().begin().await?;
    tx.execute_unprepared("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")
        .await?;
    tx.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")).await?;
    M::up(&tx, None).await?;
    tx.commit().await
}

/// The migrations that this binary knows and the database has not had. One that only the database knows is a newer binary's:
/// schemas grow first, so that this one still runs.
pub async fn pending_migrations<M: MigratorTrait>(db: &Db) -> Result<Vec<String>, DbErr> {
    let mut applied: Vec<String> = Vec::new();
    if SchemaManager::new(db.writer()).has_table("seaql_migrations").await? {
        let all = Statement::from_string(db.writer().get_database_backend(), "SELECT version FROM seaql_migrations");
        for row in db.writer().query_all_raw(all).await? {
            applied.push(row.try_get("", "version")?);
        }
    }
    let known = M::migrations().into_iter().map(|migration| migration.name().to_owned());
    Ok(known.filter(|name| !applied.contains(name)).collect())
}
