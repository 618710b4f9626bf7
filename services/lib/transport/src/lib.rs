//! The transports between callers and services: TLS, whose certificates name our services, and connections within one process.

mod in_process;
mod tls;

pub use in_process::{InProcessConnection, InProcessConnector, InProcessListener};
pub use tls::{Tls, TlsError, TlsSettings};
