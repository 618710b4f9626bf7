//! An agent marks a conversation as read or unread (rule C13).

use frontdesk_auth::Caller;
use frontdesk_db::Tx;
use uuid::Uuid;

use super::steps::{require_active, require_known_agent};
use crate::{
    App,
    domain::{ReadState, Signal},
    error::ConversationError,
    store::{conversations, entries, read_marks, visitor_marks},
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
    let team_read = match mark {
        Mark::Read(sequence) => {
            read_marks::raise(&tx, caller.account, agent, conversation, sequence, now).await?;
            raise_team_mark(&tx, caller, conversation, sequence).await?
        }
        Mark::Unread(sequence) => {
            read_marks::lower(&tx, caller.account, agent, conversation, sequence - 1, now).await?;
            None
        }
    };
    let state = read_marks::list(tx.conn(), caller.account, &[agent], vec![conversation]).await?;
    // The agent's watches of the inbox show it.
    let notifier = app.notifier.clone();
    tx.on_commit(move || notifier.notify(conversation));
    tx.commit().await?;
    if let Some(read) = team_read {
        app.signal(conversation, &Signal::TeamMark { read });
    }
    Ok(state.get(&(agent, conversation)).copied().unwrap_or_default())
}

/// Raises the mark that the visitor sees. Returns it, unless somebody of the team had read as much before, or it is nothing that the
/// visitor sees.
async fn raise_team_mark(
    tx: &Tx,
    caller: &Caller,
    conversation: Uuid,
    sequence: i64,
) -> Result<Option<i64>, ConversationError> {
    let read = entries::find_visitor_sequence(tx.conn(), caller.account, conversation, sequence).await?;
    let Some(read) = read else { return Ok(None) };
    let rose = visitor_marks::raise_team_mark(tx, caller.account, conversation, read).await?;
    Ok(rose.then_some(read))
}
