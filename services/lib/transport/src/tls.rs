//! TLS on every listener and between our services: certificates that name the services, reloaded when their files change.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::WebPkiClientVerifier,
};
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// Interval between checks whether the files have changed.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);
/// The ALPN protocol of HTTP/2.
const ALPN_H2: &[u8] = b"h2";

/// Certificates. All empty: no TLS.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSettings {
    /// The certificate of this process with its chain (PEM), for its listener and for calls to our other services.
    pub certificate_path: PathBuf,
    /// Its private key (PEM).
    pub key_path: PathBuf,
    /// Certificates (PEM) of who signs those of our own services: whoever shows one of theirs is who it names.
    pub ca_path: PathBuf,
    /// A service's certificate names it by the URI `spiffe://<trust_domain>/<service>`.
    pub trust_domain: String,
    /// True: what is before this process encrypts, so that an address that others reach may go without TLS.
    pub terminated_outside: bool,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            certificate_path: PathBuf::new(),
            key_path: PathBuf::new(),
            ca_path: PathBuf::new(),
            trust_domain: "frontdesk".into(),
            terminated_outside: false,
        }
    }
}

impl TlsSettings {
    /// This process has a certificate, or is to have one: a path without the others is a mistake, and is told.
    pub fn is_on(&self) -> bool {
        [&self.certificate_path, &self.key_path, &self.ca_path].iter().any(|path| !path.as_os_str().is_empty())
    }

    /// Services know each other by certificates.
    pub fn is_mutual(&self) -> bool {
        !self.certificate_path.as_os_str().is_empty() && !self.ca_path.as_os_str().is_empty()
    }
}

/// A file of the TLS settings is no good.
#[derive(Debug, thiserror::Error)]
#[error("tls.{setting} = {}: {why}", path.display())]
pub struct TlsError {
    setting: &'static str,
    path: PathBuf,
    why: String,
}

/// The certificates as they are now. Clones share them.
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

struct Shared {
    settings: TlsSettings,
    now: RwLock<Loaded>,
}

#[derive(Clone)]
struct Loaded {
    server: Arc<ServerConfig>,
    /// Where there is an authority that we trust for our own services.
    client: Option<Arc<ClientConfig>>,
}

impl Tls {
    /// Reads the certificates. None: the settings have none.
    pub fn load(settings: &TlsSettings) -> Result<Option<Self>, TlsError> {
        if !settings.is_on() {
            return Ok(None);
        }
        let now = RwLock::new(load(settings)?);
        Ok(Some(Self(Arc::new(Shared { settings: settings.clone(), now }))))
    }

    /// Reads the files again when they have changed, for ever. What is no good changes nothing, and is told.
    pub async fn reload_on_change(&self) {
        let mut seen = self.changed_at();
        loop {
            tokio::time::sleep(RELOAD_INTERVAL).await;
            let changed = self.changed_at();
            if changed == seen {
                continue;
            }
            let settings = self.0.settings.clone();
            match tokio::task::spawn_blocking(move || load(&settings)).await {
                Ok(Ok(loaded)) => {
                    *self.0.now.write().unwrap_or_else(PoisonError::into_inner) = loaded;
                    seen = changed;
                    tracing::info!("the certificates were read again");
                }
                Ok(Err(error)) => tracing::error!(%error, "the new certificates are no good; the old ones serve on"),
                Err(error) => tracing::error!(%error, "the new certificates were not read; the old ones serve on"),
            }
        }
    }

    fn changed_at(&self) -> [Option<SystemTime>; 3] {
        let settings = &self.0.settings;
        [&settings.certificate_path, &settings.key_path, &settings.ca_path]
            .map(|path| std::fs::metadata(path).and_then(|file| file.modified()).ok())
    }

    fn now(&self) -> Loaded {
        self.0.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The server's side of a handshake, and the service that the other's certificate names.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<(server::TlsStream<TcpStream>, Option<String>)> {
        let stream = TlsAcceptor::from(self.now().server).accept(stream).await?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let trusted = &self.0.settings.trust_domain;
        let service = certificate.and_then(|certificate| frontdesk_auth::service_of(certificate, trusted));
        Ok((stream, service))
    }

    /// A connection to another service of ours, which must show a certificate for this name.
    pub async fn connect(&self, name: &str, stream: TcpStream) -> io::Result<client::TlsStream<TcpStream>> {
        let config = self.now().client.ok_or_else(|| io::Error::other("tls.ca_path is not set"))?;
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        TlsConnector::from(config).connect(name, stream).await
    }
}

fn load(settings: &TlsSettings) -> Result<Loaded, TlsError> {
    let wrong = |setting, path: &Path, why: String| TlsError { setting, path: path.to_owned(), why };
    for (setting, path) in [("certificate_path", &settings.certificate_path), ("key_path", &settings.key_path)] {
        if path.as_os_str().is_empty() {
            return Err(wrong(
                setting,
                path,
                "it is not set; tls.certificate_path and tls.key_path go together".into(),
            ));
        }
    }
    let chain = certificates("certificate_path", &settings.certificate_path)?;
    let own = |why: String| wrong("certificate_path", &settings.certificate_path, why);
    frontdesk_auth::within_its_time(&chain[0]).map_err(own)?;
    if settings.is_mutual() && frontdesk_auth::service_of(&chain[0], &settings.trust_domain).is_none() {
        let domain = &settings.trust_domain;
        return Err(own(format!(
            "it must name this service by one URI spiffe://{domain}/<service>: others know it by that"
        )));
    }
    let key = || {
        PrivateKeyDer::from_pem_file(&settings.key_path)
            .map_err(|error| wrong("key_path", &settings.key_path, format!("no private key in PEM ({error})")))
    };
    let roots = if settings.is_mutual() {
        let mut roots = RootCertStore::empty();
        for authority in certificates("ca_path", &settings.ca_path)? {
            roots.add(authority).map_err(|error| wrong("ca_path", &settings.ca_path, error.to_string()))?;
        }
        Some(Arc::new(roots))
    } else {
        None
    };

    let server = match &roots {
        Some(roots) => {
            // Callers with a token have none; who shows one must have it from our authority.
            let verifier = WebPkiClientVerifier::builder(roots.clone()).allow_unauthenticated().build();
            let verifier = verifier.map_err(|error| wrong("ca_path", &settings.ca_path, error.to_string()))?;
            ServerConfig::builder().with_client_cert_verifier(verifier)
        }
        None => ServerConfig::builder().with_no_client_auth(),
    };
    let mut server = server.with_single_cert(chain.clone(), key()?).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            wrong("key_path", &settings.key_path, "it is not the key of tls.certificate_path".into())
        }
        error => own(error.to_string()),
    })?;
    server.alpn_protocols = vec![ALPN_H2.to_vec()];

    let client = match roots {
        Some(roots) => {
            let client = ClientConfig::builder().with_root_certificates(roots).with_client_auth_cert(chain, key()?);
            let mut client = client.map_err(|error| own(error.to_string()))?;
            client.alpn_protocols = vec![ALPN_H2.to_vec()];
            Some(Arc::new(client))
        }
        None => None,
    };
    Ok(Loaded { server: Arc::new(server), client })
}

fn certificates(setting: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |why: String| TlsError { setting, path: path.to_owned(), why };
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let read = read.map_err(|error| wrong(format!("no certificates in PEM ({error})")))?;
    if read.is_empty() { Err(wrong("no certificate is in it".into())) } else { Ok(read) }
}
