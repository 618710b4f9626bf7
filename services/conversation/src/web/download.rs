//! GET: the bytes of an attachment, as a download.

use std::{io, time::Duration};

use axum::{
    body::Body,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use frontdesk_permits::Permit;
use futures::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use http::{
    HeaderMap, StatusCode,
    header::{
        CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
        REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    },
};
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::{Answer, Transfers};
use crate::{
    commands::LinkPurpose,
    domain::{Attachment, AttachmentStatus, content_disposition, time_limit},
    queries,
    store::objects::ObjectKey,
};

/// What to do about a link that is not valid.
const REMEDY: &str = "Get a new one from the chat that the file is in.";

pub(super) async fn download(
    State(transfers): State<Transfers>,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Answer> {
    let app = &transfers.app;
    let verified = app.attachment_links.verify(LinkPurpose::Download, &token);
    let (account, id) = verified.map_err(|_| Answer::invalid_link(REMEDY))?;
    let permit = transfers.downloads.acquire(id).await.map_err(|_| Answer::busy())?;
    let found = queries::find_attachment(app, account, id).await.map_err(|error| Answer::failed("find", &error))?;
    let ready = found.filter(|attachment| attachment.status == AttachmentStatus::Ready);
    let attachment = ready.ok_or_else(|| Answer::new(StatusCode::NOT_FOUND, "There is no such file any more."))?;
    let etag = format!("\"{}\"", attachment.sha256);
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, etag)]).into_response());
    }
    let missing = || Answer::failed("read", &format!("there is no object of the attachment {id}"));
    let key = ObjectKey { account, attachment: id, object: attachment.object_id.ok_or_else(missing)? };
    let bytes = app.objects.read(key).await.map_err(|error| Answer::failed("read", &error))?.ok_or_else(missing)?;
    let body =
        Body::from_stream(verified_bytes(id, bytes, attachment.sha256.clone(), time_limit(attachment.size), permit));
    let Attachment { media_type, size, file_name, .. } = &attachment;
    Ok((response_headers(media_type, *size, file_name, etag), body).into_response())
}

/// The answer is a file to save and never a page, whatever the file holds.
pub(super) fn response_headers(
    media_type: &str,
    size: i64,
    file_name: &str,
    etag: String,
) -> [(http::HeaderName, String); 8] {
    [
        (CONTENT_TYPE, media_type.to_owned()),
        (CONTENT_LENGTH, size.to_string()),
        (CONTENT_DISPOSITION, content_disposition(file_name)),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'".to_owned()),
        (REFERRER_POLICY, "no-referrer".to_owned()),
        // The link ends; a copy is asked about before it is shown.
        (CACHE_CONTROL, "private, no-cache".to_owned()),
        (ETAG, etag),
    ]
}

/// Bytes whose digest is verified before the last of them are sent.
struct Verified {
    id: Uuid,
    bytes: BoxStream<'static, io::Result<Bytes>>,
    /// What was read and is sent when more follows, or when the digest is right.
    held: Option<Bytes>,
    digest: Sha256,
    expected: String,
    is_over: bool,
    /// When all must have been read.
    deadline: Instant,
    /// Holds the permit until then, also when nothing is read.
    _permit: AbortOnDropHandle<()>,
}

/// The bytes; at a mismatch of their digest an error in the place of the last ones, which aborts the answer.
pub(super) fn verified_bytes(
    id: Uuid,
    bytes: BoxStream<'static, io::Result<Bytes>>,
    expected: String,
    limit: Duration,
    permit: Permit,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let deadline = Instant::now() + limit;
    let hold = async move {
        let _permit = permit;
        tokio::time::sleep_until(deadline).await;
    };
    let start = Verified {
        id,
        bytes,
        held: None,
        digest: Sha256::new(),
        expected,
        is_over: false,
        deadline,
        _permit: AbortOnDropHandle::new(tokio::spawn(hold)),
    };
    stream::unfold(start, |mut state| async move {
        if state.is_over {
            return None;
        }
        let next = state.next().await;
        state.is_over = !matches!(next, Some(Ok(_))) || state.is_over;
        next.map(|next| (next, state))
    })
}

impl Verified {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            if Instant::now() > self.deadline {
                return Some(Err(io::Error::new(io::ErrorKind::TimedOut, "the bytes are read too slowly")));
            }
            match self.bytes.next().await {
                Some(Ok(bytes)) => {
                    self.digest.update(&bytes);
                    if let Some(held) = self.held.replace(bytes) {
                        return Some(Ok(held));
                    }
                }
                Some(Err(error)) => {
                    tracing::error!(attachment = %self.id, %error, "an attachment cannot be read");
                    return Some(Err(error));
                }
                None => {
                    self.is_over = true;
                    let digest = std::mem::take(&mut self.digest).finalize();
                    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                    if digest == self.expected {
                        return self.held.take().map(Ok);
                    }
                    tracing::error!(attachment = %self.id, "the bytes of an attachment are not those that were stored");
                    return Some(Err(io::Error::other("the bytes are not those that were stored")));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use frontdesk_permits::Permits;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    async fn read(parts: &[&'static [u8]], expected: &str) -> (Vec<u8>, bool) {
        let parts: Vec<_> = parts.iter().map(|part| Ok(Bytes::from_static(part))).collect();
        let permit = Permits::new(1, 1, Duration::ZERO).acquire(Uuid::nil()).await.unwrap();
        let bytes = stream::iter(parts).boxed();
        let sent: Vec<_> = verified_bytes(Uuid::nil(), bytes, expected.to_owned(), LIMIT, permit).collect().await;
        let is_whole = sent.iter().all(Result::is_ok);
        (sent.into_iter().flatten().flatten().collect(), is_whole)
    }

    #[tokio::test]
    async fn s4_a_client_that_reads_slowly_loses_its_permit_and_its_download() {
        let permits = Permits::new(1, 1, Duration::ZERO);
        let bytes = stream::iter([Ok(Bytes::from_static(b"abc"))]).boxed();
        let permit = permits.acquire(Uuid::nil()).await.unwrap();
        let download = verified_bytes(Uuid::nil(), bytes, String::new(), Duration::from_millis(1), permit);
        while permits.acquire(Uuid::nil()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let read: Vec<_> = download.collect().await;
        assert_eq!(read[0].as_ref().unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn i25_bytes_that_are_not_those_that_were_stored_are_not_sent_to_their_end() {
        let sha256 = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(read(&[b"ab", b"c"], &sha256(b"abc")).await, (b"abc".to_vec(), true));
        assert_eq!(read(&[b"ab", b"x"], &sha256(b"abc")).await, (b"ab".to_vec(), false));
        assert_eq!(read(&[b"abc"], &sha256(b"x")).await, (Vec::new(), false));
    }
}
