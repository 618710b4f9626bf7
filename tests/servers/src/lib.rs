//! Servers for tests: PostgreSQL, NATS with JetStream and the mail server Exim, started on free loopback ports, and killed, paused
//! and restarted by the process ids that this crate was given. They end with the process that started them, also when that
//! is killed.
//!
//! The programs are looked up in this order: the folder or file that the environment names
//! (`FRONTDESK_TEST_POSTGRES_BIN`, `FRONTDESK_TEST_NATS_SERVER`), then what `make servers` fetched into
//! `target/tools/servers`, then what is installed. Exim is always the one that is installed, or that `FRONTDESK_TEST_EXIM` names.

mod exim;
mod nats;
mod older_binary;
mod postgres;
mod supervised;

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

pub use exim::{Exim, EximUser};
pub use nats::Nats;
pub use older_binary::leave_out_unknown_settings;
pub use postgres::{CREATE_ROLE, Postgres, ROLE};
pub use supervised::Supervised;

/// Path of a program that `make servers` fetched.
fn fetched(below: &str) -> PathBuf {
    // The Makefile's path, which does not depend on cargo's target folder.
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/servers").join(below)
}

/// First port of [`free_port`], and their number: below those that systems give to connections and to listeners without a port, so that
/// nothing else takes one between the call and its use.
const FREE_PORTS: (u16, u16) = (12_000, 20_000);

/// A free port of the loopback address. Each call of a process returns another one.
///
/// # Panics
/// If there is none.
pub fn free_port() -> u16 {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let (first, number) = FREE_PORTS;
    // Processes that run at the same time begin at different ports.
    let begin = std::process::id().wrapping_mul(499);
    for _ in 0..number {
        let place = begin.wrapping_add(CALLS.fetch_add(1, Ordering::Relaxed)) % u32::from(number);
        let port = first + u16::try_from(place).expect("less than the number of ports");
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port from {first} to {} is free", first + number - 1);
}

/// Waits until a process listens on the port. False: none did within 10 seconds.
async fn listens(port: u16) -> bool {
    for _ in 0..1_000 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return true;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    false
}

/// Environment of a process without limits per caller, for load tests: many callers share an account, a connection and
/// its streams.
pub const NO_LIMITS_OF_CALLERS: [(&str, &str); 9] = [
    ("FRONTDESK__LIMITS__ACCOUNT_SHARE", "100"),
    ("FRONTDESK__LIMITS__VISITOR_RATE", "0"),
    ("FRONTDESK__LIMITS__AGENT_RATE", "0"),
    ("FRONTDESK__LIMITS__BOT_RATE", "0"),
    ("FRONTDESK__LIMITS__ADMIN_RATE", "0"),
    ("FRONTDESK__LIMITS__ACCOUNT_RATE", "0"),
    ("FRONTDESK__LIMITS__VISITOR_STREAMS", "0"),
    ("FRONTDESK__LIMITS__HTTP_RATE", "0"),
    ("FRONTDESK__LIMITS__STREAMS_PER_CONNECTION", "1024"),
];
