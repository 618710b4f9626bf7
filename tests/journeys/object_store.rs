//! Attachments in a bucket of an independent S3 server, which checks every signature.

use std::{path::Path, process::Stdio, time::Duration};

use frontdesk::Settings;
use frontdesk_conversation::S3Settings;
use frontdesk_proto::conversation::v1::{
    AttachmentStatus, CreateAttachmentLinkRequest, CreateAttachmentRequest, CreateChatAttachmentRequest,
    CreateChatAttachmentResponse, DeleteAttachmentRequest, DeleteChatAttachmentRequest, GetChatAttachmentRequest,
    SendMessageRequest, attachment_service_client::AttachmentServiceClient,
    visitor_service_client::VisitorServiceClient,
};
use frontdesk_tests::{Chat, TestSuite, request_id, upload, wait_until};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::Mutex,
};

const BUCKET: &str = "files";

/// A server with a bucket and a key for it.
struct S3Server {
    _child: Child,
    pipe: Mutex<(ChildStdin, Lines<BufReader<ChildStdout>>)>,
    settings: S3Settings,
}

impl S3Server {
    async fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("s3/server.py");
        let mut child = Command::new(crate::clients::python())
            .arg(script)
            .arg(BUCKET)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("Python with moto; run `make python`");
        let stdin = child.stdin.take().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let started = answer(&mut lines).await;
        let text = |name: &str| started[name].as_str().unwrap().to_owned();
        let settings = S3Settings {
            bucket: BUCKET.into(),
            endpoint: text("endpoint"),
            access_key_id: text("key_id"),
            secret_access_key: text("secret").into(),
            ..S3Settings::default()
        };
        Self { _child: child, pipe: Mutex::new((stdin, lines)), settings }
    }

    /// Puts the attachments of a suite into the bucket.
    fn set(&self, settings: &mut Settings) {
        settings.attachments.s3 = self.settings.clone();
    }

    /// The names of the objects, and the number of uploads that are neither completed nor aborted.
    async fn contents(&self) -> (Vec<String>, u64) {
        let (stdin, lines) = &mut *self.pipe.lock().await;
        stdin.write_all(b"list\n").await.unwrap();
        let found = answer(lines).await;
        let names = found["objects"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned());
        (names.collect(), found["uploads"].as_u64().unwrap())
    }

    /// Number of objects of the attachment.
    async fn count(&self, attachment: &str) -> usize {
        self.contents().await.0.iter().filter(|name| name.contains(attachment)).count()
    }
}

/// The next line of the server.
async fn answer(lines: &mut Lines<BufReader<ChildStdout>>) -> Value {
    let line = tokio::time::timeout(Duration::from_secs(30), lines.next_line()).await.expect("an answer in time");
    serde_json::from_str(&line.unwrap().expect("a line")).unwrap()
}

/// A file of more than one part.
fn picture() -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01".to_vec();
    bytes.extend((bytes.len()..6 * 1024 * 1024).map(|at| (at % 251) as u8));
    bytes
}

async fn announce(chat: &Chat, size: usize) -> CreateChatAttachmentResponse {
    let request = CreateChatAttachmentRequest {
        chat_id: chat.id.clone(),
        file_name: "a.png".into(),
        size_bytes: size.try_into().unwrap(),
        request_id: request_id(),
        ..Default::default()
    };
    let mut visitor = VisitorServiceClient::new(chat.visitor.clone());
    visitor.create_chat_attachment(request).await.unwrap().into_inner()
}

/// Sends the head of a request, and these bytes of its body.
async fn send(method: &str, url: &str, length: usize, bytes: &[u8]) -> TcpStream {
    let address = url.strip_prefix("http://").unwrap();
    let (authority, path) = address.split_at(address.find('/').unwrap());
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {authority}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    let mut stream = TcpStream::connect(authority).await.unwrap();
    stream.write_all(&[head.as_bytes(), bytes].concat()).await.unwrap();
    stream
}

/// The status and the body of an answer.
async fn receive(mut stream: TcpStream) -> (String, Vec<u8>) {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    (head.split(' ').nth(1).unwrap().to_owned(), answer.split_off(end + 4))
}

#[tokio::test]
async fn c5_i25_files_are_uploaded_to_a_bucket_sent_opened_and_removed_from_it() {
    let server = S3Server::start().await;
    let suite = TestSuite::start_with(|settings| server.set(settings)).await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    let mut visitor = VisitorServiceClient::new(chat.visitor.clone());
    let mut attachments = AttachmentServiceClient::new(agent.clone());
    let bytes = picture();

    let sent = announce(&chat, bytes.len()).await;
    upload(&sent.upload.unwrap(), &bytes).await;
    let sent = sent.attachment.unwrap().id;
    let (names, uploads) = server.contents().await;
    assert!(names.len() == 1 && names[0].starts_with(&format!("{}/{sent}/", account.id)), "{names:?}");
    assert_eq!(uploads, 0);
    let request = SendMessageRequest {
        chat_id: chat.id.clone(),
        attachment_ids: vec![sent.clone()],
        request_id: request_id(),
        ..Default::default()
    };
    visitor.send_message(request).await.unwrap();
    let request = CreateAttachmentLinkRequest { attachment_id: sent.clone() };
    let url = attachments.create_attachment_link(request).await.unwrap().into_inner().url;
    let (status, read) = receive(send("GET", &url, 0, b"").await).await;
    assert!(status == "200" && read == bytes, "{status}, {} bytes", read.len());

    let request = CreateAttachmentRequest {
        file_name: "b.png".into(),
        size_bytes: bytes.len().try_into().unwrap(),
        request_id: request_id(),
        ..Default::default()
    };
    let file = attachments.create_attachment(request).await.unwrap().into_inner();
    upload(&file.upload.unwrap(), &bytes).await;
    let file = file.attachment.unwrap().id;
    let unsent = announce(&chat, bytes.len()).await;
    upload(&unsent.upload.unwrap(), &bytes).await;
    let unsent = unsent.attachment.unwrap().id;
    assert_eq!((server.count(&file).await, server.count(&unsent).await), (1, 1));
    let delete = DeleteAttachmentRequest { attachment_id: file.clone(), request_id: request_id() };
    attachments.delete_attachment(delete).await.unwrap();
    let delete = DeleteChatAttachmentRequest {
        chat_id: chat.id.clone(),
        attachment_id: unsent.clone(),
        request_id: request_id(),
    };
    visitor.delete_chat_attachment(delete).await.unwrap();
    let (server, gone) = (&server, [&file, &unsent]);
    for id in gone {
        wait_until("the removal of its object", || async move { server.count(id).await == 0 }).await;
    }
    assert_eq!(server.count(&sent).await, 1);
}

#[tokio::test]
async fn i25_an_upload_that_breaks_off_leaves_nothing_in_the_bucket() {
    let server = S3Server::start().await;
    let suite = TestSuite::start_with(|settings| server.set(settings)).await;
    let account = suite.account().await;
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    let bytes = picture();
    let target = announce(&chat, bytes.len()).await.upload.unwrap();
    let broken = send("PUT", &target.url, bytes.len(), &bytes[..bytes.len() - 1]).await;
    let server = &server;
    wait_until("the beginning of the upload", || async move { server.contents().await.1 == 1 }).await;
    drop(broken);
    wait_until("its end", || async move { server.contents().await.1 == 0 }).await;
    assert!(server.contents().await.0.is_empty());

    let script = b"#!/bin/sh";
    let refused = announce(&chat, script.len()).await.upload.unwrap();
    let (status, _) = receive(send("PUT", &refused.url, script.len(), script).await).await;
    assert_eq!((status.as_str(), server.contents().await), ("415", (Vec::new(), 0)));
    upload(&target, &bytes).await;
    assert_eq!(server.contents().await.0.len(), 1);
}

#[tokio::test]
async fn i25_what_a_bucket_does_not_take_is_not_ready() {
    let server = S3Server::start().await;
    let suite = TestSuite::start_with(|settings| {
        server.set(settings);
        settings.attachments.s3.secret_access_key = "wrong".to_owned().into();
    })
    .await;
    let account = suite.account().await;
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    let bytes = picture();
    let created = announce(&chat, bytes.len()).await;
    let url = created.upload.unwrap().url;
    let (status, text) = receive(send("PUT", &url, bytes.len(), b"").await).await;
    assert_eq!(status, "503", "{}", String::from_utf8_lossy(&text));
    let request = GetChatAttachmentRequest { chat_id: chat.id.clone(), attachment_id: created.attachment.unwrap().id };
    let found = VisitorServiceClient::new(chat.visitor.clone()).get_chat_attachment(request).await.unwrap();
    assert_eq!(found.into_inner().attachment.unwrap().status(), AttachmentStatus::Pending);
    assert_eq!(server.contents().await, (Vec::new(), 0));
}
