//! What a database has, for its operator: its version, the role that connects, and which tables lack row-level security.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement};

use crate::{Db, row_level_security};

/// What a database has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Product and version, such as `PostgreSQL 18.1`.
    pub version: String,
    /// PostgreSQL's part. None: it is SQLite, which has neither roles nor row-level security.
    pub postgres: Option<PostgresInspection>,
}

/// What a database on PostgreSQL has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresInspection {
    /// Major version of the server.
    pub major_version: i32,
    /// The role that connects.
    pub role: String,
    /// True: row-level security does not apply to the role.
    pub bypasses_row_level_security: bool,
    /// Tables with an account that row-level security does not restrict to it, for the owner too.
    pub unrestricted_tables: Vec<String>,
    /// Tables that the role may not read or write.
    pub forbidden_tables: Vec<String>,
}

/// Version and role of the connection.
const SERVER: &str = "SELECT current_setting('server_version') AS version, \
    current_setting('server_version_num')::int / 10000 AS major, current_user::text AS role";

/// Tables with an account that have not exactly the one policy, for every role and command, or do not force it on their owner.
const UNRESTRICTED: &str = "SELECT relname::text AS name FROM pg_class \
    JOIN pg_attribute ON attrelid = pg_class.oid AND attname = 'account_id' AND NOT attisdropped \
    WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace \
    AND (relrowsecurity AND relforcerowsecurity AND ( \
      SELECT count(*) = 1 AND bool_and(polname = 'one_account' AND polcmd = '*' AND polroles = '{0}' AND polwithcheck IS NULL) \
      FROM pg_policy WHERE polrelid = pg_class.oid)) IS NOT TRUE ORDER BY relname";

/// Tables of the schema that the role may not read or write.
const FORBIDDEN: &str = "SELECT relname::text AS name FROM pg_class \
    WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace \
    AND NOT (has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT') \
      AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE')) ORDER BY relname";

impl Db {
    /// Reads what the database has. It changes nothing.
    pub async fn inspect(&self) -> Result<Inspection, DbErr> {
        let conn = self.read();
        let sql = if self.is_sqlite() { "SELECT sqlite_version() AS version" } else { SERVER };
        let row = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await?;
        let row = row.ok_or_else(|| DbErr::RecordNotFound("the version of the server".into()))?;
        let version: String = row.try_get("", "version")?;
        if self.is_sqlite() {
            return Ok(Inspection { version: format!("SQLite {version}"), postgres: None });
        }
        let postgres = PostgresInspection {
            major_version: row.try_get("", "major")?,
            role: row.try_get("", "role")?,
            bypasses_row_level_security: row_level_security::is_bypassed(conn).await?,
            unrestricted_tables: names(conn, UNRESTRICTED).await?,
            forbidden_tables: names(conn, FORBIDDEN).await?,
        };
        Ok(Inspection { version: format!("PostgreSQL {version}"), postgres: Some(postgres) })
    }
}

async fn names(conn: &DatabaseConnection, sql: &str) -> Result<Vec<String>, DbErr> {
    let rows = conn.query_all_raw(Statement::from_string(conn.get_database_backend(), sql)).await?;
    rows.iter().map(|row| row.try_get("", "name")).collect()
}
