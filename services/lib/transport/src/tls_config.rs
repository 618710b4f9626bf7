//! Loads certificates and keys into the TLS configurations of server and client.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};

use crate::{Expiry, TlsSettings};

/// ALPN protocols.
const ALPN_H2: &[u8] = b"h2";
const ALPN_HTTP1: &[u8] = b"http/1.1";

/// Who connects to a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clients {
    /// gRPC clients and our own services, which authenticate with certificates: HTTP/2.
    Grpc,
    /// Browsers, which are asked for no certificate: HTTP/2 and HTTP/1.1.
    Browsers,
}

/// A file of the TLS settings is missing or invalid.
#[derive(Debug, thiserror::Error)]
#[error("{section}.{setting} = {}: {why}", path.display())]
pub struct TlsError {
    section: &'static str,
    setting: &'static str,
    path: PathBuf,
    why: String,
}

impl TlsError {
    fn new(setting: &'static str, path: &Path, why: impl ToString) -> Self {
        Self { section: "tls", setting, path: path.to_owned(), why: why.to_string() }
    }

    /// The error of a file that another section of the settings names.
    pub fn in_section(self, section: &'static str) -> Self {
        Self { section, ..self }
    }
}

/// The configurations of one set of certificates.
#[derive(Clone)]
pub(crate) struct Configs {
    pub(crate) server: Arc<ServerConfig>,
    /// For calls to our other services. None: `ca_path` is not set.
    pub(crate) client: Option<Arc<ClientConfig>>,
    /// A host name of the own certificate. None: it has none.
    pub(crate) host_name: Option<String>,
    /// When the certificates of each file expire.
    pub(crate) expiries: Vec<Expiry>,
}

/// Loads and checks the files of the settings.
pub(crate) fn load(settings: &TlsSettings, clients: Clients) -> Result<Configs, TlsError> {
    let chain = own_chain(settings)?;
    let host_name = frontdesk_auth::host_name(&chain[0]);
    let mut expiries: Vec<Expiry> = Expiry::of(&settings.certificate_path, &chain).into_iter().collect();
    if settings.is_mutual() {
        expiries.extend(Expiry::of_file(&settings.ca_path).ok());
    }
    let roots = settings.is_mutual().then(|| roots(settings).map(Arc::new)).transpose()?;
    // First, since it also checks that the key belongs to the certificate.
    let server = server_config(settings, clients, roots.clone(), chain.clone())?;
    let client = roots.map(|roots| client_config(settings, roots, chain)).transpose()?;
    Ok(Configs { server: Arc::new(server), client: client.map(Arc::new), host_name, expiries })
}

/// The certificate of this process with its chain.
fn own_chain(settings: &TlsSettings) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    for (setting, path) in [("certificate_path", &settings.certificate_path), ("key_path", &settings.key_path)] {
        if path.as_os_str().is_empty() {
            let why = "it is not set; certificate_path and key_path go together";
            return Err(TlsError::new(setting, path, why));
        }
    }
    let chain = certificates("certificate_path", &settings.certificate_path)?;
    frontdesk_auth::check_validity(&chain[0]).map_err(|why| own(settings, why))?;
    if settings.is_mutual() && frontdesk_auth::service_name(&chain[0], &settings.trust_domain).is_none() {
        let uri = format!("spiffe://{}/<service>", settings.trust_domain);
        return Err(own(
            settings,
            format!("it must name this service by one URI {uri}, by which others authenticate it"),
        ));
    }
    Ok(chain)
}

fn own(settings: &TlsSettings, why: impl ToString) -> TlsError {
    TlsError::new("certificate_path", &settings.certificate_path, why)
}

fn own_key(settings: &TlsSettings) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(&settings.key_path).map_err(|error| {
        TlsError::new("key_path", &settings.key_path, format!("it holds no private key in PEM ({error})"))
    })
}

/// The authorities of our own services.
fn roots(settings: &TlsSettings) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates("ca_path", &settings.ca_path)? {
        roots.add(authority).map_err(|error| TlsError::new("ca_path", &settings.ca_path, error))?;
    }
    Ok(roots)
}

fn server_config(
    settings: &TlsSettings,
    clients: Clients,
    roots: Option<Arc<RootCertStore>>,
    chain: Vec<CertificateDer<'static>>,
) -> Result<ServerConfig, TlsError> {
    let server = match roots {
        Some(roots) => {
            // Clients that authenticate with a token have no certificate; one that has must have it from our authority.
            let verifier = WebPkiClientVerifier::builder(roots).allow_unauthenticated().build();
            let verifier = verifier.map_err(|error| TlsError::new("ca_path", &settings.ca_path, error))?;
            ServerConfig::builder().with_client_cert_verifier(verifier)
        }
        None => ServerConfig::builder().with_no_client_auth(),
    };
    let mut server = server.with_single_cert(chain, own_key(settings)?).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            TlsError::new("key_path", &settings.key_path, "it is not the key of tls.certificate_path")
        }
        error => own(settings, error),
    })?;
    server.alpn_protocols = match clients {
        Clients::Grpc => vec![ALPN_H2.to_vec()],
        Clients::Browsers => vec![ALPN_H2.to_vec(), ALPN_HTTP1.to_vec()],
    };
    Ok(server)
}

fn client_config(
    settings: &TlsSettings,
    roots: Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
) -> Result<ClientConfig, TlsError> {
    let client = ClientConfig::builder().with_root_certificates(roots);
    let client = client.with_client_auth_cert(chain, own_key(settings)?);
    let mut client = client.map_err(|error| own(settings, error))?;
    client.alpn_protocols = vec![ALPN_H2.to_vec()];
    Ok(client)
}

fn certificates(setting: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let read =
        read.map_err(|error| TlsError::new(setting, path, format!("it holds no certificates in PEM ({error})")))?;
    if read.is_empty() { Err(TlsError::new(setting, path, "it holds no certificate")) } else { Ok(read) }
}
