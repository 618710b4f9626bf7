//! Connection pools of both databases.

use std::{fmt::Display, time::Duration};

use sea_orm::{
    ConnectOptions, DatabaseConnection, DbErr, RuntimeErr,
    sqlx::{
        AssertSqlSafe, Executor,
        sqlite::{SqliteJournalMode, SqliteSynchronous},
    },
};

use crate::row_level_security;

/// How long a statement waits for a free connection (PostgreSQL) before it fails as transient.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// Maximum time that a statement waits for a lock (PostgreSQL), as the server reads it.
pub(crate) const LOCK_TIMEOUT: &str = "10s";

/// Planner settings of the batch pool. The planner knows neither how many rows a batch has nor that the tables grow while it
/// keeps a plan: with its defaults it plans each batch again, and reads whole tables while they are small.
pub(crate) const BATCH_PLANNER_SETTINGS: [(&str, &str); 4] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
];

/// Planner settings of the pool for reads that are planned once. The planner takes every thread for a short one: it would look for the
/// newest entry of a long one by reading and sorting all of them, which it can without an index in their order only.
pub(crate) const READ_PLANNER_SETTINGS: [(&str, &str); 5] = {
    let [plans, scans, hashes, merges] = BATCH_PLANNER_SETTINGS;
    [plans, scans, hashes, merges, ("enable_bitmapscan", "off")]
};

/// Settings of every connection to PostgreSQL.
const SESSION_SETTINGS: [(&str, &str); 7] = [
    // For the server's own work; a transaction for a caller narrows it to the caller's account.
    (row_level_security::ACCOUNT, row_level_security::ALL_ACCOUNTS),
    ("statement_timeout", "15s"),
    ("lock_timeout", LOCK_TIMEOUT),
    // Transactions here are never idle for long. When a process is stopped inside one, its locks are released
    // before the work of other replicas is late (a bot's timeout has five seconds).
    ("idle_in_transaction_session_timeout", "3s"),
    // The kernel notices a database host that vanished.
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "3"),
    ("tcp_user_timeout", "10s"),
];

/// Memory of each SQLite connection for pages, in KiB, as SQLite writes it: negative.
const SQLITE_CACHE: &str = "-16384";
/// Number of pages of 4 KiB in the write-ahead log after which SQLite copies them into the database. A page that changes often is
/// copied once; after a crash the log is read, which takes about as long as reading a file of its size.
const SQLITE_CHECKPOINT_PAGES: &str = "8192";

pub(crate) async fn sqlite(url: &str, connections: u32) -> Result<DatabaseConnection, DbErr> {
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
                // A committed transaction survives a power cut.
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                // A statement that changes many rows keeps what undoes it; in a file this is as much as it writes.
                .pragma("temp_store", "MEMORY")
                .pragma("cache_size", SQLITE_CACHE)
                .pragma("wal_autocheckpoint", SQLITE_CHECKPOINT_PAGES)
                .busy_timeout(Duration::from_secs(10))
        })
        .map_sqlx_sqlite_pool_opts(|pool| pool.idle_timeout(None).max_lifetime(None));
    sea_orm::Database::connect(options).await
}

pub(crate) async fn postgres(
    url: &str,
    connections: u32,
    planner_settings: &'static [(&'static str, &'static str)],
) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        // Connect at first use: a replica starts also while the database is down, and serves when it is back.
        .connect_lazy(true)
        .connect_timeout(Duration::from_secs(2))
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A connection that was used just now works; testing it each time would cost a round trip.
        .test_before_acquire_if_idle_for(Duration::from_millis(500))
        .sqlx_logging(false)
        // PgBouncer accepts few parameters of a new connection; not this one, whose default is as good since PostgreSQL 12.
        .map_sqlx_postgres_opts(|options| options.application_name("frontdesk").extra_float_digits(None::<i8>))
        .map_sqlx_postgres_pool_opts(move |options| {
            options.after_connect(move |conn, _| {
                Box::pin(async move {
                    let statements = AssertSqlSafe(set_all(&[&SESSION_SETTINGS, planner_settings]));
                    Executor::execute(conn, statements).await.map(|_| ())
                })
            })
        });
    // It connects at first use, so what fails here is the address, which the error would quote with its password.
    sea_orm::Database::connect(options).await.map_err(|_| {
        unusable(&"PostgreSQL does not know its parameters (after the ?); sslmode and sslrootcert are usual ones")
    })
}

/// The statements that set these for the session, sent together. As parameters of the new connection PgBouncer would refuse them.
fn set_all(settings: &[&[(&str, &str)]]) -> String {
    let statements = settings.iter().copied().flatten().map(|(name, value)| format!("SET {name} = '{value}'"));
    statements.collect::<Vec<_>>().join("; ")
}

/// The error of an address that cannot be used, without the address.
pub(crate) fn unusable(why: &dyn Display) -> DbErr {
    DbErr::Conn(RuntimeErr::Internal(format!("its address cannot be used: {why}")))
}
