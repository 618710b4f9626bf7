//! An agent closes (rules E1, E5, C2).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{Begun, ConversationChange};
use crate::{App, domain::Conversation, error::ConversationError, store::closing_facts};

pub(crate) struct CloseConversation {
    pub(crate) conversation: Uuid,
    pub(crate) agent: Uuid,
    pub(crate) expected_epoch: Option<i64>,
    pub(crate) key: Option<Key>,
}

pub(crate) async fn close_conversation(
    app: &App,
    caller: &Caller,
    command: CloseConversation,
) -> Result<Conversation, ConversationError> {
    let mut begun = match ConversationChange::begin(app, caller, command.conversation, command.key).await? {
        Begun::First(begun) => begun,
        Begun::Repeat(begun, ()) => return Ok(begun.conversation),
    };
    let facts = closing_facts::find(begun.tx.conn(), &begun.conversation).await?;
    let decision = begun.conversation.close_by_agent(command.agent, command.expected_epoch, facts, begun.now);
    begun.finish(decision).await
}
