//! The bot in charge hands the conversation off to the team (rule B8).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{Begun, ConversationChange, find_contact_owner};
use crate::{
    App,
    domain::{Conversation, Routing},
    error::ConversationError,
    store::channels,
};

pub(crate) struct HandOff {
    pub(crate) conversation: Uuid,
    pub(crate) session: Uuid,
    pub(crate) reason: String,
    /// The agent whom the bot names. None: the conversation becomes unassigned.
    pub(crate) agent: Option<Uuid>,
    /// The routing policy that the bot names. None: the channel's.
    pub(crate) policy: Option<Uuid>,
    /// The team that the bot names.
    pub(crate) team: Option<Uuid>,
    pub(crate) key: Key,
}

pub(crate) async fn hand_off(app: &App, caller: &Caller, command: HandOff) -> Result<Conversation, ConversationError> {
    let HandOff { conversation, session, reason, agent, policy, team, key } = command;
    let mut begun = match ConversationChange::begin(app, caller, conversation, Some(key)).await? {
        Begun::First(begun) => begun,
        Begun::Repeat(begun, ()) => return Ok(begun.conversation),
    };
    let channel = channels::find(begun.tx.conn(), caller.account, begun.conversation.channel_id).await?;
    let owner = find_contact_owner(&begun.tx, caller.account, begun.conversation.contact_id).await?;
    let of_channel = channel.and_then(|channel| channel.routing(owner));
    // Every hand-off is routed, also where the channel got another greeter since.
    let of_channel = of_channel.unwrap_or(Routing { contact_owner: owner, ..Routing::default() });
    let routing = Routing { policy: policy.or(of_channel.policy), team, ..of_channel };
    let decision = begun.conversation.hand_off(session, reason, agent, routing, begun.now);
    begun.finish(decision).await
}
