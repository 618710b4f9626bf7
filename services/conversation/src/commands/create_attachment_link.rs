//! A link to the bytes of an attachment (rule C5). Nothing is stored.

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use uuid::Uuid;

use super::steps::{Link, LinkPurpose};
use crate::{
    App,
    domain::{AttachmentRejection, AttachmentStatus, Content, Message},
    error::ConversationError,
    queries::{get_attachment, read_chat},
    store::{attachments, entries},
};

/// For the team.
pub(crate) async fn create_attachment_link(app: &App, caller: &Caller, id: Uuid) -> Result<Link, ConversationError> {
    let attachment = get_attachment(app, caller, id).await?;
    if attachment.status != AttachmentStatus::Ready {
        let rejection = AttachmentRejection::NotReady(attachment.status);
        return Err(ConversationError::Attachment { attachment: id, rejection });
    }
    link(app, caller, id)
}

/// For the calling visitor: the attachment is one of the message with this visitor sequence in their chat.
pub(crate) async fn create_chat_attachment_link(
    app: &App,
    caller: &Caller,
    chat: Uuid,
    visitor_sequence: i64,
    id: Uuid,
) -> Result<Link, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let chat = read_chat(&read.conn(), caller, chat).await?;
    let page =
        entries::list_visible(&read.conn(), chat.account, chat.id, visitor_sequence - 1, Some(visitor_sequence), 1)
            .await?;
    let is_sent = page.entries.iter().any(|entry| {
        let Content::Message(Message { attachments, .. }) = &entry.content else { return false };
        attachments.iter().any(|sent| sent.attachment_id == id)
    });
    if is_sent { link(app, caller, id) } else { Err(ConversationError::NotFound("attachment")) }
}

/// For a transcript, until this time: those of these attachments that are READY, each with its link. None: there is no address for
/// links.
pub(crate) async fn create_attachment_links(
    app: &App,
    caller: &Caller,
    ids: &[Uuid],
    expires_at: Time,
) -> Result<Vec<(Uuid, Option<Link>)>, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let ready = attachments::list_ready(&read.conn(), caller.account, ids).await?;
    let links = &app.attachment_links;
    let link = |id: Uuid| {
        let link = links.is_enabled().then(|| links.link_until(LinkPurpose::Download, caller.account, id, expires_at));
        link.transpose().map(|link| (id, link))
    };
    ready.into_iter().map(link).collect()
}

fn link(app: &App, caller: &Caller, id: Uuid) -> Result<Link, ConversationError> {
    let lifetime = app.attachment_settings.link_lifetime;
    app.attachment_links.link_for(LinkPurpose::Download, caller.account, id, lifetime)
}
