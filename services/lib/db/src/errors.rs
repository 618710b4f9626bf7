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
