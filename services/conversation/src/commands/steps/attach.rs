//! Attachments of a message (rule C5). Such a message is not written with others by the message writer: its attachments are locked, and
//! marked as sent in its own transaction.

use std::collections::HashMap;

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use uuid::Uuid;

use super::ConversationChange;
use crate::{
    domain::{Agent, AppendMessage, AttachmentRejection, Context, Entry, SentAttachment},
    error::ConversationError,
    store::attachments,
};

/// Appends the message with these attachments, in their order, and commits. `agent`: the writing agent.
pub(crate) async fn append_with_attachments(
    mut begun: ConversationChange<'_>,
    mut message: AppendMessage,
    ids: &[Uuid],
    agent: Option<&Agent>,
) -> Result<Entry, ConversationError> {
    let (account, conversation) = (begun.conversation.account, begun.conversation.id);
    let by_visitor = matches!(message, AppendMessage::Visitor { .. });
    message.message_mut().attachments = attach(&begun.tx, account, conversation, ids, by_visitor, begun.now).await?;
    match message.apply(&mut begun.conversation, Context { now: begun.now, agent }) {
        Ok(entry) => {
            begun.commit(&entry.sequence).await?;
            Ok(entry)
        }
        Err(rejection) => Err(begun.reject(rejection).await),
    }
}

/// Locks the attachments and marks them as sent.
async fn attach(
    tx: &Tx,
    account: AccountId,
    conversation: Uuid,
    ids: &[Uuid],
    by_visitor: bool,
    now: Time,
) -> Result<Vec<SentAttachment>, ConversationError> {
    let found = attachments::list_for_update(tx, account, ids).await?;
    let mut found: HashMap<Uuid, _> = found.into_iter().map(|attachment| (attachment.id, attachment)).collect();
    let mut sent = Vec::with_capacity(ids.len());
    for id in ids {
        let error = |rejection| ConversationError::Attachment { attachment: *id, rejection };
        let attachment = found.get_mut(id).ok_or_else(|| error(AttachmentRejection::Unknown))?;
        let is_first = attachment.sent_at.is_none();
        sent.push(attachment.send(conversation, by_visitor, now).map_err(error)?);
        // A file of the team that was sent before stays as it is.
        if is_first {
            attachments::save(tx, attachment).await?;
        }
    }
    Ok(sent)
}
