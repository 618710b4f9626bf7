//! The same silence before and after a TLS handshake.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use frontdesk_proto::conversation::v1::{ListChannelsRequest, channel_service_client::ChannelServiceClient};
use frontdesk_tests::Process;
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

use crate::{ALONE, wire::connect};

/// Five seconds are allowed, one is the machine's.
const CLOSED_WITHIN: Duration = Duration::from_secs(5 + 1);
const EACH: usize = 20;
/// The head of a ClientHello of 512 bytes, and the beginning of it.
const HALF_A_HELLO: &[u8] = &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 0, 1, 2, 3];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_whoever_does_not_finish_a_handshake_is_closed_within_five_seconds() {
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

    let silent = (0..EACH).map(|_| closed(to, b"", "nothing"));
    let half = (0..EACH).map(|_| closed(to, HALF_A_HELLO, "half a ClientHello"));
    let plain = (0..EACH).map(|_| closed(to, crate::wire::PREFACE, "HTTP/2 without TLS"));
    let shaken = (0..EACH).map(|_| closed_after_handshake(to, &authority));
    tokio::join!(join_all(silent), join_all(half), join_all(plain), join_all(shaken));

    let trusted = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&authority)).domain_name("localhost");
    let endpoint = Endpoint::from_shared(format!("https://{to}")).unwrap().tls_config(trusted).unwrap();
    let mut channels = ChannelServiceClient::new(endpoint.connect().await.unwrap());
    let mut request = tonic::Request::new(ListChannelsRequest::default());
    let keys = process.keys();
    let account = frontdesk_db::AccountId(frontdesk_clock::testing::new_id());
    let claims = keys.claims(account, frontdesk_auth::CallerKind::Admin, "administrator", Duration::from_secs(60));
    let bearer = format!("Bearer {}", keys.mint(&claims).unwrap());
    request.metadata_mut().insert("authorization", bearer.parse().unwrap());
    channels.list_channels(request).await.expect("an honest caller is served");
}

/// Makes an authority, gives its certificate, and writes a server's certificate and key, all as PEM.
fn certificates(folder: &Path) -> String {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut of_authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    of_authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = of_authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(of_authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = rcgen::CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    std::fs::write(folder.join("server.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
    authority.pem()
}

/// Says this and no more; whatever the server answers, it must hang up.
async fn closed(to: SocketAddr, said: &[u8], what: &str) {
    let mut stream = connect(to).await.unwrap();
    stream.write_all(said).await.unwrap();
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
    ends(stream, "a handshake and no more").await;
}

async fn ends(mut stream: impl tokio::io::AsyncRead + Unpin, what: &str) {
    let mut read = [0; 1024];
    let end = async { while stream.read(&mut read).await.is_ok_and(|count| count > 0) {} };
    assert!(timeout(CLOSED_WITHIN, end).await.is_ok(), "{what}: not closed within {CLOSED_WITHIN:?}");
}
