//! Whether a connection pooler gives one session of PostgreSQL to several connections, as PgBouncer does for each transaction or statement.
//!
//! Settings of a session, among them the account that row-level security shows, and prepared statements would then be those of another
//! connection.

use sea_orm::{
    DatabaseConnection, DbErr, RuntimeErr,
    prelude::Uuid,
    sqlx::{self, AssertSqlSafe, PgConnection, Row},
};

use crate::account_transaction::not_acquired;

/// The setting that marks a session.
const MARK: &str = "frontdesk.session";
/// Number of times that a session is marked and looked for. On an idle pooler the first one finds it, since the session that was used last
/// is given to the next statement. On a busy one other connections use it in between, and then the marked one has another session.
const ATTEMPTS: usize = 10;

/// True: connections of two pools share a session, or one connection has several. `id` is a new one, which marks the session.
pub(crate) async fn is_shared(one: &DatabaseConnection, other: &DatabaseConnection, id: Uuid) -> Result<bool, DbErr> {
    let mut one = one.get_postgres_connection_pool().acquire().await.map_err(not_acquired)?;
    let mut other = other.get_postgres_connection_pool().acquire().await.map_err(not_acquired)?;
    for attempt in 0..ATTEMPTS {
        let mark = format!("{id} {attempt}");
        read(&mut one, format!("SELECT set_config('{MARK}', '{mark}', false)")).await?;
        let marked = format!("SELECT coalesce(current_setting('{MARK}', true), '')");
        if read(&mut other, marked.clone()).await? == mark || read(&mut one, marked).await? != mark {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The text that a statement returns. It is not prepared, which a pooler may not support.
async fn read(conn: &mut PgConnection, sql: String) -> Result<String, DbErr> {
    let row = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(conn).await.and_then(|row| row.try_get(0));
    row.map_err(|error| DbErr::Query(RuntimeErr::SqlxError(error.into())))
}
