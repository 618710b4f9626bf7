//! Which bus, and where it is.

use std::time::Duration;

use frontdesk_settings::Secret;
use serde::{Deserialize, Serialize};

/// Which bus, and where it is. Without an address events stay within the process.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BusSettings {
    /// NATS servers with JetStream, such as `nats://nats:4222`, several separated by commas. Empty: within this process.
    pub url: String,
    /// Prefix of subjects and streams: a different one for each installation on the same servers.
    pub prefix: String,
    /// User name. Empty: none.
    pub username: String,
    /// Password.
    pub password: Secret,
    /// A NATS credentials file. Empty: none.
    pub credentials_path: String,
    /// First part of the subjects on which the broker answers this process, such as `_INBOX_orders`. With a prefix of its own, a user
    /// can be kept from reading the answers to others.
    pub inbox_prefix: String,
    /// A PEM file with a certificate authority to trust besides the system's. Empty: none.
    pub ca_path: String,
    /// Whether Frontdesk creates its streams and consumers. False: the operator does, and Frontdesk checks that they exist.
    pub manage_streams: bool,
    /// Number of copies of each stream in a NATS cluster: 3 there, 1 for a single server.
    pub stream_replicas: usize,
    /// How long events stay in a stream: at least the seven days for which the outboxes keep them.
    #[serde(with = "frontdesk_settings::duration")]
    pub stream_max_age: Duration,
    /// Maximum size of a stream on disk, in bytes; the oldest handled events go first, and a stream that is full of unhandled ones
    /// takes no more. Keep all four streams together far below the
    /// size of the disk: a server whose disk is full must be restarted.
    pub stream_max_bytes: i64,
}

impl Default for BusSettings {
    fn default() -> Self {
        Self {
            url: String::new(),
            prefix: "frontdesk".into(),
            username: String::new(),
            password: Secret::default(),
            credentials_path: String::new(),
            inbox_prefix: "_INBOX".into(),
            ca_path: String::new(),
            manage_streams: true,
            stream_replicas: 1,
            stream_max_age: Duration::from_secs(7 * 24 * 3600),
            stream_max_bytes: 1 << 30,
        }
    }
}
