//! Slow clients before and after the TLS handshake.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use frontdesk_proto::conversation::v1::{ListChannelsRequest, channel_service_client::ChannelServiceClient};
use frontdesk_tests::{Process, new_id};
use futures::future::join_all;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName},
};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use crate::{ALONE, http2::connect};

/// Time limit of a handshake: five seconds, and one for a busy machine.
const CLOSED_WITHIN: Duration = Duration::from_secs(5 + 1);
/// Number of connections of each kind.
const CONNECTIONS: usize = 20;
/// The record header of a ClientHello of 512 bytes, and its first bytes.
const HALF_A_HELLO: &[u8] = &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 0, 1, 2, 3];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_connections_without_a_finished_handshake_are_closed_within_five_seconds() {
    let _alone = ALONE.lock().await;
    let _ = aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let authority = certificates(folder.path());
    let path = |file: &str| folder.path().join(file).display().to_string();
    let (certificate, key) = (path("server.pem"), path("server.key"));
    let environment =
        [("FRONTDESK__TLS__CERTIFICATE_PATH", certificate.as_str()), ("FRONTDESK__TLS__KEY_PATH", key.as_str())];
    let process = Process::start(folder.path(), &environment).await;
    let to = process.listen;

    let silent = (0..CONNECTIONS).map(|_| closed(to, b"", "nothing"));
    let half = (0..CONNECTIONS).map(|_| closed(to, HALF_A_HELLO, "half a ClientHello"));
    let plain = (0..CONNECTIONS).map(|_| closed(to, crate::http2::PREFACE, "HTTP/2 without TLS"));
    let handshakes = (0..CONNECTIONS).map(|_| closed_after_handshake(to, &authority));
    tokio::join!(join_all(silent), join_all(half), join_all(plain), join_all(handshakes));

    let trusted = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&authority)).domain_name("localhost");
    let endpoint = Endpoint::from_shared(format!("https://{to}")).unwrap().tls_config(trusted).unwrap();
    let mut channels = ChannelServiceClient::new(endpoint.connect().await.unwrap());
    let mut request = tonic::Request::new(ListChannelsRequest::default());
    let keys = process.keys();
    let account = frontdesk_db::AccountId(new_id());
    let claims = keys.claims(account, frontdesk_auth::CallerKind::Admin, "administrator", Duration::from_secs(60));
    let bearer = format!("Bearer {}", keys.mint(&claims).unwrap());
    request.metadata_mut().insert("authorization", bearer.parse().unwrap());
    channels.list_channels(request).await.expect("an honest client is served");
}

/// Creates a certificate authority, and a server's certificate and key in files; returns the authority's certificate in PEM.
fn certificates(folder: &Path) -> String {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(params, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = rcgen::CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    std::fs::write(folder.join("server.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
    authority.pem()
}

/// Sends these bytes and nothing more; the server must close the connection.
async fn closed(to: SocketAddr, sent: &[u8], what: &str) {
    let mut stream = connect(to).await.unwrap();
    stream.write_all(sent).await.unwrap();
    ends(stream, what).await;
}

async fn closed_after_handshake(to: SocketAddr, authority: &str) {
    let mut roots = RootCertStore::empty();
    roots.add(tokio_rustls::rustls::pki_types::pem::PemObject::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream: TcpStream = connect(to).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    ends(stream, "a handshake and nothing more").await;
}

async fn ends(mut stream: impl tokio::io::AsyncRead + Unpin, what: &str) {
    let mut read = [0; 1024];
    let end = async { while stream.read(&mut read).await.is_ok_and(|count| count > 0) {} };
    assert!(timeout(CLOSED_WITHIN, end).await.is_ok(), "{what}: not closed within {CLOSED_WITHIN:?}");
}
