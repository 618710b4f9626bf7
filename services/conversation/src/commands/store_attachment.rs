//! The bytes of an attachment have arrived (rule C5).

use frontdesk_db::AccountId;
use uuid::Uuid;

use crate::{
    App,
    domain::{AttachmentStatus, Received},
    error::ConversationError,
    store::{attachments, objects::NewObject},
};

/// What came of an upload.
#[derive(Debug)]
pub(crate) enum StoreOutcome {
    /// The attachment is READY, with these bytes; also by an earlier upload of the same bytes.
    Ready,
    /// The bytes are of a type that is not allowed.
    Refused { media_type: String },
    /// Other bytes were stored before.
    Conflict,
    /// The attachment was removed.
    Removed,
    /// The object store failed; nothing was stored.
    Unstored(std::io::Error),
}

/// Makes the bytes those of the attachment, if they are allowed. The row is locked while they become its object, so of two uploads at once
/// one is stored, and the row describes the object.
pub(crate) async fn store_attachment(
    app: &App,
    account: AccountId,
    id: Uuid,
    object: NewObject,
    received: Received,
) -> Result<StoreOutcome, ConversationError> {
    let mut tx = app.db.begin_for(account).await?;
    let Some(mut attachment) = attachments::find_for_update(&tx, account, id).await? else {
        object.abort().await;
        return Ok(StoreOutcome::Removed);
    };
    let sha256 = received.sha256.clone();
    let was_pending = attachment.status == AttachmentStatus::Pending;
    let now = tx.now().await?;
    attachment.receive(received, &app.attachment_policy, now);
    if was_pending && attachment.status == AttachmentStatus::Ready {
        if let Err(error) = object.complete().await {
            return Ok(StoreOutcome::Unstored(error));
        }
    } else {
        object.abort().await;
    }
    if was_pending {
        attachments::save_received(&mut tx, &attachment).await?;
        tx.commit().await?;
    }
    Ok(match attachment.status {
        AttachmentStatus::Ready if attachment.sha256 == sha256 => StoreOutcome::Ready,
        AttachmentStatus::Refused => StoreOutcome::Refused { media_type: attachment.media_type },
        _ => StoreOutcome::Conflict,
    })
}
