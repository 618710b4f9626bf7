//! PUT: the bytes of an attachment.

use std::time::{Duration, Instant};

use axum::{
    body::BodyDataStream,
    extract::{Path, Request, State},
};
use frontdesk_db::AccountState;
use futures::StreamExt;
use http::{HeaderMap, StatusCode, header::CONTENT_LENGTH};
use sha2::{Digest, Sha256};

use super::{Answer, Transfers};
use crate::{
    commands::{self, LinkPurpose, StoreOutcome},
    domain::{Attachment, AttachmentStatus, HEAD_BYTES, Received, media_type_of_bytes, time_limit},
    queries,
    store::objects::{NewObject, ObjectKey},
};

/// How long the next bytes may take to arrive.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// What to do about a link that is not valid.
const REMEDY: &str = "Create another attachment, with a new request_id.";

pub(super) async fn upload(
    State(transfers): State<Transfers>,
    Path(token): Path<String>,
    request: Request,
) -> Result<Answer, Answer> {
    let app = &transfers.app;
    let verified = app.attachment_links.verify(LinkPurpose::Upload, &token);
    let (account, id) = verified.map_err(|_| Answer::invalid_link(REMEDY))?;
    let state = app.db.account_state(account).await.map_err(|error| Answer::failed("find", &error))?;
    if state != AccountState::Active {
        return Err(Answer::new(StatusCode::FORBIDDEN, "The account is ending or has ended, and takes no files."));
    }
    let _permit = transfers.uploads.acquire(id).await.map_err(|_| Answer::busy())?;
    let found = queries::find_attachment(app, account, id).await.map_err(|error| Answer::failed("find", &error))?;
    let attachment = found.ok_or_else(removed)?;
    check_length(request.headers(), attachment.size)?;
    // Bytes that come again are compared, and not stored.
    let object = match attachment.status {
        AttachmentStatus::Pending => {
            let key = ObjectKey { account, attachment: id, object: app.db.new_id() };
            Some(app.objects.create(key).await.map_err(|error| Answer::failed("create", &error))?)
        }
        _ => None,
    };
    let (object, received) = receive(request.into_body().into_data_stream(), object, &attachment).await?;
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

fn too_slow() -> Answer {
    Answer::new(StatusCode::REQUEST_TIMEOUT, "The bytes arrived too slowly; send them again.")
}

fn removed() -> Answer {
    Answer::new(
        StatusCode::NOT_FOUND,
        "The attachment was deleted, or removed because its bytes came too late; create another one.",
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
    mut object: Option<NewObject>,
    attachment: &Attachment,
) -> Result<(Option<NewObject>, Received), Answer> {
    let (began, mut head, mut digest, mut length) = (Instant::now(), Vec::new(), Sha256::new(), 0_i64);
    loop {
        let next = tokio::time::timeout(IDLE_TIMEOUT, body.next()).await;
        let Some(bytes) = next.map_err(|_| too_slow())? else { break };
        let broken = |_| Answer::new(StatusCode::BAD_REQUEST, "The bytes broke off; send them again.");
        let bytes = bytes.map_err(broken)?;
        length += i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        if length > attachment.size {
            return Err(wrong_size(attachment.size));
        }
        if began.elapsed() > time_limit(length) {
            return Err(too_slow());
        }
        head.extend_from_slice(&bytes[..bytes.len().min(HEAD_BYTES - head.len())]);
        digest.update(&bytes);
        if let Some(object) = &mut object {
            object.write(&bytes).await.map_err(|error| Answer::failed("write", &error))?;
        }
    }
    if length != attachment.size {
        return Err(wrong_size(attachment.size));
    }
    if let Some(object) = &mut object {
        object.flush().await.map_err(|error| Answer::failed("write", &error))?;
    }
    let sha256 = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let media_type = media_type_of_bytes(&head, &attachment.file_name).to_owned();
    Ok((object, Received { media_type, sha256 }))
}
