//! The visitor chooses a button of the newest message that offers any (rules B3, B6).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{Begun, ConversationChange, find_entry, recognise_before_message};
use crate::{
    App,
    domain::{ChosenButton, Content, Entry, Message, Rejection},
    error::ConversationError,
    store::entries,
};

pub(crate) struct ChooseButton {
    pub(crate) chat: Uuid,
    pub(crate) visitor_sequence: i64,
    pub(crate) button_id: String,
    pub(crate) request_id: String,
    pub(crate) key: Key,
}

pub(crate) async fn choose_button(
    app: &App,
    caller: &Caller,
    command: ChooseButton,
) -> Result<Entry, ConversationError> {
    recognise_before_message(app, caller, command.chat, &command.key).await?;
    let mut begun = match ConversationChange::begin_chat(app, caller, command.chat, Some(command.key)).await? {
        Begun::First(begun) => begun,
        Begun::Repeat(begun, sequence) => {
            return find_entry(begun.tx.conn(), caller.account, command.chat, sequence).await;
        }
    };
    let newest = entries::list_newest_visible(&begun.tx, caller.account, command.chat).await?;
    let question =
        Entry::open_question(newest).filter(|question| question.visitor_sequence == Some(command.visitor_sequence));
    let label = question.as_ref().and_then(|question| question.button_label(&command.button_id));

    let chosen = ChosenButton { button_id: command.button_id, visitor_sequence: command.visitor_sequence };
    let text = label.unwrap_or_default().to_owned();
    let content = Content::Message(Message { text, chosen: Some(chosen), ..Message::default() });
    match (begun.conversation.append_visitor_message(content, Some(command.request_id), begun.now), label) {
        (Ok(entry), Some(_)) => {
            begun.commit(&entry.sequence).await?;
            Ok(entry)
        }
        (Ok(_), None) => Err(begun.reject(Rejection::ButtonNotOffered).await),
        (Err(rejection), _) => Err(begun.reject(rejection).await),
    }
}
