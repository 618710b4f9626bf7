//! PUT: the bytes of an attachment.

use std::time::Duration;

use axum::{
    body::BodyDataStream,
    extract::{Path, Request, State},
};
use futures::StreamExt;
use http::{HeaderMap, StatusCode, header::CONTENT_LENGTH};
use sha2::{Digest, Sha256};

use super::{Answer, Transfers};
use crate::{
    commands::{self, LinkPurpose, StoreOutcome},
    domain::{Attachment, HEAD_BYTES, Received, media_type_of_bytes},
    queries,
    store::objects::NewObject,
};

/// How long the next bytes may take to arrive.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long all bytes may take to arrive, beside what they take at [`MIN_RATE`]. A client that sends slowly holds a permit.
const MIN_TIMEOUT: Duration = Duration::from_secs(30);
/// Rate at which bytes must arrive (bytes per second).
const MIN_RATE: u64 = 32 * 1024;
/// What to do about a link that is not valid.
const REMEDY: &str = "Create the attachment again with the same request_id to get a new one, or another attachment.";

pub(super) async fn upload(
    State(transfers): State<Transfers>,
    Path(token): Path<String>,
    request: Request,
) -> Result<Answer, Answer> {
    let app = &transfers.app;
    let verified = app.attachment_links.verify(LinkPurpose::Upload, &token);
    let (account, id) = verified.map_err(|_| Answer::invalid_link(REMEDY))?;
    let _permit = transfers.uploads.try_acquire().map_err(|_| Answer::busy())?;
    let found = queries::find_attachment(app, account, id).await.map_err(|error| Answer::failed("find", &error))?;
    let attachment = found.ok_or_else(removed)?;
    check_length(request.headers(), attachment.size)?;
    let object = app.objects.create(account, id).await.map_err(|error| Answer::failed("create", &error))?;
    let receive = receive(request.into_body().into_data_stream(), object, &attachment);
    let received = tokio::time::timeout(time_limit(attachment.size), receive).await;
    let (object, received) = received.map_err(|_| too_slow())??;
    // In a task of its own: a client that closes the connection must not stop it half way.
    let app = app.clone();
    let stored = tokio::spawn(async move { commands::store_attachment(&app, account, id, object, received).await });
    let outcome = stored.await.map_err(|error| Answer::failed("store", &error))?;
    answer(outcome.map_err(|error| Answer::failed("store", &error))?)
}

fn answer(outcome: StoreOutcome) -> Result<Answer, Answer> {
    match outcome {
        StoreOutcome::Ready => Ok(Answer::new(StatusCode::OK, "The file is stored.")),
        StoreOutcome::Refused { media_type } => {
            let text =
                format!("The bytes are of the type {media_type}, which cannot be attached; choose another file.");
            Err(Answer::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text))
        }
        StoreOutcome::Conflict => {
            Err(Answer::new(StatusCode::CONFLICT, "Other bytes are stored already; create another attachment."))
        }
        StoreOutcome::Removed => Err(removed()),
        StoreOutcome::Unstored(error) => Err(Answer::failed("store", &error)),
    }
}

fn time_limit(size: i64) -> Duration {
    MIN_TIMEOUT + Duration::from_secs(u64::try_from(size).unwrap_or_default() / MIN_RATE)
}

fn too_slow() -> Answer {
    Answer::new(StatusCode::REQUEST_TIMEOUT, "The bytes arrived too slowly; send them again.")
}

fn removed() -> Answer {
    Answer::new(
        StatusCode::NOT_FOUND,
        "The attachment was removed, because its bytes came too late; create another one.",
    )
}

/// The length must be stated, and be the one that the attachment was created with.
fn check_length(headers: &HeaderMap, size: i64) -> Result<(), Answer> {
    let stated = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<i64>().ok());
    match stated {
        None => Err(Answer::new(StatusCode::LENGTH_REQUIRED, "Send the header content-length.")),
        Some(stated) if stated != size => Err(wrong_size(size)),
        Some(_) => Ok(()),
    }
}

fn wrong_size(size: i64) -> Answer {
    let text = format!("The attachment was created for {size} bytes; send these, or create another one.");
    Answer::new(StatusCode::BAD_REQUEST, text)
}

/// Writes the bytes as they arrive, no more than were announced, and finds out what they are.
async fn receive(
    mut body: BodyDataStream,
    mut object: NewObject,
    attachment: &Attachment,
) -> Result<(NewObject, Received), Answer> {
    let (mut head, mut digest, mut length) = (Vec::new(), Sha256::new(), 0_i64);
    loop {
        let next = tokio::time::timeout(IDLE_TIMEOUT, body.next()).await;
        let Some(bytes) = next.map_err(|_| too_slow())? else { break };
        let broken = |_| Answer::new(StatusCode::BAD_REQUEST, "The bytes broke off; send them again.");
        let bytes = bytes.map_err(broken)?;
        length += i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        if length > attachment.size {
            return Err(wrong_size(attachment.size));
        }
        head.extend_from_slice(&bytes[..bytes.len().min(HEAD_BYTES - head.len())]);
        digest.update(&bytes);
        object.write(&bytes).await.map_err(|error| Answer::failed("write", &error))?;
    }
    if length != attachment.size {
        return Err(wrong_size(attachment.size));
    }
    object.flush().await.map_err(|error| Answer::failed("write", &error))?;
    let sha256 = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let media_type = media_type_of_bytes(&head, &attachment.file_name).to_owned();
    Ok((object, Received { media_type, sha256 }))
}
