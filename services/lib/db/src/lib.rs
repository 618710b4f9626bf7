//! A service's database, SQLite or PostgreSQL: connecting, transactions, migrations. Start reading at [`Db`].
//!
//! Writes go through a [`Tx`], which only [`Db::begin`] and its like make; what shall happen after a commit is said to the
//! transaction ([`Tx::on_commit`]) and happens then or never.
//!
//! What a caller asked for uses [`Db::begin_for`] and [`Db::read_for`]: on PostgreSQL they see one account's rows and no
//! others (rule S2), whatever the statement forgets. The suite's own work, over all accounts, uses the others.

mod lost;
mod migration;
mod wall;

use std::{sync::Arc, time::Duration};

use frontdesk_clock::{Clock, Time};
use sea_orm::{
    AccessMode, ConnectOptions, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
    prelude::Uuid,
    sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous},
};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

pub use lost::{is_connection_lost, is_outage};
pub use migration::{Sql, migrate, pending_migrations};
pub use sea_orm::DbErr;
pub use wall::Read;

/// Where a service's database is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DbSettings {
    /// `sqlite://path/to/file` or `postgres://user:password@host/database`. Empty: a file in the data folder.
    pub url: DatabaseUrl,
    /// Connections at most (PostgreSQL), 16 by default.
    pub max_connections: Option<u32>,
}

/// A database's address. Shown without what may be a password.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct DatabaseUrl(pub String);

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A password may stand before the host or among the parameters.
        let (address, parameters) =
            self.0.split_once('?').map_or((self.0.as_str(), ""), |(address, _)| (address, "?(hidden)"));
        match (address.split_once("://"), address.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, host))) => write!(formatter, "{scheme}://(hidden)@{host}{parameters}"),
            _ => write!(formatter, "{address}{parameters}"),
        }
    }
}

impl Serialize for DatabaseUrl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{self:?}"))
    }
}

/// Whoever gets no connection within so long is told that the database is busy or away.
const ACQUIRE_WITHIN: Duration = Duration::from_secs(3);

/// Connections at most for [`Db::begin_keyed`] (PostgreSQL), opened at first use.
const KEYED_CONNECTIONS: u32 = 4;

/// How those plan. The planner knows neither how many rows come nor that the tables grow while it keeps a plan: left alone it
/// plans anew for each group, and reads whole tables while they are small.
const KEYED_PLANS: [(&str, &str); 4] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
];

/// A service's database. Clones share it.
#[derive(Clone)]
pub struct Db {
    write: DatabaseConnection,
    read: DatabaseConnection,
    keyed: DatabaseConnection,
    clock: Clock,
    outbox: Arc<Notify>,
}

impl Db {
    /// Connects; a SQLite file is created when it is not there.
    pub async fn connect(settings: &DbSettings, clock: &Clock) -> Result<Self, DbErr> {
        let url = &settings.url.0;
        let (write, read, keyed) = if url.starts_with("sqlite:") {
            // SQLite has one writer: one connection queues writes without 'busy' errors, the others read beside it.
            let write = sqlite(url, 1).await?;
            (write.clone(), sqlite(url, 4).await?, write)
        } else {
            let pool = postgres(url, settings.max_connections.unwrap_or(16), &[]).await?;
            (pool.clone(), pool, postgres(url, KEYED_CONNECTIONS, &KEYED_PLANS).await?)
        };
        Ok(Self { write, read, keyed, clock: clock.clone(), outbox: Arc::default() })
    }

    /// For the suite's own reads, outside a transaction.
    pub fn read(&self) -> &DatabaseConnection {
        &self.read
    }

    /// For what a caller of the account reads; to be dropped when that is done.
    pub async fn read_for(&self, account: Uuid) -> Result<Read, DbErr> {
        if self.is_sqlite() {
            return Ok(Read(wall::Inner::Pool(self.read.clone())));
        }
        let options = TransactionOptions::default();
        Ok(Read(wall::Inner::Walled(begin(&self.read, options, Some(wall::read_for(account))).await?)))
    }

    /// Begins a transaction of the suite's own that may write. Dropping it without a commit rolls it back.
    pub async fn begin(&self) -> Result<Tx, DbErr> {
        self.begin_on(&self.write, None).await
    }

    /// The same for what a caller of the account writes.
    pub async fn begin_for(&self, account: Uuid) -> Result<Tx, DbErr> {
        let first = (!self.is_sqlite()).then(|| wall::write_for(account));
        self.begin_on(&self.write, first).await
    }

    /// Like [`Self::begin`], for few large statements that find every row by its key and are planned once for any number of
    /// rows.
    pub async fn begin_keyed(&self) -> Result<Tx, DbErr> {
        self.begin_on(&self.keyed, None).await
    }

    async fn begin_on(&self, pool: &DatabaseConnection, first: Option<String>) -> Result<Tx, DbErr> {
        let options = TransactionOptions {
            // A deferred one that reads first fails at once when another wrote meanwhile, whatever the busy timeout.
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        Ok(Tx {
            inner: begin(pool, options, first).await?,
            clock: self.clock.clone(),
            outbox: self.outbox.clone(),
            after: Vec::new(),
        })
    }

    /// Begins a transaction that sees one state of the database and writes nothing.
    pub async fn snapshot(&self) -> Result<DatabaseTransaction, DbErr> {
        let isolation_level = Some(sea_orm::IsolationLevel::RepeatableRead);
        let options = match self.read.get_database_backend() {
            DbBackend::Sqlite => TransactionOptions::default(),
            _ => TransactionOptions {
                isolation_level,
                access_mode: Some(AccessMode::ReadOnly),
                ..TransactionOptions::default()
            },
        };
        begin(&self.read, options, None).await
    }

    /// Which kind it is.
    pub fn is_sqlite(&self) -> bool {
        self.write.get_database_backend() == DbBackend::Sqlite
    }

    /// True: the wall between accounts does not hold the role that connects, because it is a superuser or may bypass row-level
    /// security. SQLite has neither roles nor a wall.
    pub async fn passes_walls(&self) -> Result<bool, DbErr> {
        if self.is_sqlite() { Ok(false) } else { wall::is_passed(&self.read).await }
    }

    /// The time by this database's clock, for waiting and for reads; a decision asks its transaction ([`Tx::now`]).
    pub async fn now(&self) -> Result<Time, DbErr> {
        now(&self.read, &self.clock).await
    }

    /// Woken when a transaction that wrote events has committed.
    pub fn outbox_written(&self) -> &Notify {
        &self.outbox
    }

    /// The connection that writes, for migrations.
    pub(crate) fn writer(&self) -> &DatabaseConnection {
        &self.write
    }
}

/// Begins in a task of its own: a future dropped while BEGIN is on its way would give the connection back inside an open
/// transaction, and what others write on it would vanish. The task comes to its end, and drops what nobody wants. `first` is
/// executed before anybody has the transaction.
async fn begin(
    pool: &DatabaseConnection,
    options: TransactionOptions,
    first: Option<String>,
) -> Result<DatabaseTransaction, DbErr> {
    let pool = pool.clone();
    let begun = tokio::spawn(async move {
        let tx = pool.begin_with_options(options).await?;
        if let Some(first) = first {
            tx.execute_unprepared(&first).await?;
        }
        Ok(tx)
    });
    begun.await.map_err(|error| DbErr::Custom(format!("beginning a transaction: {error}")))?
}

async fn sqlite(url: &str, connections: u32) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(Duration::from_secs(30))
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(|options| {
            options
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                // What is acknowledged survives a power cut.
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .busy_timeout(Duration::from_secs(10))
        })
        .map_sqlx_sqlite_pool_opts(|pool| pool.idle_timeout(None).max_lifetime(None));
    sea_orm::Database::connect(options).await
}

async fn postgres(
    url: &str,
    connections: u32,
    more: &'static [(&'static str, &'static str)],
) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        // At first use: a replica starts also while the server is away, and serves when it is back.
        .connect_lazy(true)
        .connect_timeout(Duration::from_secs(2))
        .acquire_timeout(ACQUIRE_WITHIN)
        // A busy connection proves itself; asking each time would cost a round trip.
        .test_before_acquire_if_idle_for(Duration::from_millis(500))
        .sqlx_logging(false)
        .map_sqlx_postgres_opts(move |options| {
            let options = options.application_name("frontdesk").options(more.iter().copied());
            options.options([
                // The suite's own; a transaction for a caller narrows it to their account.
                (wall::ACCOUNT, wall::EVERY_ACCOUNT),
                ("statement_timeout", "15s"),
                ("lock_timeout", "10s"),
                // Ours are never idle for long; one whose process stands still gives its locks back before others are late
                // (a timeout has five seconds).
                ("idle_in_transaction_session_timeout", "3s"),
                // A server that is gone without a word is noticed by the kernel.
                ("tcp_keepalives_idle", "10"),
                ("tcp_keepalives_interval", "3"),
                ("tcp_user_timeout", "10s"),
            ])
        });
    sea_orm::Database::connect(options).await
}

async fn now(conn: &impl ConnectionTrait, clock: &Clock) -> Result<Time, DbErr> {
    if conn.get_database_backend() == DbBackend::Sqlite {
        return Ok(clock.now());
    }
    let now = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now";
    let row = conn.query_one_raw(Statement::from_string(DbBackend::Postgres, now)).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound("clock_timestamp()".into()))?;
    Ok(Time(row.try_get("", "now")?).plus(clock.offset()))
}

/// A transaction that may write.
pub struct Tx {
    inner: DatabaseTransaction,
    clock: Clock,
    outbox: Arc<Notify>,
    after: Vec<Box<dyn FnOnce() + Send + Sync>>,
}

impl Tx {
    /// For statements.
    pub fn conn(&self) -> &DatabaseTransaction {
        &self.inner
    }

    /// The time by this database's clock, the one clock that decides about it. SQLite lives in this process: its clock is
    /// the process's.
    pub async fn now(&self) -> Result<Time, DbErr> {
        now(&self.inner, &self.clock).await
    }

    /// Does this once the transaction has committed; never, if it does not.
    pub fn on_commit(&mut self, then: impl FnOnce() + Send + Sync + 'static) {
        self.after.push(Box::new(then));
    }

    /// Wakes who waits for [`Db::outbox_written`] once the transaction has committed.
    pub fn wake_outbox_on_commit(&mut self) {
        let outbox = self.outbox.clone();
        self.on_commit(move || outbox.notify_one());
    }

    /// Commits, then does what was asked for after the commit.
    pub async fn commit(self) -> Result<(), DbErr> {
        self.inner.commit().await?;
        self.after.into_iter().for_each(|then| then());
        Ok(())
    }
}

/// True: a unique index refused the row. Which one is known to who wrote it.
pub fn is_unique_violation(error: &DbErr) -> bool {
    use sea_orm::RuntimeErr::SqlxError;
    match error {
        DbErr::Exec(SqlxError(error)) | DbErr::Query(SqlxError(error)) => {
            error.as_database_error().is_some_and(|error| error.is_unique_violation())
        }
        _ => false,
    }
}
