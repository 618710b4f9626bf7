//! An agent marks a conversation as read or unread (rule C13).

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::{require_active, require_known_agent};
use crate::{
    App,
    domain::ReadState,
    error::ConversationError,
    store::{conversations, read_marks},
};

pub(crate) struct MarkRead {
    pub(crate) conversation: Uuid,
    pub(crate) agent: Uuid,
    pub(crate) mark: Mark,
}

/// What the agent says of an entry, which has this sequence.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mark {
    /// It and all before are read. What is read already stays so.
    Read(i64),
    /// It and all after are unread.
    Unread(i64),
}

pub(crate) async fn mark_read(app: &App, caller: &Caller, command: MarkRead) -> Result<ReadState, ConversationError> {
    let MarkRead { conversation, agent, mark } = command;
    require_known_agent(app, caller, agent).await?;
    let mut tx = app.db.begin_for(caller.account).await?;
    let found = conversations::find(tx.conn(), caller.account, conversation).await?;
    let last = found.ok_or(ConversationError::NotFound("conversation"))?.last_sequence;
    let (Mark::Read(sequence) | Mark::Unread(sequence)) = mark;
    if sequence > last {
        return Err(ConversationError::MarkOutOfRange { field: "sequence", last });
    }
    require_active(&tx, caller.account, agent).await?;
    let now = tx.now().await?;
    match mark {
        Mark::Read(sequence) => read_marks::raise(&tx, caller.account, agent, conversation, sequence, now).await?,
        Mark::Unread(sequence) => {
            read_marks::lower(&tx, caller.account, agent, conversation, sequence - 1, now).await?
        }
    }
    let state = read_marks::list(tx.conn(), caller.account, &[agent], vec![conversation]).await?;
    // The agent's watches of the inbox show it.
    let notifier = app.notifier.clone();
    tx.on_commit(move || notifier.notify(conversation));
    tx.commit().await?;
    Ok(state.get(&(agent, conversation)).copied().unwrap_or_default())
}
