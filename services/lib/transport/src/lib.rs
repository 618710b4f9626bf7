//! The transports between callers and services: TLS, whose certificates name our services, and connections within one process.

mod expiry;
mod in_process;
mod peer_check;
mod tls;
mod tls_config;

pub use expiry::{EXPIRES_SOON, Expiry};
pub use in_process::{InProcessConnection, InProcessConnector, InProcessListener};
pub use tls::{Tls, TlsSettings};
pub use tls_config::TlsError;
