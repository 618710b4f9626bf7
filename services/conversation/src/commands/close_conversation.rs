//! The team closes (rules E1, E5, C2).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{Begun, ConversationChange, require_active_caller, require_known_author};
use crate::{
    App,
    domain::{Conversation, TeamMember},
    error::ConversationError,
    store::closing_facts,
};

pub(crate) struct CloseConversation {
    pub(crate) conversation: Uuid,
    pub(crate) by: TeamMember,
    pub(crate) expected_epoch: Option<i64>,
    pub(crate) key: Option<Key>,
}

pub(crate) async fn close_conversation(
    app: &App,
    caller: &Caller,
    command: CloseConversation,
) -> Result<Conversation, ConversationError> {
    require_known_author(app, caller).await?;
    let mut begun = match ConversationChange::begin(app, caller, command.conversation, command.key).await? {
        Begun::First(begun) => begun,
        Begun::Repeat(begun, ()) => return Ok(begun.conversation),
    };
    if begun.conversation.is_open() {
        require_active_caller(&begun.tx, caller).await?;
    }
    let facts = closing_facts::find(begun.tx.conn(), &begun.conversation).await?;
    let decision = begun.conversation.close_by_team(&command.by, command.expected_epoch, facts, begun.now);
    begun.finish(decision).await
}
