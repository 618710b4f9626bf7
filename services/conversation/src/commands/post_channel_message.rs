//! The channel writes to a visitor who waits for an agent (rule A4).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{Begun, ConversationChange};
use crate::{
    App,
    domain::{Content, Conversation, LocalizedText, text_in},
    error::ConversationError,
};

pub(crate) struct PostChannelMessage {
    pub(crate) conversation: Uuid,
    pub(crate) expected_epoch: i64,
    /// The message in each of its languages.
    pub(crate) texts: Vec<LocalizedText>,
    pub(crate) key: Key,
}

pub(crate) async fn post_channel_message(
    app: &App,
    caller: &Caller,
    command: PostChannelMessage,
) -> Result<Conversation, ConversationError> {
    let PostChannelMessage { conversation, expected_epoch, texts, key } = command;
    let mut begun = match ConversationChange::begin(app, caller, conversation, Some(key)).await? {
        Begun::First(begun) => begun,
        Begun::Repeat(begun, ()) => return Ok(begun.conversation),
    };
    let content = Content::text(text_in(&texts, &begun.conversation.context.language).to_owned());
    let decision = begun.conversation.append_channel_message(content, expected_epoch, begun.now);
    begun.finish(decision).await
}
