//! The transports between callers and services: TLS, whose certificates name our services, and connections within one process.

mod in_process;
mod tls;
mod tls_config;

pub use in_process::{InProcessConnection, InProcessConnector, InProcessListener};
pub use tls::{Tls, TlsSettings};
pub use tls_config::TlsError;
