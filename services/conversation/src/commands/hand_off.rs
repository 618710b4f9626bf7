//! The bot in charge hands the conversation off to the team (rule B8).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{Begun, ConversationChange};
use crate::{App, domain::Conversation, error::ConversationError, store::channels};

pub(crate) struct HandOff {
    pub(crate) conversation: Uuid,
    pub(crate) session: Uuid,
    pub(crate) reason: String,
    /// The agent whom the bot names. None: the conversation becomes unassigned.
    pub(crate) agent: Option<Uuid>,
    pub(crate) key: Key,
}

pub(crate) async fn hand_off(app: &App, caller: &Caller, command: HandOff) -> Result<Conversation, ConversationError> {
    let HandOff { conversation, session, reason, agent, key } = command;
    let mut begun = match ConversationChange::begin(app, caller, conversation, Some(key)).await? {
        Begun::First(begun) => begun,
        Begun::Repeat(begun, ()) => return Ok(begun.conversation),
    };
    let channel = channels::find(begun.tx.conn(), caller.account, begun.conversation.channel_id).await?;
    let policy = channel.and_then(|channel| channel.routing_policy());
    let decision = begun.conversation.hand_off(session, reason, agent, policy, begun.now);
    begun.finish(decision).await
}
