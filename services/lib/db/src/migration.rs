//! Migrations as SQL text, one text for both databases.

use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait,
};
use sea_orm_migration::{MigrationName, MigrationTrait, MigratorTrait, SchemaManager};

use crate::{Db, row_level_security};

/// One migration. Four placeholders cover what the databases spell differently: `{identity}` is a numbered primary key,
/// `{bytes}` the type of byte strings, `{primary_key_only}` after the columns of a table stores its rows in the primary key alone,
/// where the database can, and `{row_level_security things}` enables row-level security on the table `things`, where the database
/// has it. `{row_level_security_conditions}` is part of [`POLICIES`](crate::POLICIES).
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
        let (identity, bytes, primary_key_only, has_row_level_security) = match manager.get_database_backend() {
            DbBackend::Postgres => ("BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "BYTEA", "", true),
            _ => ("INTEGER PRIMARY KEY AUTOINCREMENT", "BLOB", "WITHOUT ROWID", false),
        };
        let text = row_level_security::expand(self.text, has_row_level_security);
        let text = text.replace("{identity}", identity).replace("{bytes}", bytes);
        let text = text.replace("{primary_key_only}", primary_key_only);
        manager.get_connection().execute_unprepared(&text).await?;
        Ok(())
    }
}

/// Key of the advisory lock that one migrating process holds: any number that nothing else on the server is likely to use.
const MIGRATION_LOCK: i64 = 0x66_726f_6e74_6465;

/// Brings the schema up to date. Processes that start at once do it one after the other; the later ones find nothing to do.
/// All changes and their marks are one transaction: a process that is stopped meanwhile leaves the schema as it was.
pub async fn migrate<M: MigratorTrait>(db: &Db) -> Result<(), DbErr> {
    let options = TransactionOptions {
        // The lock from the start: another process waits instead of failing at its first change.
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let tx = db.writer().begin_with_options(options).await?;
    if !db.is_sqlite() {
        tx.execute_unprepared("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")
            .await?;
        tx.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")).await?;
    }
    if let Err(error) = M::up(&tx, None).await {
        return Err(if db.is_sqlite() { explained(&tx, error).await } else { error });
    }
    tx.commit().await
}

/// The error of a migration on SQLite, with what to do about a file that an older version left half changed: its changes and
/// their mark were not one transaction.
async fn explained(tx: &DatabaseTransaction, error: DbErr) -> DbErr {
    let text = error.to_string();
    if !text.contains(" already exists") && !text.contains("duplicate column name") {
        return error;
    }
    let main = Statement::from_string(DbBackend::Sqlite, "SELECT file FROM pragma_database_list WHERE name = 'main'");
    let row = tx.query_one_raw(main).await.ok().flatten();
    let file: String = row.and_then(|row| row.try_get("", "file").ok()).unwrap_or_default();
    DbErr::Migration(format!(
        "an earlier version of frontdesk was stopped while it created or upgraded {file}, which is half changed ({text}). If \
         the data folder holds no chats yet, delete the folder and start again; otherwise restore the folder from a backup and \
         start again"
    ))
}

/// Names of the migrations that this binary knows and the database has not had. Migrations that only the database knows are
/// those of a newer binary: schemas grow first, so that this binary still runs.
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
