//! An agent posts a comment (rules C7, C11, C12).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::made_before;
use crate::{
    App,
    domain::Entry,
    error::ConversationError,
    store::{conversations, names},
};

pub(crate) struct PostComment {
    pub conversation: Uuid,
    pub agent: Uuid,
    pub text: String,
    pub key: Key,
}

pub(crate) async fn post_comment(app: &App, caller: &Caller, command: PostComment) -> Result<Entry, ConversationError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let conversation = conversations::find_for_update(&tx, caller.account, command.conversation).await?;
    let mut conversation = conversation.ok_or(ConversationError::NotFound("conversation"))?;
    if let Some(sequence) = command.key.claim(&tx).await? {
        return made_before(tx.conn(), caller.account, command.conversation, sequence).await;
    }

    names::mention_agent(&tx, caller.account, command.agent, caller.name.as_deref().unwrap_or_default()).await?;
    let now = tx.now().await?;
    let entry = conversation.comment(command.agent, command.text, now);
    conversations::save(&mut tx, &app.hints, &mut conversation).await?;
    command.key.store_result(&tx, &entry.sequence).await?;
    tx.commit().await?;
    Ok(entry)
}
