//! The servers of the tests: PostgreSQL and NATS with JetStream, started on free loopback ports, killed, paused and started
//! again by the process ids that this crate itself was given. They end with the process that started them, however it ends.
//!
//! The programs are found in this order: the folder or file that the environment names (`FRONTDESK_TEST_POSTGRES_BIN`,
//! `FRONTDESK_TEST_NATS_SERVER`), then what `make servers` fetched into `target/tools/servers`, then what the machine has.

mod nats;
mod postgres;
mod supervised;

use std::path::{Path, PathBuf};

pub use nats::Nats;
pub use postgres::{CREATE_ROLE, Postgres, ROLE};
pub use supervised::Supervised;

/// What `make servers` fetched.
fn fetched(below: &str) -> PathBuf {
    // Where the Makefile puts it, wherever cargo builds.
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/servers").join(below)
}

/// A port of the loopback address that nobody uses now.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Waits until something listens on the port.
async fn listens(port: u16) -> bool {
    for _ in 0..1_000 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return true;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    false
}

/// Settings of a process without limits of callers, for who sends it the work of a crowd: only what it can carry counts, and a
/// connection carries as many calls as a thousand clients would make.
pub const NO_LIMITS_OF_CALLERS: [(&str, &str); 7] = [
    ("FRONTDESK__LIMITS__VISITOR_RATE", "0"),
    ("FRONTDESK__LIMITS__AGENT_RATE", "0"),
    ("FRONTDESK__LIMITS__BOT_RATE", "0"),
    ("FRONTDESK__LIMITS__ADMIN_RATE", "0"),
    ("FRONTDESK__LIMITS__ACCOUNT_RATE", "0"),
    ("FRONTDESK__LIMITS__VISITOR_STREAMS", "0"),
    ("FRONTDESK__LIMITS__STREAMS_PER_CONNECTION", "1024"),
];
