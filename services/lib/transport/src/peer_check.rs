//! Whether the other services accept the certificate of this process, as far as it shows without them.

use std::io;

use rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::Tls;

/// Size of the connection's buffer in each direction, in bytes.
const BUFFER_SIZE: usize = 64 * 1024;

impl Tls {
    /// Connects to itself within the process, as one service does to another: its certificate must be signed by an authority in
    /// `ca_path`, have a host name, and be usable on both sides. Fails with the cause.
    pub async fn check_as_peer(&self) -> io::Result<()> {
        let current = self.current();
        let client = current.client.ok_or_else(|| io::Error::other("tls.ca_path is not set"))?;
        let host = current.host_name.ok_or_else(|| {
            io::Error::other("it has no host name and no address, by which services connect to each other")
        })?;
        let host = ServerName::try_from(host).map_err(io::Error::other)?;
        let (near, far) = tokio::io::duplex(BUFFER_SIZE);
        let connecting = TlsConnector::from(client).connect(host, near);
        let accepting = TlsAcceptor::from(current.server).accept(far);
        let (connected, accepted) = tokio::join!(connecting, accepting);
        connected?;
        accepted.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};

    use super::*;
    use crate::TlsSettings;

    /// The TLS of a certificate for these host names that `change` has edited; its authority is another one than that in `ca_path`, if
    /// `is_foreign`.
    fn tls(names: &[&str], is_foreign: bool, change: impl FnOnce(&mut CertificateParams)) -> Tls {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let authority = || {
            let (mut params, key) = (CertificateParams::default(), KeyPair::generate().unwrap());
            params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            let certificate = params.self_signed(&key).unwrap().pem();
            (Issuer::new(params, key), certificate)
        };
        let (ours, foreign) = (authority(), authority());
        std::fs::write(path("ca.pem"), &ours.1).unwrap();
        let issuer = if is_foreign { foreign.0 } else { ours.0 };
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        params.subject_alt_names.push(SanType::URI("spiffe://frontdesk/assignment".try_into().unwrap()));
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        std::fs::write(path("own.pem"), params.signed_by(&key, &issuer).unwrap().pem()).unwrap();
        std::fs::write(path("own.key"), key.serialize_pem()).unwrap();
        let settings = TlsSettings {
            certificate_path: path("own.pem"),
            key_path: path("own.key"),
            ca_path: path("ca.pem"),
            ..TlsSettings::default()
        };
        Tls::load(&settings).unwrap().unwrap()
    }

    #[tokio::test]
    async fn s5_a_certificate_that_the_other_services_would_refuse_is_found_before_they_do() {
        for names in [&["assignment"][..], &["*.services.example"], &["127.0.0.1"]] {
            tls(names, false, |_| {}).check_as_peer().await.unwrap();
        }
        assert!(tls(&["assignment"], true, |_| {}).check_as_peer().await.is_err(), "another authority signed it");
        assert!(tls(&[], false, |_| {}).check_as_peer().await.is_err(), "it has no host name");
        let servers_only = |params: &mut CertificateParams| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        };
        assert!(tls(&["assignment"], false, servers_only).check_as_peer().await.is_err(), "it is for servers only");
    }
}
