//! The bytes of an attachment have arrived (rule C5).

use frontdesk_db::AccountId;
use uuid::Uuid;

use crate::{
    App,
    domain::{AccountSettings, AttachmentStatus, Received},
    error::ConversationError,
    store::{account_settings, attachment_storage, attachments, objects::NewObject},
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

/// Makes the bytes those of the attachment, if they are allowed. `object`: their object; None if other bytes had arrived when they began
/// to. It is on disk before the row is locked, and of two uploads at once the row names one.
pub(crate) async fn store_attachment(
    app: &App,
    account: AccountId,
    id: Uuid,
    object: Option<NewObject>,
    received: Received,
) -> Result<StoreOutcome, ConversationError> {
    let mut completed = None;
    if let Some(object) = object {
        // What is allowed is decided again with the row.
        let settings = find_settings(app, account).await?;
        if settings.attachment_policy(&app.attachment_policy, false).allows(&received.media_type) {
            completed = Some(object.key);
            if let Err(error) = object.complete().await {
                return Ok(StoreOutcome::Unstored(error));
            }
        } else {
            object.abort().await;
        }
    }
    let object_id = completed.map(|key| key.object);
    // After an error the row may name the object: `unsent_attachments` removes it if it does not.
    let (outcome, named) = name_object(app, account, id, object_id, received).await?;
    if let Some(key) = completed
        && !named
        && let Err(error) = app.objects.delete(key).await
    {
        tracing::warn!(%error, attachment_id = %id, "the bytes of a discarded upload are deleted later");
    }
    Ok(outcome)
}

async fn find_settings(app: &App, account: AccountId) -> Result<AccountSettings, ConversationError> {
    let read = app.db.read_for(account).await?;
    Ok(account_settings::find(&read.conn(), account).await?)
}

/// The outcome, and whether the row names the object now.
async fn name_object(
    app: &App,
    account: AccountId,
    id: Uuid,
    object_id: Option<Uuid>,
    received: Received,
) -> Result<(StoreOutcome, bool), ConversationError> {
    let mut tx = app.db.begin_for(account).await?;
    let Some(mut attachment) = attachments::find_for_update(&tx, account, id).await? else {
        return Ok((StoreOutcome::Removed, false));
    };
    let (sha256, now) = (received.sha256.clone(), tx.now().await?);
    let settings = account_settings::find(tx.conn(), account).await?;
    let policy = settings.attachment_policy(&app.attachment_policy, attachment.is_by_visitor());
    let counted = attachment.counted_bytes();
    let changed = attachment.receive(received, object_id, &policy, now);
    if changed {
        attachments::save_received(&mut tx, &attachment).await?;
        attachment_storage::release(&tx, account, counted - attachment.counted_bytes()).await?;
        tx.commit().await?;
    }
    let outcome = match attachment.status {
        AttachmentStatus::Ready if attachment.sha256 == sha256 => StoreOutcome::Ready,
        AttachmentStatus::Refused => StoreOutcome::Refused { media_type: attachment.media_type },
        _ => StoreOutcome::Conflict,
    };
    Ok((outcome, changed && attachment.object_id.is_some()))
}
