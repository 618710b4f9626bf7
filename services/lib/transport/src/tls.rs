//! TLS on every listener and between our services: certificates that name the services, reloaded when their files change.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock, Weak},
    time::{Duration, SystemTime},
};

use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};
use tokio::{net::TcpStream, time::Instant};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::{
    Expiry,
    tls_config::{Clients, Configs, TlsError, load},
};

/// Interval between checks whether the files have changed.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);
/// Interval between two reports of certificates that have expired or will soon.
const EXPIRY_LOG_INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// Certificates. All empty: no TLS.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSettings {
    /// The certificate of this process with its chain (PEM), for its listener and for calls to our other services.
    pub certificate_path: PathBuf,
    /// Its private key (PEM).
    pub key_path: PathBuf,
    /// Certificates (PEM) of the authorities that sign those of our own services: a client with such a certificate is authenticated as
    /// the service that it names.
    pub ca_path: PathBuf,
    /// Trust domain of our services: a certificate names its service by the URI `spiffe://<trust_domain>/<service>`.
    pub trust_domain: String,
    /// Whether a mesh or gateway in front of this process encrypts, so that a public address may be without TLS.
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
    /// Whether any path is set; a certificate without its key, or the reverse, is an error when they are loaded.
    pub fn is_on(&self) -> bool {
        [&self.certificate_path, &self.key_path, &self.ca_path].iter().any(|path| !path.as_os_str().is_empty())
    }

    /// Whether services authenticate each other by certificates.
    pub fn is_mutual(&self) -> bool {
        !self.certificate_path.as_os_str().is_empty() && !self.ca_path.as_os_str().is_empty()
    }
}

/// The current certificates. Clones share them.
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

pub(crate) struct Shared {
    settings: TlsSettings,
    clients: Clients,
    current: RwLock<Configs>,
}

impl Tls {
    /// Loads the certificates. None: TLS is not configured.
    pub fn load(settings: &TlsSettings) -> Result<Option<Self>, TlsError> {
        if !settings.is_on() {
            return Ok(None);
        }
        Self::load_for(settings, Clients::Grpc).map(Some)
    }

    /// Loads a certificate and its key for a listener that browsers connect to: it also speaks HTTP/1.1, and asks for no certificate.
    pub fn load_for_browsers(certificate_path: PathBuf, key_path: PathBuf) -> Result<Self, TlsError> {
        Self::load_for(&TlsSettings { certificate_path, key_path, ..TlsSettings::default() }, Clients::Browsers)
    }

    fn load_for(settings: &TlsSettings, clients: Clients) -> Result<Self, TlsError> {
        let current = RwLock::new(load(settings, clients)?);
        Ok(Self(Arc::new(Shared { settings: settings.clone(), clients, current })))
    }

    /// Reloads the files when they have changed; never returns. Invalid files are logged, and the old certificates stay in use. It also
    /// reports when the certificates expire: as a metric, and in the log from 30 days before on.
    pub async fn reload_on_change(&self) {
        self.observe_expiries();
        self.log_expiries();
        let mut logged_at = Instant::now();
        let mut loaded_at = self.modified_at();
        loop {
            tokio::time::sleep(RELOAD_INTERVAL).await;
            if logged_at.elapsed() >= EXPIRY_LOG_INTERVAL {
                self.log_expiries();
                logged_at = Instant::now();
            }
            let modified_at = self.modified_at();
            if modified_at == loaded_at {
                continue;
            }
            let (settings, clients) = (self.0.settings.clone(), self.0.clients);
            match tokio::task::spawn_blocking(move || load(&settings, clients)).await {
                Ok(Ok(loaded)) => {
                    *self.0.current.write().unwrap_or_else(PoisonError::into_inner) = loaded;
                    loaded_at = modified_at;
                    tracing::info!("the certificates were reloaded");
                    self.log_expiries();
                    logged_at = Instant::now();
                }
                Ok(Err(error)) => tracing::error!(%error, "the new certificates are invalid; the old ones stay in use"),
                Err(error) => {
                    tracing::error!(%error, "the new certificates cannot be read; the old ones stay in use");
                }
            }
        }
    }

    fn modified_at(&self) -> [Option<SystemTime>; 3] {
        let settings = &self.0.settings;
        [&settings.certificate_path, &settings.key_path, &settings.ca_path]
            .map(|path| std::fs::metadata(path).and_then(|file| file.modified()).ok())
    }

    pub(crate) fn current(&self) -> Configs {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn downgrade(&self) -> Weak<Shared> {
        Arc::downgrade(&self.0)
    }

    pub(crate) fn upgrade(shared: &Weak<Shared>) -> Option<Self> {
        shared.upgrade().map(Self)
    }

    /// The files with certificates, and when each expires.
    pub fn expiries(&self) -> Vec<Expiry> {
        self.current().expiries
    }

    /// The server's side of a handshake; also the service that the client's certificate names, if it has one.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<(server::TlsStream<TcpStream>, Option<String>)> {
        let stream = TlsAcceptor::from(self.current().server).accept(stream).await?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let trust_domain = &self.0.settings.trust_domain;
        let service = certificate.and_then(|certificate| frontdesk_auth::service_name(certificate, trust_domain));
        if certificate.is_some() && service.is_none() {
            tracing::warn!(%trust_domain, "the certificate of a client names no service of the trust domain: its calls need a token");
        }
        Ok((stream, service))
    }

    /// Connects to a service, whose certificate must be valid for this host name.
    pub async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<client::TlsStream<TcpStream>> {
        let config = self.current().client.ok_or_else(|| io::Error::other("tls.ca_path is not set"))?;
        let host = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        TlsConnector::from(config).connect(host, stream).await
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
    use tokio::net::TcpListener;

    use super::*;

    struct Authority {
        folder: tempfile::TempDir,
        issuer: Issuer<'static, KeyPair>,
    }

    impl Authority {
        fn new() -> Self {
            let (folder, key) = (tempfile::tempdir().unwrap(), KeyPair::generate().unwrap());
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            std::fs::write(folder.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
            Self { folder, issuer: Issuer::new(params, key) }
        }

        /// Settings with a new certificate, valid for `localhost`, that names this service.
        fn settings(&self, service: &str) -> TlsSettings {
            let mut params = CertificateParams::new(vec!["localhost".into()]).unwrap();
            let uri = format!("spiffe://frontdesk/{service}");
            params.subject_alt_names.push(SanType::URI(uri.try_into().unwrap()));
            let key = KeyPair::generate().unwrap();
            let path = |name: &str| self.folder.path().join(name);
            let [certificate_path, key_path] = [path(&format!("{service}.pem")), path(&format!("{service}.key"))];
            std::fs::write(&certificate_path, params.signed_by(&key, &self.issuer).unwrap().pem()).unwrap();
            std::fs::write(&key_path, key.serialize_pem()).unwrap();
            TlsSettings { certificate_path, key_path, ca_path: path("ca.pem"), ..TlsSettings::default() }
        }
    }

    /// The service that `server` sees when `client` connects to it.
    async fn connect(client: &Tls, server: &Tls) -> io::Result<Option<String>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let stream = TcpStream::connect(listener.local_addr()?).await?;
        let (accepted, _) = listener.accept().await?;
        let (connected, accepted) = tokio::join!(client.connect("localhost", stream), server.accept(accepted));
        connected?;
        Ok(accepted?.1)
    }

    #[tokio::test]
    async fn s5_services_authenticate_each_other_by_certificates_of_one_authority() {
        let (authority, other_authority) = (Authority::new(), Authority::new());
        let tls = |settings| Tls::load(&settings).unwrap().unwrap();
        let (client, server) = (tls(authority.settings("client")), tls(authority.settings("server")));
        assert_eq!(connect(&client, &server).await.unwrap().as_deref(), Some("client"));
        assert!(connect(&tls(other_authority.settings("client")), &server).await.is_err());
        let other_domain =
            TlsSettings { ca_path: PathBuf::new(), trust_domain: "other".into(), ..authority.settings("other") };
        assert!(connect(&tls(other_domain), &server).await.is_err(), "without ca_path it cannot call services");
    }

    #[tokio::test]
    async fn s5_a_listener_for_browsers_asks_for_no_certificate_and_speaks_http1_too() {
        let authority = Authority::new();
        let client = Tls::load(&authority.settings("client")).unwrap().unwrap();
        let TlsSettings { certificate_path, key_path, .. } = authority.settings("server");
        let server = Tls::load_for_browsers(certificate_path, key_path).unwrap();
        assert_eq!(
            connect(&client, &server).await.unwrap(),
            None,
            "the client has a certificate and is not asked for it"
        );
        assert_eq!(server.current().server.alpn_protocols, [&b"h2"[..], b"http/1.1"]);
        assert_eq!(client.current().server.alpn_protocols, [b"h2"]);
        let error = Tls::load_for_browsers("absent.pem".into(), "absent.key".into()).err().unwrap();
        assert!(error.in_section("web").to_string().starts_with("web.certificate_path = absent.pem"));
    }

    #[test]
    fn a_missing_or_invalid_file_is_named_with_its_setting() {
        let authority = Authority::new();
        let error = |settings: TlsSettings| Tls::load(&settings).err().unwrap().to_string();
        let settings = || authority.settings("server");
        let empty = authority.folder.path().join("empty");
        std::fs::write(&empty, "").unwrap();
        for (settings, names) in [
            (TlsSettings { key_path: PathBuf::new(), ..settings() }, "tls.key_path = : it is not set"),
            (TlsSettings { certificate_path: empty.clone(), ..settings() }, "it holds no certificate"),
            (TlsSettings { key_path: empty.clone(), ..settings() }, "it holds no private key in PEM"),
            (TlsSettings { ca_path: Path::new("/no/such/file").into(), ..settings() }, "tls.ca_path = /no/such/file"),
            (TlsSettings { trust_domain: "other".into(), ..settings() }, "spiffe://other/<service>"),
            (TlsSettings { key_path: authority.settings("client").key_path, ..settings() }, "is not the key of"),
        ] {
            let error = error(settings);
            assert!(error.contains(names), "{error}");
        }
        assert!(Tls::load(&TlsSettings::default()).unwrap().is_none(), "without paths TLS is off");
    }

    #[tokio::test(start_paused = true)]
    async fn s5_changed_certificates_are_reloaded_and_invalid_ones_are_not() {
        let authority = Authority::new();
        let settings = authority.settings("server");
        let tls = Tls::load(&settings).unwrap().unwrap();
        let reload = tls.clone();
        tokio::spawn(async move { reload.reload_on_change().await });
        let write = |text: &str| {
            std::fs::write(&settings.key_path, text).unwrap();
            let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(text.len() as u64);
            std::fs::File::options().write(true).open(&settings.key_path).unwrap().set_modified(modified).unwrap();
        };
        let (first, key) = (tls.current().server, std::fs::read_to_string(&settings.key_path).unwrap());
        tokio::time::sleep(RELOAD_INTERVAL / 2).await;
        write("no key");
        tokio::time::sleep(RELOAD_INTERVAL).await;
        assert!(Arc::ptr_eq(&tls.current().server, &first));
        write(&key);
        // Reloading runs on a thread of its own, which the paused clock does not wait for.
        while Arc::ptr_eq(&tls.current().server, &first) {
            tokio::time::sleep(RELOAD_INTERVAL).await;
        }
    }
}
