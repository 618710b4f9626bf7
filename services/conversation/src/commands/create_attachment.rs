//! The team or a visitor announces a file (rule C5).

use frontdesk_auth::Caller;
use frontdesk_db::Tx;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{Link, LinkPurpose, reject, require_active_caller, require_known_caller};
use crate::{
    App,
    domain::{
        Actor, Attachment, AttachmentPolicy, AttachmentStatus, Conversation, MAX_UNSENT, Rejection, StorageOwner,
        plain_file_name, time_limit,
    },
    error::ConversationError,
    queries::read_chat,
    store::{account_settings, attachment_storage, attachments, conversations, identity_locks},
};

/// What an attachment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttachmentUse {
    /// The chat of the calling visitor.
    Chat(Uuid),
    /// A conversation, for which the team uploads it.
    Conversation(Uuid),
    /// Any conversation: it is a file of the team.
    Team,
}

pub(crate) struct CreateAttachment {
    pub(crate) usage: AttachmentUse,
    pub(crate) by: Actor,
    pub(crate) file_name: String,
    /// As the caller states it. Empty: not stated.
    pub(crate) media_type: String,
    /// In bytes.
    pub(crate) size: i64,
    pub(crate) key: Key,
}

/// Returns the attachment, and where its bytes go while they are awaited.
pub(crate) async fn create_attachment(
    app: &App,
    caller: &Caller,
    command: CreateAttachment,
) -> Result<(Attachment, Option<Link>), ConversationError> {
    app.attachment_links.require_enabled()?;
    require_known_caller(app, caller).await?;
    let tx = app.db.begin_for(caller.account).await?;
    let attachment = match command.key.claim::<Uuid>(&tx).await? {
        Some(id) => attachments::find(tx.conn(), caller.account, id).await?,
        None => Some(create(app, &tx, caller, &command).await?),
    };
    let attachment = attachment.ok_or(ConversationError::NotFound("attachment"))?;
    tx.commit().await?;
    let upload = match attachment.status {
        AttachmentStatus::Pending => {
            let end = attachment.created_at.plus(app.attachment_settings.upload_lifetime);
            let links = &app.attachment_links;
            Some(links.link_until(LinkPurpose::Upload, attachment.account, attachment.id, end)?)
        }
        _ => None,
    };
    Ok((attachment, upload))
}

async fn create(
    app: &App,
    tx: &Tx,
    caller: &Caller,
    command: &CreateAttachment,
) -> Result<Attachment, ConversationError> {
    require_active_caller(tx, caller).await?;
    let file_name = plain_file_name(&command.file_name);
    let policy = find_policy(app, tx, caller, command.usage).await?;
    policy.check(&file_name, &command.media_type, command.size).map_err(ConversationError::File)?;
    let conversation = find_conversation(tx, caller, command.usage).await?;
    if let Some(closed) = conversation.as_ref().filter(|conversation| !conversation.is_open()) {
        return Err(reject(tx.conn(), closed.clone(), Rejection::Closed).await);
    }
    reserve_storage(app, tx, caller, command).await?;
    let now = tx.now().await?;
    let attachment = Attachment {
        id: tx.new_id(),
        account: caller.account,
        conversation_id: conversation.map(|conversation| conversation.id),
        uploader: command.by.clone(),
        status: AttachmentStatus::Pending,
        file_name,
        media_type: String::new(),
        size: command.size,
        sha256: String::new(),
        object_id: None,
        created_at: now,
        sent_at: None,
        // An upload that begins before its URL expires has its time.
        collect_at: Some(now.plus(app.attachment_settings.upload_lifetime + time_limit(command.size))),
        deleted_at: None,
    };
    attachments::insert(tx, &attachment).await?;
    command.key.store_result(tx, &attachment.id).await?;
    Ok(attachment)
}

/// Counts the announced bytes, or refuses them. Of calls at once each counts those before it: a visitor's lock was taken with the chat, and
/// the account's row is locked here.
async fn reserve_storage(
    app: &App,
    tx: &Tx,
    caller: &Caller,
    command: &CreateAttachment,
) -> Result<(), ConversationError> {
    let (mut limits, size) = (app.attachment_settings.storage_limits(), command.size);
    if let AttachmentUse::Chat(chat) = command.usage {
        limits = limits.of_visitors();
        let used = attachment_storage::sum_of_visitor(tx, caller.account, chat).await?;
        limits.check(StorageOwner::Chat, used, size).map_err(ConversationError::StorageFull)?;
    }
    let used = attachment_storage::reserve(tx, caller.account, size).await? - size;
    limits.check(StorageOwner::Account, used, size).map_err(ConversationError::StorageFull)
}

/// What the account allows to attach now.
async fn find_policy(
    app: &App,
    tx: &Tx,
    caller: &Caller,
    usage: AttachmentUse,
) -> Result<AttachmentPolicy, ConversationError> {
    let settings = account_settings::find(tx.conn(), caller.account).await?;
    let by_visitor = matches!(usage, AttachmentUse::Chat(_));
    if by_visitor && !settings.visitor_attachments_enabled {
        return Err(ConversationError::VisitorAttachmentsDisabled);
    }
    Ok(settings.attachment_policy(&app.attachment_policy, by_visitor))
}

/// The conversation that the attachment is for. None: it is a file of the team.
async fn find_conversation(
    tx: &Tx,
    caller: &Caller,
    usage: AttachmentUse,
) -> Result<Option<Conversation>, ConversationError> {
    match usage {
        AttachmentUse::Team => Ok(None),
        AttachmentUse::Conversation(id) => {
            let found = conversations::find(tx.conn(), caller.account, id).await?;
            found.map(Some).ok_or(ConversationError::NotFound("conversation"))
        }
        AttachmentUse::Chat(id) => {
            let chat = read_chat(tx.conn(), caller, id).await?;
            // Of calls at once each counts those before it.
            identity_locks::lock_visitors(tx, caller.account, [chat.visitor_id.as_str()]).await?;
            let unsent = attachments::list_ends_of_unsent(tx, caller.account, id).await?;
            if unsent.len() >= MAX_UNSENT
                && let Some(first) = unsent.first()
            {
                let retry_after = first.since(tx.now().await?);
                return Err(ConversationError::TooManyUnsent { limit: MAX_UNSENT, retry_after });
            }
            Ok(Some(chat))
        }
    }
}
