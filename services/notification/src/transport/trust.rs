//! The authorities that the mail server's certificate must come from: read again when their file has changed.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use lettre::transport::smtp::client::{Certificate, TlsParameters};
use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::TransportError;
use crate::settings::SmtpSettings;

/// The parameters of TLS with the mail server. Clones share them.
#[derive(Clone)]
pub(super) struct Trust(Arc<Shared>);

struct Shared {
    host: String,
    /// Empty: the system's authorities alone, which are read once.
    ca_path: String,
    current: Mutex<Loaded>,
}

struct Loaded {
    parameters: TlsParameters,
    /// When the file was changed last. None: there is none.
    modified_at: Option<SystemTime>,
}

impl Trust {
    /// Reads the authorities of the settings.
    pub(super) fn load(settings: &SmtpSettings) -> Result<Self, TransportError> {
        let (host, ca_path) = (settings.host.clone(), settings.ca_path.clone());
        let modified_at = modified_at(&ca_path);
        let parameters = parameters(&host, &ca_path)?;
        Ok(Self(Arc::new(Shared { host, ca_path, current: Mutex::new(Loaded { parameters, modified_at }) })))
    }

    /// Returns the parameters for a new connection. A file that is invalid now is logged, and what was read before stays in use.
    pub(super) fn current(&self) -> TlsParameters {
        let shared = &self.0;
        let mut current = shared.current.lock().unwrap_or_else(PoisonError::into_inner);
        let modified_at = modified_at(&shared.ca_path);
        if modified_at != current.modified_at {
            match parameters(&shared.host, &shared.ca_path) {
                Ok(parameters) => {
                    *current = Loaded { parameters, modified_at };
                    tracing::info!("the authorities of the mail server's certificate were reloaded");
                }
                Err(error) => tracing::error!(%error, "the new authorities are invalid; the old ones stay in use"),
            }
        }
        current.parameters.clone()
    }
}

fn modified_at(ca_path: &str) -> Option<SystemTime> {
    std::fs::metadata(ca_path).and_then(|file| file.modified()).ok()
}

fn parameters(host: &str, ca_path: &str) -> Result<TlsParameters, TransportError> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if !ca_path.is_empty() {
        let invalid = |reason: String| TransportError(format!("ca_path {ca_path}: {reason}"));
        let pem = std::fs::read(ca_path).map_err(|error| invalid(error.to_string()))?;
        // The mail library takes a file without certificates, too.
        if CertificateDer::pem_slice_iter(&pem).next().is_none() {
            return Err(invalid("it holds no certificate".into()));
        }
        let certificate = Certificate::from_pem(&pem).map_err(|error| invalid(error.to_string()))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build().map_err(|error| TransportError(format!("tls: {error}")))
}
