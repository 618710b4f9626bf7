//! The bot in charge hands the conversation to people (rule B8).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::explain;
use crate::{App, domain::Conversation, error::ConversationError, store::conversations};

pub(crate) struct HandOff {
    pub conversation: Uuid,
    pub session: Uuid,
    pub reason: String,
    /// None: routing decides.
    pub agent: Option<Uuid>,
    pub key: Key,
}

pub(crate) async fn hand_off(app: &App, caller: &Caller, command: HandOff) -> Result<Conversation, ConversationError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let conversation = conversations::find_for_update(&tx, caller.account, command.conversation).await?;
    let mut conversation = conversation.ok_or(ConversationError::NotFound("conversation"))?;
    if command.key.claim::<()>(&tx).await?.is_some() {
        return Ok(conversation);
    }

    let now = tx.now().await?;
    match conversation.hand_off(command.session, command.reason, command.agent, now) {
        Ok(()) => {
            conversations::save(&mut tx, &app.hints, &mut conversation).await?;
            command.key.store_result(&tx, &()).await?;
            tx.commit().await?;
            Ok(conversation)
        }
        Err(refused) => Err(explain(tx.conn(), conversation, refused).await),
    }
}
