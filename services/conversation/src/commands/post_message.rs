//! An agent, or the bot in charge, posts a message (rules C4, C11, C12, A3).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{append_message, require_known_agent};
use crate::{
    App,
    domain::{AppendMessage, Entry},
    error::ConversationError,
    store::display_names::DisplayNames,
    workers::WriteRequest,
};

pub(crate) struct PostMessage {
    pub(crate) conversation: Uuid,
    /// By an agent or a bot.
    pub(crate) message: AppendMessage,
    pub(crate) key: Key,
}

/// Returns the entry and its author's name.
pub(crate) async fn post_message(
    app: &App,
    caller: &Caller,
    command: PostMessage,
) -> Result<(Entry, DisplayNames), ConversationError> {
    let PostMessage { conversation, message, key } = command;
    if let Some(agent) = message.agent() {
        require_known_agent(app, caller, agent).await?;
    }
    let request = WriteRequest { account: caller.account, conversation, message, key };
    append_message(app, caller, "conversation", request).await
}
