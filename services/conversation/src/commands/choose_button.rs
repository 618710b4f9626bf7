//! The visitor chooses a button of the newest message that offers any (rules B3, B6).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::{contact_of_visitor, explain, made_before};
use crate::{
    App,
    domain::{Content, Entry},
    error::ConversationError,
    store::{conversations, entries},
};

pub(crate) struct ChooseButton {
    pub chat: Uuid,
    pub visitor_sequence: i64,
    pub button_id: String,
    pub key: Key,
}

pub(crate) async fn choose_button(
    app: &App,
    caller: &Caller,
    command: ChooseButton,
) -> Result<Entry, ConversationError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let conversation = conversations::find_for_update(&tx, caller.account, command.chat).await?;
    let mut conversation = conversation
        .filter(|conversation| conversation.row.visitor_id == caller.actor.id)
        .ok_or(ConversationError::NotFound("chat"))?;
    if let Some(sequence) = command.key.claim(&tx).await? {
        return made_before(tx.conn(), caller.account, command.chat, sequence).await;
    }

    let offered = entries::open_question(&tx, caller.account, command.chat).await?;
    let label = offered
        .filter(|entry| entry.visitor_sequence == Some(command.visitor_sequence))
        .and_then(|entry| match entry.content {
            Content::Message { buttons, .. } => buttons.into_iter().find(|button| button.id == command.button_id),
            _ => None,
        })
        .map(|button| button.label);
    let content = Content::Message {
        text: label.clone().unwrap_or_default(),
        buttons: Vec::new(),
        chosen_button_id: Some(command.button_id),
    };
    let now = tx.now().await?;
    contact_of_visitor::recognise(&mut tx, caller, &mut conversation, now).await?;
    match (conversation.visitor_says(content, now), label) {
        (Err(refused), _) => Err(explain(tx.conn(), conversation, refused).await),
        (Ok(_), None) => Err(ConversationError::ButtonNotOffered),
        (Ok(entry), Some(_)) => {
            conversations::save(&mut tx, &app.hints, &mut conversation).await?;
            command.key.store_result(&tx, &entry.sequence).await?;
            tx.commit().await?;
            Ok(entry)
        }
    }
}
