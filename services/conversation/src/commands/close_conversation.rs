//! An agent, or the bot in charge at the end of its flow, closes (rules E1, E5, C2).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::explain;
use crate::{
    App,
    domain::Conversation,
    error::ConversationError,
    store::{closes, conversations},
};

pub(crate) struct CloseConversation {
    pub conversation: Uuid,
    pub by: Closer,
    pub expected_epoch: Option<i64>,
    pub key: Option<Key>,
}

/// Who closes.
pub(crate) enum Closer {
    Agent(Uuid),
    BotSession(Uuid),
}

pub(crate) async fn close_conversation(
    app: &App,
    caller: &Caller,
    command: CloseConversation,
) -> Result<Conversation, ConversationError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let conversation = conversations::find_for_update(&tx, caller.account, command.conversation).await?;
    let mut conversation = conversation.ok_or(ConversationError::NotFound("conversation"))?;

    if let Some(key) = &command.key
        && key.claim::<()>(&tx).await?.is_some()
    {
        return Ok(conversation);
    }
    let facts = closes::facts(tx.conn(), &conversation).await?;
    let now = tx.now().await?;
    let closed = match command.by {
        Closer::Agent(agent) => conversation.close_by_agent(agent, command.expected_epoch, facts, now),
        Closer::BotSession(session) => conversation.close_by_bot(session, facts, now),
    };
    match closed {
        Ok(()) => {
            conversations::save(&mut tx, &app.hints, &mut conversation).await?;
            if let Some(key) = &command.key {
                key.store_result(&tx, &()).await?;
            }
            tx.commit().await?;
            Ok(conversation)
        }
        Err(refused) => Err(explain(tx.conn(), conversation, refused).await),
    }
}
