//! An agent closes (rules E1, E5, C2).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{Begun, ConversationChange, require_active, require_known_agent};
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
    require_known_agent(app, caller, command.agent).await?;
    let mut begun = match ConversationChange::begin(app, caller, command.conversation, command.key).await? {
        Begun::First(begun) => begun,
        Begun::Repeat(begun, ()) => return Ok(begun.conversation),
    };
    if begun.conversation.is_open() {
        require_active(&begun.tx, caller.account, command.agent).await?;
    }
    let facts = closing_facts::find(begun.tx.conn(), &begun.conversation).await?;
    let decision = begun.conversation.close_by_agent(command.agent, command.expected_epoch, facts, begun.now);
    begun.finish(decision).await
}
