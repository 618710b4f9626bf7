//! The servers of the distributed mode: one of each for all tests of a process, or those that the environment names.

use frontdesk_clock::testing::new_id;
use frontdesk_test_servers::{CREATE_ROLE, Nats, Postgres, ROLE};
use sea_orm::ConnectionTrait;
use tokio::sync::OnceCell;

static POSTGRES: OnceCell<(String, Option<Postgres>)> = OnceCell::const_new();
static NATS: OnceCell<(String, Option<Nats>)> = OnceCell::const_new();

/// Creates a database and returns its URL. The server is the one in `FRONTDESK_TEST_POSTGRES`
/// (`postgres://superuser:password@host:port`), or one that is started for this process. The database belongs to an
/// ordinary role, because row-level security does not apply to superusers.
pub async fn postgres_database() -> String {
    let (server, _) = POSTGRES
        .get_or_init(|| async {
            match std::env::var("FRONTDESK_TEST_POSTGRES") {
                Ok(named) => (named, None),
                Err(_) => {
                    let started = Postgres::start().await;
                    (started.url("").trim_end_matches('/').to_owned(), Some(started))
                }
            }
        })
        .await;
    let admin = sea_orm::Database::connect(format!("{server}/postgres")).await.expect("the PostgreSQL server");
    let name = unique_name();
    admin.execute_unprepared(CREATE_ROLE).await.expect("a role");
    admin.execute_unprepared(&format!("CREATE DATABASE {name} OWNER {ROLE}")).await.expect("a database");
    admin.close().await.expect("a closed connection");
    let (_, host) = server.rsplit_once('@').expect("a user in the server's URL");
    format!("postgres://{ROLE}:{ROLE}@{host}/{name}")
}

/// The URL of the NATS server: `FRONTDESK_TEST_NATS` (`nats://host:port`), or one that is started for this process.
/// Each test uses a prefix of its own.
pub async fn nats() -> String {
    let (server, _) = NATS
        .get_or_init(|| async {
            match std::env::var("FRONTDESK_TEST_NATS") {
                Ok(named) => (named, None),
                Err(_) => {
                    let started = Nats::start().await;
                    (started.url(), Some(started))
                }
            }
        })
        .await;
    server.clone()
}

/// A prefix for subjects and streams that no other test uses.
pub fn nats_prefix() -> String {
    unique_name()
}

fn unique_name() -> String {
    format!("t{}", new_id().simple())
}
