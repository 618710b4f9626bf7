//! A transaction for one account on PostgreSQL: what sets the account is sent together with BEGIN, in one round trip. sea-orm sends
//! BEGIN alone.

use sea_orm::{
    ConnAcquireErr, DatabaseConnection, DbErr, ExecResult, QueryResult, RuntimeErr, Statement,
    sea_query::Values,
    sqlx::{self, AssertSqlSafe, Executor, PgConnection, Postgres, SqlSafeStr, pool::PoolConnection, query::Query},
};
use sea_query_sqlx::SqlxValues;
use sqlx_core::transaction::TransactionManager;
use tokio::sync::Mutex;

type Transactions = <Postgres as sqlx::Database>::TransactionManager;

/// An open transaction. Dropping it without a commit rolls it back.
#[derive(Debug)]
pub struct AccountTransaction {
    conn: Mutex<PoolConnection<Postgres>>,
    is_open: bool,
}

impl AccountTransaction {
    /// Begins with these statements, of which the first is BEGIN. The future must not be dropped before it is done.
    pub(crate) async fn begin(pool: &DatabaseConnection, statements: String) -> Result<Self, DbErr> {
        let mut conn = pool.get_postgres_connection_pool().acquire().await.map_err(not_acquired)?;
        let statements = AssertSqlSafe(statements).into_sql_str();
        if let Err(error) = Transactions::begin(&mut conn, Some(statements)).await {
            // The transaction may have begun, and nothing would end it: the pool must not get the connection back.
            conn.close_on_drop();
            return Err(query_error(error));
        }
        Ok(Self { conn: Mutex::new(conn), is_open: true })
    }

    pub(crate) async fn commit(mut self) -> Result<(), DbErr> {
        Transactions::commit(self.conn.get_mut()).await.map_err(query_error)?;
        self.is_open = false;
        Ok(())
    }

    pub(crate) async fn execute(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let mut guard = self.conn.lock().await;
        let conn: &mut PgConnection = &mut guard;
        query(statement).execute(conn).await.map(ExecResult::from).map_err(exec_error)
    }

    pub(crate) async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let mut guard = self.conn.lock().await;
        let conn: &mut PgConnection = &mut guard;
        Executor::execute(conn, AssertSqlSafe(sql.to_owned())).await.map(ExecResult::from).map_err(exec_error)
    }

    pub(crate) async fn query_one(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let mut guard = self.conn.lock().await;
        let conn: &mut PgConnection = &mut guard;
        let row = query(statement).fetch_optional(conn).await.map_err(query_error)?;
        Ok(row.map(QueryResult::from))
    }

    pub(crate) async fn query_all(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let mut guard = self.conn.lock().await;
        let conn: &mut PgConnection = &mut guard;
        let rows = query(statement).fetch_all(conn).await.map_err(query_error)?;
        Ok(rows.into_iter().map(QueryResult::from).collect())
    }
}

impl Drop for AccountTransaction {
    fn drop(&mut self) {
        if self.is_open {
            // It is sent when the connection returns to its pool.
            Transactions::start_rollback(self.conn.get_mut());
        }
    }
}

fn query(statement: Statement) -> Query<'static, Postgres, SqlxValues> {
    let values = statement.values.unwrap_or_else(|| Values(Vec::new()));
    sqlx::query_with(AssertSqlSafe(statement.sql), SqlxValues(values))
}

fn query_error(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}

fn exec_error(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(error.into()))
}

pub(crate) fn not_acquired(error: sqlx::Error) -> DbErr {
    match error {
        sqlx::Error::PoolTimedOut => DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
        sqlx::Error::PoolClosed => DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed),
        error => DbErr::Conn(RuntimeErr::SqlxError(error.into())),
    }
}
