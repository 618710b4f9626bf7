//! The bytes of an attachment, sent as a browser sends them, and the bytes behind a link.

use frontdesk_proto::conversation::v1::UploadTarget;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::wait_for;

/// Sends the bytes to their target, until they are stored.
pub async fn upload(target: &UploadTarget, bytes: &[u8]) {
    let address = target.url.strip_prefix("http://").expect("an address without TLS");
    let (authority, path) = address.split_at(address.find('/').expect("a path"));
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: {authority}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        bytes.len()
    );
    wait_for("the upload of an attachment", || async {
        let mut stream = TcpStream::connect(authority).await.ok()?;
        stream.write_all(&[head.as_bytes(), bytes].concat()).await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        answer.starts_with(b"HTTP/1.1 200 ").then_some(())
    })
    .await;
}

/// The bytes behind a link.
///
/// # Panics
/// When the answer is not 200.
pub async fn download(url: &str) -> Vec<u8> {
    let address = url.strip_prefix("http://").expect("an address without TLS");
    let (authority, path) = address.split_at(address.find('/').expect("a path"));
    let mut stream = TcpStream::connect(authority).await.expect("a connection");
    let request = format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("the request is sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
    let head = answer.windows(4).position(|part| part == b"\r\n\r\n").expect("the end of the head");
    answer.split_off(head + 4)
}
