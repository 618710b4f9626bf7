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
    let code = match error {
        DbErr::Exec(SqlxError(error)) | DbErr::Query(SqlxError(error)) => {
            error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned()
        }
        _ => String::new(),
    };
    // 53: out of resources. 57: an operator's intervention or a timeout. 40: a transaction rolled back by a conflict.
    // 55P03: a lock was not granted in time.
    let busy = ["53", "57", "40"].iter().any(|class| code.starts_with(class)) || code == "55P03";
    busy || is_connection_lost(error)
}

/// True: a unique index refused the row. Which index: the statement has only one that can.
pub fn is_unique_violation(error: &DbErr) -> bool {
    match error {
        DbErr::Exec(SqlxError(error)) | DbErr::Query(SqlxError(error)) => {
            error.as_database_error().is_some_and(|error| error.is_unique_violation())
        }
        _ => false,
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
        // 08: connection exceptions. 57P: the server shuts down or ends the connection.
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| code.starts_with("08") || code.starts_with("57P"))
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
    async fn a_unique_index_refuses_a_row_and_a_missing_table_does_not_look_like_it() {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl(format!("sqlite://{}", folder.path().join("things.db").display()));
        let db = Db::connect(&DbSettings { url, max_connections: None }, &Clock::system()).await.unwrap();
        db.writer().execute_unprepared("CREATE TABLE things (id INTEGER PRIMARY KEY)").await.unwrap();
        let insert = |table: &str| format!("INSERT INTO {table} VALUES (1)");
        db.writer().execute_unprepared(&insert("things")).await.unwrap();
        let refused = db.writer().execute_unprepared(&insert("things")).await.unwrap_err();
        assert!(is_unique_violation(&refused) && !is_transient(&refused));
        let missing = db.writer().execute_unprepared(&insert("others")).await.unwrap_err();
        assert!(!is_unique_violation(&missing));
    }
}
