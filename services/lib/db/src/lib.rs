//! A service's database, SQLite or PostgreSQL: connecting, transactions, tenant isolation, migrations, retention. Start
//! reading at [`Db`].
//!
//! Writes go through a [`Tx`], which only [`Db::begin`] and its variants make. What must happen after a commit is given to
//! the transaction ([`Tx::on_commit`]) and happens then, or never.
//!
//! Statements for a caller use [`Db::begin_for`] and [`Db::read_for`]: on PostgreSQL they see the rows of one account and no
//! others (rule S2), also when a statement has no filter for it. The server's own work, over all accounts, uses the others.

mod account;
mod account_transaction;
mod accounts;
mod columns;
mod connect;
mod errors;
mod inspection;
mod json_rows;
mod migration;
mod plan_once;
mod retention;
mod row_level_security;
mod settings;
mod shared_sessions;
mod transaction;

use std::{sync::Arc, time::Duration};

use frontdesk_clock::{Clock, Time};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, IdenStatic, Iterable, SqliteTransactionMode, Statement,
    TransactionOptions, prelude::Uuid,
};
use tokio::sync::Notify;

pub use account::AccountId;
pub use accounts::{
    ACCOUNT_STATES, AccountRecord, AccountRowCursor, AccountRows, AccountState, AccountTable, ChildTable,
    accounts_not_in_use, accounts_to_erase, erase_account_rows, find_account_for_update, list_account_rows,
    lock_account, save_account,
};
pub use columns::Columns;
pub use errors::{
    is_conflict, is_connection_lost, is_timeout, is_transient, is_unique_violation, violated_unique_index,
};
pub use inspection::{Inspection, PostgresInspection};
pub use json_rows::{hex, json_array, json_rows};
pub use migration::{Sql, migrate, pending_migrations};
pub use plan_once::{planned, uuid_of_text};
pub use retention::{Retention, delete_expired, delete_expired_once};
pub use row_level_security::{POLICIES, Read};
pub use sea_orm::DbErr;
pub use settings::{AddressError, DatabaseUrl, DbSettings};
pub use transaction::{Connection, NOW_ON_POSTGRES, Tx};

/// Maximum number of connections for [`Db::begin_batch`] (PostgreSQL), opened at first use and beside those of the settings.
const BATCH_CONNECTIONS: u32 = 4;
/// Maximum number of connections for [`Db::read_planned_for`] (PostgreSQL), opened at first use and beside those of the settings. Few: a
/// pool gives its connections in turn, and each has plans and caches of its own.
const PLANNED_CONNECTIONS: u32 = 4;

/// For PostgreSQL: the condition that the query returns the value, for a statement of [`Db::begin_batch`].
///
/// With IS TRUE the planner keeps the query as a subquery and hashes its rows. It makes a plain IN a join, which compares each
/// value with each row.
pub fn is_in(value: &str, query: &str) -> String {
    format!("({value} IN ({query})) IS TRUE")
}

/// The columns of a table, or of a subquery with that name, as those of a result; `prefix` precedes their names, as
/// `FromQueryResult` takes it.
pub fn columns_as<C: Iterable + IdenStatic>(table: &str, prefix: &str) -> String {
    let columns = C::iter().map(|column| column.as_str().to_owned());
    columns.map(|column| format!("{table}.{column} AS {prefix}{column}")).collect::<Vec<_>>().join(", ")
}

/// A service's database. Clones share it.
#[derive(Clone)]
pub struct Db {
    pools: Arc<Pools>,
    clock: Clock,
    outbox: Arc<Notify>,
    accounts: Arc<accounts::AccountStates>,
}

/// The pools of connections. With SQLite some are the same.
struct Pools {
    write: DatabaseConnection,
    read: DatabaseConnection,
    planned: DatabaseConnection,
    batch: DatabaseConnection,
    statement: DatabaseConnection,
    relay: DatabaseConnection,
}

impl Db {
    /// Connects; a SQLite file is created when it does not exist.
    pub async fn connect(settings: &DbSettings, clock: &Clock) -> Result<Self, DbErr> {
        settings.url.check().map_err(|error| connect::unusable(&error))?;
        let url = &settings.url.0;
        let (clock, outbox, accounts) = (clock.clone(), Arc::default(), Arc::default());
        if url.starts_with("sqlite:") {
            // SQLite has one writer: one connection queues writes without 'busy' errors, the others read beside it.
            let (write, read) = (connect::sqlite(url, 1).await?, connect::sqlite(url, 4).await?);
            let (planned, batch, statement, relay) = (read.clone(), write.clone(), write.clone(), read.clone());
            let pools = Arc::new(Pools { write, read, planned, batch, statement, relay });
            return Ok(Self { pools, clock, outbox, accounts });
        }
        let pool = connect::postgres(url, settings.max_connections.unwrap_or(16), &[]).await?;
        let for_batches =
            async |connections| connect::postgres(url, connections, &connect::BATCH_PLANNER_SETTINGS).await;
        let batch = for_batches(BATCH_CONNECTIONS).await?;
        let planned = connect::postgres(url, PLANNED_CONNECTIONS, &connect::READ_PLANNER_SETTINGS).await?;
        // A pool gives its connections in turn. A task that executes one statement after the other has one connection, whose server
        // process has what the statements need in its caches.
        let (statement, relay) = (for_batches(1).await?, for_batches(1).await?);
        let pools = Pools { write: pool.clone(), read: pool, planned, batch, statement, relay };
        Ok(Self { pools: Arc::new(pools), clock, outbox, accounts })
    }

    /// For reads of the server's own work, outside a transaction.
    pub fn read(&self) -> &DatabaseConnection {
        &self.pools.read
    }

    /// For reads on behalf of a caller of the account. Drop it as soon as the queries are done.
    pub async fn read_for(&self, account: AccountId) -> Result<Read, DbErr> {
        self.read_on(&self.pools.read, account).await
    }

    /// Like [`Self::read_for`], for a statement of [`planned`] that finds each row by a key or in the order of an index. On PostgreSQL
    /// these have connections of their own, where a statement is planned once, whatever the values of its parameters.
    pub async fn read_planned_for(&self, account: AccountId) -> Result<Read, DbErr> {
        self.read_on(&self.pools.planned, account).await
    }

    async fn read_on(&self, pool: &DatabaseConnection, account: AccountId) -> Result<Read, DbErr> {
        if self.is_sqlite() {
            return Ok(Read(Connection::Pool(pool.clone())));
        }
        Ok(Read(transaction::begin_with(pool, row_level_security::read_for(account)).await?))
    }

    /// Begins a transaction of the server's own work.
    pub async fn begin(&self) -> Result<Tx, DbErr> {
        self.begin_on(&self.pools.write).await
    }

    /// Begins a transaction on behalf of a caller of the account.
    pub async fn begin_for(&self, account: AccountId) -> Result<Tx, DbErr> {
        if self.is_sqlite() {
            return self.begin_on(&self.pools.write).await;
        }
        Ok(self.tx(transaction::begin_with(&self.pools.write, row_level_security::write_for(account)).await?))
    }

    /// Like [`Self::begin`], for a few large statements that find each row by its key. On PostgreSQL these have connections of
    /// their own, where a statement is planned once, whatever its number of rows.
    pub async fn begin_batch(&self) -> Result<Tx, DbErr> {
        self.begin_on(&self.pools.batch).await
    }

    /// Like [`Self::begin_batch`] (PostgreSQL), for a write in one statement, which commits by itself: no round trips to begin and
    /// to commit. After an error of the statement nothing was written, unless the connection was lost. All such statements share
    /// one connection.
    pub fn begin_statement(&self) -> Tx {
        self.tx(Connection::Pool(self.pools.statement.clone()))
    }

    /// Like [`Self::begin_statement`], on the connection of the relay of the outbox.
    pub fn begin_relay_statement(&self) -> Tx {
        self.tx(Connection::Pool(self.pools.relay.clone()))
    }

    /// For the reads of the relay of the outbox.
    pub fn relay(&self) -> &DatabaseConnection {
        &self.pools.relay
    }

    async fn begin_on(&self, pool: &DatabaseConnection) -> Result<Tx, DbErr> {
        let options = TransactionOptions {
            // A deferred transaction that reads first fails at once when another one wrote meanwhile, whatever the busy
            // timeout.
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        Ok(self.tx(transaction::begin(pool, options).await?))
    }

    fn tx(&self, conn: Connection) -> Tx {
        Tx { conn, clock: self.clock.clone(), outbox: self.outbox.clone(), on_commit: Vec::new() }
    }

    /// Whether it is SQLite; otherwise it is PostgreSQL.
    pub fn is_sqlite(&self) -> bool {
        self.pools.write.get_database_backend() == DbBackend::Sqlite
    }

    /// True: the role that connects is a superuser or has BYPASSRLS, so that row-level security does not isolate accounts.
    /// Always false on SQLite, which has neither roles nor row-level security.
    pub async fn bypasses_row_level_security(&self) -> Result<bool, DbErr> {
        if self.is_sqlite() { Ok(false) } else { row_level_security::is_bypassed(&self.pools.read).await }
    }

    /// True: a connection pooler gives one session of PostgreSQL to several connections, for each transaction or statement. Frontdesk cannot
    /// use it: its connections have settings and prepared statements. Always false on SQLite.
    pub async fn shares_sessions(&self) -> Result<bool, DbErr> {
        if self.is_sqlite() {
            return Ok(false);
        }
        shared_sessions::is_shared(&self.pools.write, &self.pools.planned, self.new_id()).await
    }

    /// SQLite: writes the file anew and empties its write-ahead log, so that neither has a byte of a row that was deleted or changed before.
    /// It takes as long as a copy of the file, and writers wait. It fails while a reader needs the log: try again. PostgreSQL removes
    /// old versions of rows by itself (autovacuum); nothing is done.
    pub async fn purge_deleted_rows(&self) -> Result<(), DbErr> {
        if !self.is_sqlite() {
            return Ok(());
        }
        // In memory the copy could be too large. It is a file that SQLite deletes.
        let vacuum = "PRAGMA temp_store = FILE; VACUUM; PRAGMA temp_store = MEMORY";
        self.pools.write.execute_unprepared(vacuum).await?;
        let empty = Statement::from_string(DbBackend::Sqlite, "PRAGMA wal_checkpoint(TRUNCATE)");
        let log = self.pools.write.query_one_raw(empty).await?;
        match log.map(|log| log.try_get::<i64>("", "busy")).transpose()? {
            Some(0) => Ok(()),
            _ => Err(DbErr::Custom("a reader needs the write-ahead log; try again".into())),
        }
    }

    /// The time by this database's clock, for waiting and for reads; a decision asks its transaction ([`Tx::now`]).
    pub async fn now(&self) -> Result<Time, DbErr> {
        transaction::now(&self.pools.read, &self.clock).await
    }

    /// How far the process's clock was moved forward.
    pub fn clock_offset(&self) -> Duration {
        self.clock.offset()
    }

    /// A new id ([`Clock::new_id`]).
    pub fn new_id(&self) -> Uuid {
        self.clock.new_id()
    }

    /// Notified when a transaction that wrote events has committed.
    pub fn outbox_written(&self) -> &Notify {
        &self.outbox
    }

    /// Whether the account is in use, as this database has it: at most 5 s old, and after [`Self::forget_account_states`] read anew.
    pub async fn account_state(&self, account: AccountId) -> Result<AccountState, DbErr> {
        self.accounts.state(self, account).await
    }

    /// The next call of [`Self::account_state`] reads the states, for [`Tx::on_commit`] of a change.
    pub fn forget_account_states(&self) {
        self.accounts.forget();
    }

    /// The connection that writes, for migrations.
    pub(crate) fn writer(&self) -> &DatabaseConnection {
        &self.pools.write
    }
}
