//! The owner changes at an epoch (rules A1, A2, A3). The assignment service is the only caller.

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{
    Begun, ChangedAssignee, ConversationChange, StoredChange, require_active_caller, require_known_author,
    require_still_active,
};
use crate::{
    App,
    domain::{Agent, Conversation, OwnerChange},
    error::ConversationError,
};

pub(crate) struct ChangeAssignee {
    pub(crate) conversation: Uuid,
    pub(crate) change: OwnerChange,
    /// The agent who becomes the owner, as the roster had them. None: the conversation becomes unassigned.
    pub(crate) agent: Option<Agent>,
    pub(crate) key: Key,
}

/// Returns the conversation as it is now, and what the change did; for a repeat what the first request did.
pub(crate) async fn change_assignee(
    app: &App,
    caller: &Caller,
    command: ChangeAssignee,
) -> Result<(Conversation, ChangedAssignee), ConversationError> {
    require_known_author(app, caller).await?;
    let mut begun = match ConversationChange::begin(app, caller, command.conversation, Some(command.key)).await? {
        Begun::First(begun) => begun,
        Begun::Repeat(begun, stored) => {
            let stored: StoredChange = stored;
            return Ok((begun.conversation, stored.into()));
        }
    };
    require_active_caller(&begun.tx, caller).await?;
    if let Some(agent) = command.agent
        && let Err(rejection) = require_still_active(&begun.tx, agent).await?
    {
        return Err(begun.reject(rejection).await);
    }

    let epoch_before = begun.conversation.epoch;
    let from = match begun.conversation.change_owner(command.change, begun.now) {
        Ok(from) => from,
        Err(rejection) => return Err(begun.reject(rejection).await),
    };
    let epoch = begun.conversation.epoch;
    let at = (epoch > epoch_before).then_some(begun.now);
    let changed = ChangedAssignee { from, epoch, at };
    let conversation = begun.commit(&changed).await?;
    Ok((conversation, changed))
}
