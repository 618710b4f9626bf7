//! The visitor sends a message (rules C4, C12, E2a, E3).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{append_message, recognise_before_message};
use crate::{
    App,
    domain::{AppendMessage, Entry},
    error::ConversationError,
    workers::WriteRequest,
};

pub(crate) struct SendMessage {
    pub(crate) chat: Uuid,
    pub(crate) text: String,
    pub(crate) request_id: String,
    pub(crate) key: Key,
}

pub(crate) async fn send_message(app: &App, caller: &Caller, command: SendMessage) -> Result<Entry, ConversationError> {
    recognise_before_message(app, caller, command.chat, &command.key).await?;
    let request = WriteRequest {
        account: caller.account,
        conversation: command.chat,
        message: AppendMessage::Visitor {
            visitor: caller.actor.id.clone(),
            text: command.text,
            request_id: command.request_id,
        },
        key: command.key,
    };
    let (entry, _) = append_message(app, caller, "chat", request).await?;
    Ok(entry)
}
