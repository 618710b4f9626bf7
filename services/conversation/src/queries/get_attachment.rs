//! One attachment.

use frontdesk_auth::Caller;
use frontdesk_db::AccountId;
use uuid::Uuid;

use super::read_chat;
use crate::{App, domain::Attachment, error::ConversationError, store::attachments};

/// One that the team sees.
pub(crate) async fn get_attachment(app: &App, caller: &Caller, id: Uuid) -> Result<Attachment, ConversationError> {
    let attachment = find_attachment(app, caller.account, id).await?.filter(Attachment::is_visible_to_team);
    attachment.ok_or(ConversationError::NotFound("attachment"))
}

/// One that the calling visitor uploaded for the chat.
pub(crate) async fn get_chat_attachment(
    app: &App,
    caller: &Caller,
    chat: Uuid,
    id: Uuid,
) -> Result<Attachment, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let chat = read_chat(&read.conn(), caller, chat).await?;
    let attachment = attachments::find(&read.conn(), caller.account, id).await?;
    let own = attachment.filter(|found| found.is_by_visitor_of(chat.id));
    own.ok_or(ConversationError::NotFound("attachment"))
}

/// For the holder of a link.
pub(crate) async fn find_attachment(
    app: &App,
    account: AccountId,
    id: Uuid,
) -> Result<Option<Attachment>, ConversationError> {
    let read = app.db.read_for(account).await?;
    Ok(attachments::find(&read.conn(), account, id).await?)
}
