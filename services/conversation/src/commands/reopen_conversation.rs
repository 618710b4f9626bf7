//! An agent opens a closed conversation again (rule E4).

use frontdesk_auth::Caller;
use frontdesk_db::is_unique_violation;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use crate::{
    App,
    domain::{Conversation, Status},
    error::ConversationError,
    store::{conversations, names},
};

pub(crate) async fn reopen_conversation(
    app: &App,
    caller: &Caller,
    id: Uuid,
    agent: Uuid,
    key: Option<Key>,
) -> Result<Conversation, ConversationError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let conversation = conversations::find_for_update(&tx, caller.account, id).await?;
    let mut conversation = conversation.ok_or(ConversationError::NotFound("conversation"))?;
    if let Some(key) = &key
        && key.claim::<()>(&tx).await?.is_some()
    {
        return Ok(conversation);
    }
    if conversation.row.status == Status::Open {
        return Ok(conversation);
    }
    let row = &conversation.row;
    if conversations::has_open(&tx, caller.account, row.channel_id, &row.visitor_id).await? {
        return Err(ConversationError::NewerConversationOpen);
    }

    names::mention_agent(&tx, caller.account, agent, caller.name.as_deref().unwrap_or_default()).await?;
    let now = tx.now().await?;
    conversation.reopen(agent, now);
    match conversations::save(&mut tx, &app.hints, &mut conversation).await {
        // The visitor started anew in the same instant: the index let one in.
        Err(error) if is_unique_violation(&error) => return Err(ConversationError::NewerConversationOpen),
        result => result?,
    }
    if let Some(key) = &key {
        key.store_result(&tx, &()).await?;
    }
    tx.commit().await?;
    Ok(conversation)
}
