//! What a connection of HTTP/2 may use, on every listener: limits that the transport leaves unlimited by default, each as large as a
//! client of this API needs.

use std::time::Duration;

use rand::Rng;

/// Maximum number of reset calls that wait to be served: one connection may carry all users of a gateway, whose calls are reset
/// together when it restarts.
pub(crate) const MAX_PENDING_ACCEPT_RESET_STREAMS: usize = 64;
/// Maximum number of calls that we reset because their client broke the protocol.
pub(crate) const MAX_LOCAL_ERROR_RESET_STREAMS: usize = 256;
/// Maximum size of the headers of a call in bytes.
pub(crate) const MAX_HEADER_SIZE: u32 = 16 * 1024;
/// Maximum size of a frame in bytes.
pub(crate) const MAX_FRAME_SIZE: u32 = 16 * 1024;
/// Number of bytes of a call, and of a connection, that a client may send before they are read.
pub(crate) const STREAM_WINDOW: u32 = 256 * 1024;
pub(crate) const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Interval between keepalive pings on a connection, and how long its client may take to answer one.
pub(crate) const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
pub(crate) const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum age of a connection, plus up to 33 % jitter: clients reconnect, and so reach replicas that are new. Calls and streams in
/// progress end in their own time.
const MAX_CONNECTION_AGE: Duration = Duration::from_secs(30 * 60);

/// The maximum age of a connection, with its jitter.
pub(crate) fn max_connection_age() -> Duration {
    MAX_CONNECTION_AGE + rand::rng().random_range(Duration::ZERO..MAX_CONNECTION_AGE / 3)
}
