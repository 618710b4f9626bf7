//! The bot in charge hands the conversation off to the team (rule B8).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{Begun, ConversationChange};
use crate::{App, domain::Conversation, error::ConversationError};

pub(crate) struct HandOff {
    pub(crate) conversation: Uuid,
    pub(crate) session: Uuid,
    pub(crate) reason: String,
    /// The agent whom the bot names. None: the conversation becomes unassigned.
    pub(crate) agent: Option<Uuid>,
    pub(crate) key: Key,
}

pub(crate) async fn hand_off(app: &App, caller: &Caller, command: HandOff) -> Result<Conversation, ConversationError> {
    let mut begun = match ConversationChange::begin(app, caller, command.conversation, Some(command.key)).await? {
        Begun::First(begun) => begun,
        Begun::Repeat(begun, ()) => return Ok(begun.conversation),
    };
    let decision = begun.conversation.hand_off(command.session, command.reason, command.agent, begun.now);
    begun.finish(decision).await
}
