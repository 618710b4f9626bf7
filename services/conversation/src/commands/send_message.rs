//! The visitor sends a message (rules C4, C12, E2a, E3).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::{contact_of_visitor, explain, made_before};
use crate::{
    App,
    domain::{Content, Entry},
    error::ConversationError,
    store::conversations,
};

pub(crate) struct SendMessage {
    pub chat: Uuid,
    pub text: String,
    pub key: Key,
}

pub(crate) async fn send_message(app: &App, caller: &Caller, command: SendMessage) -> Result<Entry, ConversationError> {
    let mut tx = app.db.begin().await?;
    let conversation = conversations::find_for_update(&tx, caller.account, command.chat).await?;
    let mut conversation = conversation
        .filter(|conversation| conversation.row.visitor_id == caller.actor.id)
        .ok_or(ConversationError::NotFound("chat"))?;
    if let Some(sequence) = command.key.claim(&tx).await? {
        return made_before(&tx, caller.account, command.chat, sequence).await;
    }

    let now = tx.now().await?;
    contact_of_visitor::recognise(&mut tx, caller, &mut conversation, now).await?;
    match conversation.visitor_says(Content::text(command.text), now) {
        Ok(entry) => {
            conversations::save(&mut tx, &app.hints, &mut conversation).await?;
            command.key.keep(&tx, &entry.sequence).await?;
            tx.commit().await?;
            Ok(entry)
        }
        Err(refused) => Err(explain(&tx, conversation, refused).await),
    }
}
