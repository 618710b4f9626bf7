//! A transaction that may write.

use std::{sync::Arc, time::Duration};

use frontdesk_clock::{Clock, Time};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, Statement,
    TransactionOptions, TransactionTrait, prelude::Uuid,
};
use tokio::sync::Notify;

use crate::{account_transaction::AccountTransaction, connect::LOCK_TIMEOUT};

/// A transaction that may write. Dropping it without a commit rolls it back, except one of [`Db::begin_statement`](crate::Db::begin_statement),
/// whose statement commits by itself.
pub struct Tx {
    pub(crate) conn: Connection,
    pub(crate) clock: Clock,
    pub(crate) outbox: Arc<Notify>,
    pub(crate) on_commit: Vec<Box<dyn FnOnce() + Send + Sync>>,
}

impl Tx {
    /// For statements.
    pub fn conn(&self) -> &Connection {
        &self.conn
    }

    /// The time by the database's clock, the one clock that decides about its rows. SQLite lives in this process: its clock
    /// is the process's.
    pub async fn now(&self) -> Result<Time, DbErr> {
        now(&self.conn, &self.clock).await
    }

    /// Maximum time that each further statement waits for a lock before it fails ([`is_conflict`](crate::is_conflict)). None: that of the
    /// connection. SQLite has no locks of rows: it changes nothing there.
    pub async fn limit_lock_waits(&self, limit: Option<Duration>) -> Result<(), DbErr> {
        if self.conn.get_database_backend() == DbBackend::Sqlite {
            return Ok(());
        }
        let limit = limit.map_or(LOCK_TIMEOUT.to_owned(), |limit| format!("{}ms", limit.as_millis()));
        self.conn.execute_unprepared(&format!("SET LOCAL lock_timeout = '{limit}'")).await?;
        Ok(())
    }

    /// How far the process's clock was moved forward.
    pub fn clock_offset(&self) -> Duration {
        self.clock.offset()
    }

    /// The id of a new row ([`Clock::new_id`]).
    pub fn new_id(&self) -> Uuid {
        self.clock.new_id()
    }

    /// Calls `action` after the transaction has committed; never, when it does not commit.
    pub fn on_commit(&mut self, action: impl FnOnce() + Send + Sync + 'static) {
        self.on_commit.push(Box::new(action));
    }

    /// Wakes a waiter of [`Db::outbox_written`](crate::Db::outbox_written) after the transaction has committed.
    pub fn wake_outbox_on_commit(&mut self) {
        let outbox = self.outbox.clone();
        self.on_commit(move || outbox.notify_one());
    }

    /// Commits, then calls the actions given to [`Self::on_commit`], in their order.
    pub async fn commit(self) -> Result<(), DbErr> {
        if !matches!(self.conn, Connection::Pool(_)) {
            fail::fail_point!("before-commit", |_| std::process::abort());
            self.conn.commit().await?;
        }
        fail::fail_point!("after-commit", |_| std::process::abort());
        self.on_commit.into_iter().for_each(|action| action());
        Ok(())
    }
}

/// What the statements of a [`Tx`] or of a [`Read`](crate::Read) are executed on.
#[derive(Debug)]
pub enum Connection {
    /// An open transaction.
    Transaction(DatabaseTransaction),
    /// An open transaction for one account (PostgreSQL).
    Account(AccountTransaction),
    /// A pool: each statement is a transaction of its own ([`Db::begin_statement`](crate::Db::begin_statement)).
    Pool(DatabaseConnection),
}

impl Connection {
    async fn commit(self) -> Result<(), DbErr> {
        match self {
            Self::Transaction(transaction) => transaction.commit().await,
            Self::Account(transaction) => transaction.commit().await,
            Self::Pool(_) => Ok(()),
        }
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Connection {
    fn get_database_backend(&self) -> DbBackend {
        match self {
            Self::Transaction(transaction) => transaction.get_database_backend(),
            Self::Account(_) => DbBackend::Postgres,
            Self::Pool(pool) => pool.get_database_backend(),
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        match self {
            Self::Transaction(transaction) => transaction.execute_raw(statement).await,
            Self::Account(transaction) => transaction.execute(statement).await,
            Self::Pool(pool) => pool.execute_raw(statement).await,
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match self {
            Self::Transaction(transaction) => transaction.execute_unprepared(sql).await,
            Self::Account(transaction) => transaction.execute_unprepared(sql).await,
            Self::Pool(pool) => pool.execute_unprepared(sql).await,
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match self {
            Self::Transaction(transaction) => transaction.query_one_raw(statement).await,
            Self::Account(transaction) => transaction.query_one(statement).await,
            // sqlx returns the first row before the server has reported the commit of the statement.
            Self::Pool(pool) => Ok(pool.query_all_raw(statement).await?.into_iter().next()),
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match self {
            Self::Transaction(transaction) => transaction.query_all_raw(statement).await,
            Self::Account(transaction) => transaction.query_all(statement).await,
            Self::Pool(pool) => pool.query_all_raw(statement).await,
        }
    }
}

/// For functions that take a reference to any connection, as those of [`Read::conn`](crate::Read::conn) are given.
#[async_trait::async_trait]
impl ConnectionTrait for &Connection {
    fn get_database_backend(&self) -> DbBackend {
        (**self).get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        (**self).execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        (**self).execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        (**self).query_one_raw(statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        (**self).query_all_raw(statement).await
    }
}

/// Begins a transaction of the server's own work.
pub(crate) async fn begin(pool: &DatabaseConnection, options: TransactionOptions) -> Result<Connection, DbErr> {
    let pool = pool.clone();
    in_task(async move { Ok(Connection::Transaction(pool.begin_with_options(options).await?)) }).await
}

/// Begins a transaction for one account (PostgreSQL) with these statements, the first of which is BEGIN.
pub(crate) async fn begin_with(pool: &DatabaseConnection, statements: String) -> Result<Connection, DbErr> {
    let pool = pool.clone();
    in_task(async move { Ok(Connection::Account(AccountTransaction::begin(&pool, statements).await?)) }).await
}

/// Begins in a task of its own: a future dropped while BEGIN is in flight would return the connection to the pool inside an
/// open transaction, and what others write on it would vanish. The task ends in any case, and drops a transaction that no
/// caller waits for.
async fn in_task(begin: impl Future<Output = Result<Connection, DbErr>> + Send + 'static) -> Result<Connection, DbErr> {
    tokio::spawn(begin).await.map_err(|error| DbErr::Custom(format!("beginning a transaction: {error}")))?
}

/// The time by PostgreSQL's own clock in microseconds, as an expression of a statement.
pub const NOW_ON_POSTGRES: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

pub(crate) async fn now(conn: &impl ConnectionTrait, clock: &Clock) -> Result<Time, DbErr> {
    if conn.get_database_backend() == DbBackend::Sqlite {
        return Ok(clock.now());
    }
    let now = Statement::from_string(DbBackend::Postgres, format!("SELECT {NOW_ON_POSTGRES} AS now"));
    let row = conn.query_one_raw(now).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound("clock_timestamp()".into()))?;
    Ok(Time(row.try_get("", "now")?).plus(clock.offset()))
}
