//! The inbox: conversations, the latest activity first, with the newest message or comment of each and the names in them (rule
//! C9), and those of them that changed (rule C10).

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use frontdesk_db::{AccountId, DbErr};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use crate::{
    App,
    domain::{Conversation, Entry, ReadState},
    error::ConversationError,
    store::{
        conversations,
        display_names::{self, DisplayNames},
        inbox::{self, Filter},
        newest_entries, read_marks,
    },
};

/// How long before the cursor of a watch a change may have got its time and yet have been committed after it: more than the
/// database lets a transaction take.
pub(crate) const CURSOR_OVERLAP: Duration = Duration::from_secs(60);
/// Maximum number of read states that one statement returns: it counts what is unread for each.
const MAX_READ_STATES: usize = 2_000;
/// Maximum number of changed conversations that one read returns.
pub(crate) const CHANGED_ROWS: u64 = 200;

/// Rows of the inbox.
#[derive(Default)]
pub(crate) struct Inbox {
    pub(crate) conversations: Vec<Conversation>,
    /// The newest message or comment, by conversation.
    pub(crate) newest_entries: HashMap<Uuid, Entry>,
    pub(crate) names: DisplayNames,
    /// The agents whose read states were read.
    pub(crate) agents: HashSet<Uuid>,
    /// How far they have read the conversations, by agent and conversation.
    pub(crate) read_states: HashMap<(Uuid, Uuid), ReadState>,
}

impl Inbox {
    /// The conversations with what an inbox shows beside them. `agents`: whose read states it has.
    pub(crate) async fn read<C: ConnectionTrait>(
        conn: &C,
        account: AccountId,
        agents: &[Uuid],
        conversations: Vec<Conversation>,
    ) -> Result<Self, DbErr> {
        if conversations.is_empty() {
            return Ok(Self::default());
        }
        let ids: Vec<_> = conversations.iter().map(|conversation| conversation.id).collect();
        let mut read_states = HashMap::new();
        for some in agents.chunks((MAX_READ_STATES / ids.len()).max(1)) {
            read_states.extend(read_marks::list(conn, account, some, ids.clone()).await?);
        }
        let entries = newest_entries::list(conn, account, ids).await?;
        let names = display_names::find_in_conversations(conn, account, &conversations, &entries).await?;
        let newest_entries = entries.into_iter().map(|entry| (entry.conversation_id, entry)).collect();
        let agents = agents.iter().copied().collect();
        Ok(Self { conversations, newest_entries, names, agents, read_states })
    }

    /// How far the agent has read the conversation. None: the caller is no agent.
    pub(crate) fn read_state(&self, agent: Option<Uuid>, conversation: Uuid) -> Option<ReadState> {
        self.read_states.get(&(agent?, conversation)).copied()
    }
}

/// `after`: time and id of the last conversation before.
pub(crate) async fn list_conversations(
    app: &App,
    caller: &Caller,
    filter: &Filter,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Inbox, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let conn = read.conn();
    let conversations = inbox::list(&conn, caller.account, filter, after, limit).await?;
    Ok(Inbox::read(&conn, caller.account, caller.agent_id().as_slice(), conversations).await?)
}

/// Where reading what changed goes on: behind this time and id, by activity, and then by the caller's read marks. None: all is read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ChangedAfter {
    pub(crate) activity: Option<(Time, Uuid)>,
    pub(crate) marks: Option<(Time, Uuid)>,
}

impl ChangedAfter {
    /// From the cursor of a watch on.
    pub(crate) fn cursor(cursor: Time) -> Self {
        let from = Some((cursor.minus(CURSOR_OVERLAP), Uuid::nil()));
        Self { activity: from, marks: from }
    }

    pub(crate) fn is_all(self) -> bool {
        self.activity.is_none() && self.marks.is_none()
    }
}

/// Up to [`CHANGED_ROWS`] conversations that changed after this, the earliest first, and where reading goes on.
pub(crate) async fn list_changed_conversations(
    app: &App,
    caller: &Caller,
    after: ChangedAfter,
) -> Result<(Inbox, ChangedAfter), ConversationError> {
    let (account, agent) = (caller.account, caller.agent_id());
    let read = app.db.read_for(account).await?;
    let conn = read.conn();
    let is_full = |rows: usize| rows as u64 == CHANGED_ROWS;
    let (changed, next) = match (after.activity, after.marks, agent) {
        (Some(position), marks, _) => {
            let changed = inbox::list_active_after(&conn, &[account], position, CHANGED_ROWS).await?;
            let last = changed.last().filter(|_| is_full(changed.len()));
            let activity = last.map(|last| (last.last_activity_at, last.id));
            (changed, ChangedAfter { activity, marks })
        }
        (None, Some(position), Some(agent)) => {
            let marked = read_marks::list_changed_after(&conn, account, agent, position, CHANGED_ROWS).await?;
            let marks = marked.last().copied().filter(|_| is_full(marked.len()));
            let ids = marked.into_iter().map(|(_, conversation)| conversation);
            let changed = conversations::list_of_accounts(&conn, &[account], ids).await?;
            (changed, ChangedAfter { activity: None, marks })
        }
        (None, ..) => (Vec::new(), ChangedAfter::default()),
    };
    Ok((Inbox::read(&conn, account, agent.as_slice(), changed).await?, next))
}
