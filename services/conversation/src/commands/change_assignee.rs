//! The owner changes at an epoch (rules A1, A2, A3). The assignment service is the only caller.

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use frontdesk_idempotency::Key;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::steps::{Begun, ConversationChange, require_active_caller, require_known_author, require_still_active};
use crate::{
    App,
    domain::{Agent, Conversation, Owner, OwnerChange},
    error::ConversationError,
};

pub(crate) struct ChangeAssignee {
    pub(crate) conversation: Uuid,
    pub(crate) change: OwnerChange,
    /// The agent who becomes the owner, as the roster had them. None: the conversation becomes unassigned.
    pub(crate) agent: Option<Agent>,
    pub(crate) key: Key,
}

/// What the change did. Stored as JSON for repeats: add, never rename.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChangedAssignee {
    pub(crate) from: Option<Owner>,
    /// The epoch that began; where nothing had to change, the current one.
    pub(crate) epoch: i64,
    /// When the epoch began. None: nothing had to change.
    pub(crate) at: Option<Time>,
}

/// The stored result of a request: this release's, or that of the release before, which stored no time.
#[derive(Deserialize)]
#[serde(untagged)]
enum StoredResult {
    Current(ChangedAssignee),
    WithoutTime(i64, Option<Owner>),
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
            let stored: StoredResult = stored;
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

impl From<StoredResult> for ChangedAssignee {
    fn from(stored: StoredResult) -> Self {
        match stored {
            StoredResult::Current(changed) => changed,
            StoredResult::WithoutTime(epoch, from) => Self { from, epoch, at: None },
        }
    }
}
