//! The visitor sends a message (rules C4, C5, C12, E2a, E3).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{
    Begun, ConversationChange, append_message, append_with_attachments, find_entry, recognise_before_message,
};
use crate::{
    App,
    domain::{AppendMessage, Entry, Message},
    error::ConversationError,
    workers::WriteRequest,
};

pub(crate) struct SendMessage {
    pub(crate) chat: Uuid,
    pub(crate) text: String,
    pub(crate) attachments: Vec<Uuid>,
    pub(crate) request_id: String,
    pub(crate) key: Key,
}

pub(crate) async fn send_message(app: &App, caller: &Caller, command: SendMessage) -> Result<Entry, ConversationError> {
    let SendMessage { chat, text, attachments, request_id, key } = command;
    recognise_before_message(app, caller, chat, &key).await?;
    let message = Message { text, ..Message::default() };
    let message = AppendMessage::Visitor { visitor: caller.actor.id.clone(), message, request_id };
    if attachments.is_empty() {
        let request = WriteRequest { account: caller.account, conversation: chat, message, key };
        let (entry, _) = append_message(app, caller, "chat", request).await?;
        return Ok(entry);
    }
    match ConversationChange::begin_chat(app, caller, chat, Some(key)).await? {
        Begun::First(begun) => append_with_attachments(begun, message, &attachments, None).await,
        Begun::Repeat(begun, sequence) => find_entry(begun.tx.conn(), caller.account, chat, sequence).await,
    }
}
