//! What starts of conversations have in common, by visitors and by the account's back end (rules C1, C2a, C12).

use frontdesk_db::{AccountId, Tx};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::find_entry;
use crate::{
    domain::{Channel, Conversation, Entry},
    error::ConversationError,
    store::channels,
};

/// Maximum number of attempts to start a conversation while others start one for the same visitor: the unique index accepts one, and
/// the others find it at their next attempt (rule C2a), unless it was closed meanwhile and another one started.
pub(crate) const MAX_START_ATTEMPTS: u32 = 5;

/// A conversation that was started, or was open already.
pub(crate) struct Started {
    pub(crate) conversation: Conversation,
    /// The message of the request. None: it had no text.
    pub(crate) entry: Option<Entry>,
    /// Whether the conversation was open already.
    pub(crate) resumed: bool,
}

/// What the first request did. Stored as JSON for repeats: add, never rename.
#[derive(Deserialize, Serialize)]
pub(crate) struct StoredStart {
    pub(crate) conversation: Uuid,
    /// Sequence of the message. None: the request had no text.
    pub(crate) message: Option<i64>,
    pub(crate) resumed: bool,
}

impl Started {
    pub(crate) fn stored(&self) -> StoredStart {
        let message = self.entry.as_ref().map(|entry| entry.sequence);
        StoredStart { conversation: self.conversation.id, message, resumed: self.resumed }
    }
}

impl StoredStart {
    /// The result of the first request, with the conversation as it is now.
    pub(crate) async fn load(self, tx: &Tx, conversation: Conversation) -> Result<Started, ConversationError> {
        let entry = match self.message {
            Some(sequence) => Some(find_entry(tx.conn(), conversation.account, conversation.id, sequence).await?),
            None => None,
        };
        Ok(Started { conversation, entry, resumed: self.resumed })
    }
}

/// The channel of a start. Read last, after everything that the call waits for, and locked: a deletion is answered when no conversation
/// starts any more.
pub(crate) async fn require_channel(tx: &Tx, account: AccountId, id: Uuid) -> Result<Channel, ConversationError> {
    let channel = channels::find_for_share(tx, account, id).await?.ok_or(ConversationError::NotFound("channel"))?;
    if channel.is_deleted() {
        return Err(ConversationError::ChannelDeleted);
    }
    Ok(channel)
}
