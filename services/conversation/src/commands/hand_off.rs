//! The bot in charge hands the conversation off to people (rule B8).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{Begun, ConversationChange};
use crate::{App, domain::Conversation, error::ConversationError};

pub(crate) struct HandOff {
    pub conversation: Uuid,
    pub session: Uuid,
    pub reason: String,
    /// None: routing decides.
    pub agent: Option<Uuid>,
    pub key: Key,
}

pub(crate) async fn hand_off(app: &App, caller: &Caller, command: HandOff) -> Result<Conversation, ConversationError> {
    let mut begun = match ConversationChange::begin(app, caller, command.conversation, Some(command.key)).await? {
        Begun::First(begun) => begun,
        Begun::Repeat(begun, ()) => return Ok(begun.conversation),
    };
    let decision = begun.conversation.hand_off(command.session, command.reason, command.agent, begun.now);
    begun.finish(decision).await
}
