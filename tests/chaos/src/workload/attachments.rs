//! Files of the workload: their calls, and the transfers of their bytes by plain HTTP, as a browser makes them.

use std::{
    io,
    time::{Duration, Instant},
};

use frontdesk_proto::conversation::v1::{
    Attachment, CreateAttachmentLinkRequest, CreateAttachmentRequest, CreateChatAttachmentRequest, PostMessageRequest,
    SendMessageRequest, attachment_service_client::AttachmentServiceClient, thread_service_client::ThreadServiceClient,
    visitor_service_client::VisitorServiceClient,
};
use rand::{Rng, rngs::StdRng};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::calls::{chat_entry_summary, entry_summary, map};
use crate::{
    cluster::{PUBLIC_URL, Service},
    driver::{ATTEMPT_TIMEOUT, Caller, Driver, Outcome, RETRY_FOR, request_id},
    history::{Details, Kind, Operation},
};

/// Maximum size of a file (bytes).
const MAX_SIZE: usize = 200 * 1024;
/// Pause before a transfer is repeated.
const REPEAT_AFTER: Duration = Duration::from_millis(100);

/// A file.
pub(super) struct File {
    name: String,
    bytes: Vec<u8>,
}

impl File {
    /// A text of 1 to [`MAX_SIZE`] bytes that contains the canary; or a script, whose name does not say that it is one and whose bytes
    /// are refused.
    pub(super) fn new(random: &mut StdRng, canary: &str, is_allowed: bool) -> Self {
        let size = random.random_range(1..=MAX_SIZE);
        let line = format!("{:016x} {canary}\n", random.random::<u64>());
        let text = if is_allowed { String::new() } else { "#!/bin/sh\n".to_owned() };
        let mut bytes = text.into_bytes();
        bytes.extend(line.bytes().cycle().take(size));
        Self { name: format!("{canary} notes"), bytes }
    }
}

impl Driver {
    /// Creates an attachment for a conversation, as its visitor or as an agent. Returns its id, and where its bytes go.
    pub(super) async fn create_attachment(
        &self,
        by: &Caller,
        conversation: &str,
        file: &File,
    ) -> Option<(String, String)> {
        let (id, size_bytes) = (request_id(), file.bytes.len() as i32);
        let (conversation_id, file_name) = (conversation.to_owned(), file.name.clone());
        let arguments = json!({ "file_name": file_name, "size": size_bytes });
        let summary = |attachment: Option<&Attachment>| json!({ "attachment": attachment.map(|one| &one.id) });
        let (attachment, upload) = if by.is_visitor() {
            let request = CreateChatAttachmentRequest {
                chat_id: conversation_id,
                file_name,
                size_bytes,
                request_id: id.clone(),
                ..Default::default()
            };
            let summarize = |response: &frontdesk_proto::conversation::v1::CreateChatAttachmentResponse| {
                summary(response.attachment.as_ref())
            };
            let call = ("CreateChatAttachment", conversation, id.as_str());
            let outcome = self
                .call_until_answered(by, Service::Conversation, call, arguments, summarize, |channel| {
                    let request = request.clone();
                    async move { VisitorServiceClient::new(channel).create_chat_attachment(request).await }
                })
                .await;
            let created = outcome.ok()?;
            (created.attachment?, created.upload?)
        } else {
            let request = CreateAttachmentRequest {
                conversation_id,
                file_name,
                size_bytes,
                request_id: id.clone(),
                ..Default::default()
            };
            let summarize = |response: &frontdesk_proto::conversation::v1::CreateAttachmentResponse| {
                summary(response.attachment.as_ref())
            };
            let call = ("CreateAttachment", conversation, id.as_str());
            let outcome = self
                .call_until_answered(by, Service::Conversation, call, arguments, summarize, |channel| {
                    let request = request.clone();
                    async move { AttachmentServiceClient::new(channel).create_attachment(request).await }
                })
                .await;
            let created = outcome.ok()?;
            (created.attachment?, created.upload?)
        };
        Some((attachment.id, upload.url))
    }

    /// Sends the bytes of an attachment to its address. Returns whether they were stored, or refused for what they are.
    pub(super) async fn put_attachment(
        &self,
        by: &Caller,
        conversation: &str,
        (attachment, url): (&str, &str),
        file: &File,
    ) -> bool {
        let operation = self.operation(by, "PutAttachment", conversation, "");
        let arguments = json!({ "attachment": attachment, "sha256": sha256(&file.bytes), "size": file.bytes.len() });
        let judge = |status: u16, _: &[u8]| match status {
            200 => (Kind::Ok, json!({ "status": "READY" })),
            415 => (Kind::Ok, json!({ "status": "REFUSED" })),
            403 | 404 | 409 => (Kind::Fail, Value::Null),
            _ => (Kind::Unknown, Value::Null),
        };
        self.transfer_until_answered(&operation, &arguments, ("PUT", url), &file.bytes, judge).await.is_some()
    }

    /// Sends a message with this attachment, as the visitor or as an agent.
    pub(super) async fn send_attachment(
        &self,
        by: &Caller,
        conversation: &str,
        text: &str,
        attachment: &str,
    ) -> Outcome<()> {
        let (id, arguments) = (request_id(), json!({ "text": text, "attachments": [attachment] }));
        let (conversation_id, attachment_ids) = (conversation.to_owned(), vec![attachment.to_owned()]);
        if by.is_visitor() {
            let request = SendMessageRequest {
                chat_id: conversation_id,
                text: text.to_owned(),
                attachment_ids,
                request_id: id.clone(),
            };
            let summarize = |response: &frontdesk_proto::conversation::v1::SendMessageResponse| {
                chat_entry_summary(response.entry.as_ref())
            };
            let call = ("SendMessage", conversation, id.as_str());
            let outcome = self
                .call_until_answered(by, Service::Conversation, call, arguments, summarize, |channel| {
                    let request = request.clone();
                    async move { VisitorServiceClient::new(channel).send_message(request).await }
                })
                .await;
            map(outcome, |_| ())
        } else {
            let request = PostMessageRequest {
                conversation_id,
                text: text.to_owned(),
                attachment_ids,
                request_id: id.clone(),
                ..Default::default()
            };
            let summarize = |response: &frontdesk_proto::conversation::v1::PostMessageResponse| {
                entry_summary(response.entry.as_ref())
            };
            let call = ("PostMessage", conversation, id.as_str());
            let outcome = self
                .call_until_answered(by, Service::Conversation, call, arguments, summarize, |channel| {
                    let request = request.clone();
                    async move { ThreadServiceClient::new(channel).post_message(request).await }
                })
                .await;
            map(outcome, |_| ())
        }
    }

    /// Downloads an attachment as an agent. Returns the SHA-256 of its bytes; none: it cannot be downloaded.
    pub async fn download_attachment(&self, agent: &Caller, attachment: &str) -> Option<String> {
        let request = CreateAttachmentLinkRequest { attachment_id: attachment.to_owned() };
        let arguments = json!({ "attachment": attachment });
        let call = ("CreateAttachmentLink", "", "");
        let outcome = self
            .call_until_answered(
                agent,
                Service::Conversation,
                call,
                arguments.clone(),
                |_| Value::Null,
                |channel| {
                    let request = request.clone();
                    async move { AttachmentServiceClient::new(channel).create_attachment_link(request).await }
                },
            )
            .await;
        let url = outcome.ok()?.url;
        let operation = self.operation(agent, "DownloadAttachment", "", "");
        let judge = |status: u16, bytes: &[u8]| match status {
            200 => (Kind::Ok, json!({ "sha256": sha256(bytes) })),
            403 | 404 => (Kind::Fail, Value::Null),
            _ => (Kind::Unknown, Value::Null),
        };
        let response = self.transfer_until_answered(&operation, &arguments, ("GET", &url), &[], judge).await?;
        response["sha256"].as_str().map(str::to_owned)
    }

    /// Repeats a request of plain HTTP, at the listener for browsers of one replica after another, until its outcome is known, and
    /// records each attempt. `judge`: what a status and the bytes of an answer mean. None: it was refused, or the driver gave up
    /// after [`RETRY_FOR`].
    async fn transfer_until_answered(
        &self,
        operation: &Operation,
        arguments: &Value,
        (method, url): (&str, &str),
        bytes: &[u8],
        judge: impl Fn(u16, &[u8]) -> (Kind, Value),
    ) -> Option<Value> {
        let path = url.strip_prefix(PUBLIC_URL).expect("a link that begins with the public address");
        let until = Instant::now() + RETRY_FOR;
        let (mut attempt, mut replica) = (1, self.next_replica());
        loop {
            let invoked = Details { arguments: arguments.clone(), ..Details::default() };
            self.recorder.write(operation, attempt, Kind::Invoke, invoked);
            let transfer = transfer(self.web_port(replica), method, path, bytes);
            let answer = timeout(ATTEMPT_TIMEOUT, transfer).await.unwrap_or_else(|late| Err(late.into()));
            let (kind, response, code) = match answer {
                Ok((status, answered)) => {
                    let (kind, response) = judge(status, &answered);
                    (kind, response, status.to_string())
                }
                Err(error) => (Kind::Unknown, Value::Null, error.kind().to_string()),
            };
            let details = Details { response: response.clone(), code, ..Details::default() };
            self.recorder.write(operation, attempt, kind, details);
            match kind {
                Kind::Ok => return Some(response),
                Kind::Unknown if Instant::now() < until => {}
                _ => return None,
            }
            attempt += 1;
            // Another replica may be healthy.
            replica += 1;
            tokio::time::sleep(REPEAT_AFTER).await;
        }
    }
}

/// Makes one request over a connection of its own. Returns the status and the bytes of the answer.
async fn transfer(port: u16, method: &str, path: &str, bytes: &[u8]) -> io::Result<(u16, Vec<u8>)> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: files.test\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        bytes.len()
    );
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(&[head.as_bytes(), bytes].concat()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    parse(&answer).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Status and bytes of an answer. None: it is not whole.
fn parse(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    const END: &[u8] = b"\r\n\r\n";
    let end = answer.windows(END.len()).position(|window| window == END)?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    };
    let bytes = &answer[end + END.len()..];
    (head.lines().find_map(header)? == bytes.len()).then(|| (status, bytes.to_vec()))
}

/// SHA-256 in hexadecimal digits.
fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_breaks_off_is_no_answer() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(parse(answer), Some((200, b"abc".to_vec())));
        assert_eq!(parse(&answer[..answer.len() - 1]), None);
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\n"), None);
    }
}
