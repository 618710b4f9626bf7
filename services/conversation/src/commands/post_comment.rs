//! An agent posts a comment (rules C7, C11, C12).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{Begun, ConversationChange, find_entry, mention_agent, require_active, require_known_agent};
use crate::{App, domain::Entry, error::ConversationError};

pub(crate) struct PostComment {
    pub(crate) conversation: Uuid,
    pub(crate) agent: Uuid,
    pub(crate) text: String,
    pub(crate) request_id: String,
    pub(crate) key: Key,
}

pub(crate) async fn post_comment(app: &App, caller: &Caller, command: PostComment) -> Result<Entry, ConversationError> {
    require_known_agent(app, caller, command.agent).await?;
    let mut begun = match ConversationChange::begin(app, caller, command.conversation, Some(command.key)).await? {
        Begun::First(begun) => begun,
        Begun::Repeat(begun, sequence) => {
            return find_entry(begun.tx.conn(), caller.account, command.conversation, sequence).await;
        }
    };
    require_active(&begun.tx, caller.account, command.agent).await?;
    mention_agent(&begun.tx, caller.account, command.agent, caller.name.as_deref().unwrap_or_default()).await?;
    let entry = begun.conversation.append_comment(command.agent, command.text, command.request_id, begun.now);
    begun.commit(&entry.sequence).await?;
    Ok(entry)
}
