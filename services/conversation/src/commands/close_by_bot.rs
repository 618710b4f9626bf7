//! The bot in charge closes at the end of its flow (rules C2, A3, E5).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{Begun, ConversationChange};
use crate::{App, domain::Conversation, error::ConversationError, store::closing_facts};

pub(crate) struct CloseByBot {
    pub(crate) conversation: Uuid,
    pub(crate) session: Uuid,
    pub(crate) key: Key,
}

pub(crate) async fn close_by_bot(
    app: &App,
    caller: &Caller,
    command: CloseByBot,
) -> Result<Conversation, ConversationError> {
    let mut begun = match ConversationChange::begin(app, caller, command.conversation, Some(command.key)).await? {
        Begun::First(begun) => begun,
        Begun::Repeat(begun, ()) => return Ok(begun.conversation),
    };
    let facts = closing_facts::find(begun.tx.conn(), &begun.conversation).await?;
    let decision = begun.conversation.close_by_bot(command.session, facts, begun.now);
    begun.finish(decision).await
}
