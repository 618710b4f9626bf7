//! The visitor sends a message (rules C4, C12, E2a, E3).

use std::sync::Arc;

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::{contact_of_visitor, explain, made_before, write};
use crate::{
    App,
    domain::{Content, Conversation, Entry},
    error::ConversationError,
    store::{
        conversations,
        writer::{Known, No, Wanted},
    },
};

pub(crate) struct SendMessage {
    pub chat: Uuid,
    pub text: String,
    pub key: Key,
}

pub(crate) async fn send_message(app: &App, caller: &Caller, command: SendMessage) -> Result<Entry, ConversationError> {
    if caller.email.is_some() {
        return send_recognised(app, caller, command).await;
    }
    let SendMessage { chat, text, key } = command;
    let decide = move |conversation: &mut Conversation, known: &Known<'_>| {
        conversation.visitor_says(Content::text(text.clone()), known.now).map_err(No::Refused)
    };
    let wanted = Wanted {
        account: caller.account,
        conversation: chat,
        of_visitor: Some(caller.actor.id.clone()),
        agent: None,
        key,
        decide: Arc::new(decide),
    };
    Ok(write(app, "chat", wanted).await?.0)
}

/// A visitor for whose address the token vouches: their contact may change with the message, so it is written alone.
async fn send_recognised(app: &App, caller: &Caller, command: SendMessage) -> Result<Entry, ConversationError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let conversation = conversations::find_for_update(&tx, caller.account, command.chat).await?;
    let mut conversation = conversation
        .filter(|conversation| conversation.row.visitor_id == caller.actor.id)
        .ok_or(ConversationError::NotFound("chat"))?;
    if let Some(sequence) = command.key.claim(&tx).await? {
        return made_before(tx.conn(), caller.account, command.chat, sequence).await;
    }

    let now = tx.now().await?;
    contact_of_visitor::recognise(&mut tx, caller, &mut conversation, now).await?;
    match conversation.visitor_says(Content::text(command.text), now) {
        Ok(entry) => {
            conversations::save(&mut tx, &app.hints, &mut conversation).await?;
            command.key.store_result(&tx, &entry.sequence).await?;
            tx.commit().await?;
            Ok(entry)
        }
        Err(refused) => Err(explain(tx.conn(), conversation, refused).await),
    }
}
