//! Errors that say nothing about the statement: the connection was lost, or there was none.

use sea_orm::{
    DbErr,
    RuntimeErr::{self, SqlxError},
    sqlx,
};

/// True: the database could not be reached, or no longer. Whether a commit on its way took effect is not known then.
pub fn is_connection_lost(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
        DbErr::Exec(error) | DbErr::Query(error) => lost(error),
        _ => false,
    }
}

/// True: the database is away, stopping, or too busy to answer: the same may succeed later.
pub fn is_outage(error: &DbErr) -> bool {
    let code = match error {
        DbErr::Exec(SqlxError(error)) | DbErr::Query(SqlxError(error)) => {
            error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned()
        }
        _ => String::new(),
    };
    // Resources, an operator's hand or a timeout, a lost race of transactions, a lock that was not had in time.
    let busy = ["53", "57", "40"].iter().any(|class| code.starts_with(class)) || code == "55P03";
    busy || is_connection_lost(error)
}

fn lost(error: &RuntimeErr) -> bool {
    let SqlxError(error) = error else { return false };
    match error.as_ref() {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        // PostgreSQL's last words on a connection: connection exceptions, and the shutdowns.
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| code.starts_with("08") || code.starts_with("57P"))
        }
        _ => false,
    }
}
