//! The team deletes a file of the team, and either side an upload that it did not send (rule C5).

use frontdesk_auth::Caller;
use frontdesk_db::Tx;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{require_active_caller, require_known_caller};
use crate::{
    App,
    domain::Attachment,
    error::ConversationError,
    queries::read_chat,
    store::{attachment_storage, attachments},
};

pub(crate) struct DeleteAttachment {
    pub(crate) attachment: Uuid,
    pub(crate) key: Key,
}

/// For the team.
pub(crate) async fn delete_attachment(
    app: &App,
    caller: &Caller,
    command: DeleteAttachment,
) -> Result<(), ConversationError> {
    require_known_caller(app, caller).await?;
    let tx = app.db.begin_for(caller.account).await?;
    if command.key.claim::<Uuid>(&tx).await?.is_some() {
        return Ok(());
    }
    require_active_caller(&tx, caller).await?;
    let found = attachments::find_for_update(&tx, caller.account, command.attachment).await?;
    delete(tx, found.filter(Attachment::is_visible_to_team), &command.key).await
}

/// For the calling visitor.
pub(crate) async fn delete_chat_attachment(
    app: &App,
    caller: &Caller,
    chat: Uuid,
    command: DeleteAttachment,
) -> Result<(), ConversationError> {
    let tx = app.db.begin_for(caller.account).await?;
    if command.key.claim::<Uuid>(&tx).await?.is_some() {
        return Ok(());
    }
    let chat = read_chat(tx.conn(), caller, chat).await?;
    let found = attachments::find_for_update(&tx, caller.account, command.attachment).await?;
    delete(tx, found.filter(|attachment| attachment.is_by_visitor_of(chat.id)), &command.key).await
}

/// Its bytes are free at once; its object is removed by `workers/unsent_attachments.rs`.
async fn delete(tx: Tx, found: Option<Attachment>, key: &Key) -> Result<(), ConversationError> {
    let mut attachment = found.ok_or(ConversationError::NotFound("attachment"))?;
    let (id, counted) = (attachment.id, attachment.counted_bytes());
    let deleted = attachment.delete(tx.now().await?);
    if deleted.map_err(|rejection| ConversationError::Attachment { attachment: id, rejection })? {
        attachments::save(&tx, &attachment).await?;
        attachment_storage::release(&tx, attachment.account, counted - attachment.counted_bytes()).await?;
    }
    key.store_result(&tx, &id).await?;
    Ok(tx.commit().await?)
}
