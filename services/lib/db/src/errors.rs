//! What a database error says: a lost connection, an outage that passes, a unique index.

use sea_orm::{
    DbErr,
    RuntimeErr::{self, SqlxError},
    sqlx,
};

/// True: the database could not be reached, or the connection was lost. Whether a commit in flight took effect is unknown.
pub fn is_connection_lost(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
        DbErr::Exec(error) | DbErr::Query(error) => is_lost(error),
        _ => false,
    }
}

/// True: the database is unreachable, stopping or too busy to answer; the same statement may succeed later.
pub fn is_transient(error: &DbErr) -> bool {
    let code = code(error);
    // 53: out of resources. 57: an operator's intervention or a timeout.
    let busy = ["53", "57"].iter().any(|class| code.starts_with(class));
    busy || is_conflict(error) || is_connection_lost(error)
}

/// True: the transaction met another one at the same rows and was rolled back, as after a deadlock. The database can be reached.
pub fn is_conflict(error: &DbErr) -> bool {
    let code = code(error);
    // 40: a transaction rolled back by a conflict. 55P03: a lock was not granted in time.
    code.starts_with("40") || code == "55P03"
}

/// True: the database ended the statement because it took longer than it may. The database itself can be reached.
pub fn is_timeout(error: &DbErr) -> bool {
    code(error) == "57014"
}

/// The SQLSTATE of the database's answer, or SQLite's number; empty when the error is another one.
fn code(error: &DbErr) -> String {
    match error {
        DbErr::Exec(SqlxError(error)) | DbErr::Query(SqlxError(error)) => {
            error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned()
        }
        _ => String::new(),
    }
}

/// True: a unique index refused the row. Which one: [`violated_unique_index`].
pub fn is_unique_violation(error: &DbErr) -> bool {
    unique_violation(error).is_some()
}

/// The unique index or key that refused the row. PostgreSQL gives its name. SQLite gives the name of an index with an expression,
/// and of others the columns, such as `things.account_id, things.name`. None: the error is another one.
pub fn violated_unique_index(error: &DbErr) -> Option<String> {
    let error = unique_violation(error)?;
    let name = error.constraint().map(str::to_owned);
    name.or_else(|| {
        let columns = error.message().strip_prefix("UNIQUE constraint failed: ")?;
        let index = columns.strip_prefix("index '").and_then(|name| name.strip_suffix('\''));
        Some(index.unwrap_or(columns).to_owned())
    })
}

fn unique_violation(error: &DbErr) -> Option<&dyn sqlx::error::DatabaseError> {
    match error {
        DbErr::Exec(SqlxError(error)) | DbErr::Query(SqlxError(error)) => {
            error.as_database_error().filter(|error| error.is_unique_violation())
        }
        _ => None,
    }
}

fn is_lost(error: &RuntimeErr) -> bool {
    let SqlxError(error) = error else { return false };
    match error.as_ref() {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        // 08: connection exceptions. 57P: the server shuts down or ends the connection. 25P03: it ended the connection because
        // its transaction was idle, as when this process was paused.
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| code.starts_with("08") || code.starts_with("57P") || code == "25P03")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use frontdesk_clock::Clock;
    use sea_orm::{ConnAcquireErr, ConnectionTrait};

    use super::*;
    use crate::{DatabaseUrl, Db, DbSettings};

    #[test]
    fn a_lost_connection_is_transient_and_other_errors_are_not() {
        let lost = [
            DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
            DbErr::Conn(RuntimeErr::Internal(String::new())),
            DbErr::Exec(SqlxError(std::sync::Arc::new(sqlx::Error::PoolTimedOut))),
        ];
        for error in &lost {
            assert!(is_connection_lost(error) && is_transient(error), "{error}");
        }
        for error in [DbErr::Type(String::new()), DbErr::RecordNotFound(String::new())] {
            assert!(!is_connection_lost(&error) && !is_transient(&error), "{error}");
        }
    }

    #[tokio::test]
    async fn a_unique_index_that_refuses_a_row_is_named_and_a_missing_table_does_not_look_like_it() {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl(format!("sqlite://{}", folder.path().join("things.db").display()));
        let db = Db::connect(&DbSettings { url, max_connections: None }, &Clock::system()).await.unwrap();
        let schema =
            "CREATE TABLE things (id INTEGER PRIMARY KEY, kind TEXT, size TEXT, name TEXT, UNIQUE (kind, size));
            CREATE UNIQUE INDEX things_name ON things (lower(name))";
        db.writer().execute_unprepared(schema).await.unwrap();
        let insert = |table: &str, row: &str| format!("INSERT INTO {table} VALUES ({row})");
        db.writer().execute_unprepared(&insert("things", "1, 'a', 'b', 'c'")).await.unwrap();
        let refusals = [
            ("1, 'a', 'd', 'e'", "things.id"),
            ("2, 'a', 'b', 'e'", "things.kind, things.size"),
            ("2, 'a', 'd', 'C'", "things_name"),
        ];
        for (row, index) in refusals {
            let refused = db.writer().execute_unprepared(&insert("things", row)).await.unwrap_err();
            assert!(is_unique_violation(&refused) && !is_transient(&refused));
            assert_eq!(violated_unique_index(&refused).as_deref(), Some(index));
        }
        let missing = db.writer().execute_unprepared(&insert("others", "1")).await.unwrap_err();
        assert!(!is_unique_violation(&missing));
        assert_eq!(violated_unique_index(&missing), None);
    }
}
