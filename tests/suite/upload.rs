//! The bytes of an attachment, sent as a browser sends them.

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
