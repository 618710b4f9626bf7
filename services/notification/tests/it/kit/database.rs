//! Databases of tests: a SQLite file or a PostgreSQL database of their own.

use frontdesk_clock::Clock;
use frontdesk_db::{DatabaseUrl, Db, DbSettings};
use tempfile::TempDir;

use super::{Mode, servers};

/// Maximum number of connections to PostgreSQL of one database of a test.
const MAX_CONNECTIONS: u32 = 8;

/// A new database without a schema. The file of a SQLite database is deleted when this is dropped.
pub struct TestDatabase {
    /// A connection pool.
    pub db: Db,
    /// Where it is.
    pub url: DatabaseUrl,
    _folder: TempDir,
}

impl TestDatabase {
    /// Creates a database of the mode's kind.
    pub async fn create(mode: Mode, clock: &Clock) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = match mode {
            Mode::Embedded => format!("sqlite://{}", folder.path().join("test.db").display()),
            Mode::Distributed => servers::postgres_database().await,
        };
        let url = DatabaseUrl(url);
        Self { db: connect(&url, clock).await, url, _folder: folder }
    }

    /// Another connection pool to the same database, as another replica has.
    pub async fn connect(&self, clock: &Clock) -> Db {
        connect(&self.url, clock).await
    }
}

async fn connect(url: &DatabaseUrl, clock: &Clock) -> Db {
    let settings = DbSettings { url: url.clone(), max_connections: Some(MAX_CONNECTIONS) };
    Db::connect(&settings, clock).await.expect("a connection to the database")
}
