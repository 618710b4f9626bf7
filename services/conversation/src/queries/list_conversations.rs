//! The inbox: conversations, the latest activity first, with the newest message or comment of each and the names in them (rule
//! C9).

use std::collections::{BTreeSet, HashMap, HashSet};

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
        display_names::{self, DisplayNames},
        inbox::{self, Filter},
        inbox_page, merged_contacts, newest_entries, queued_conversations, read_marks,
    },
};

/// Maximum number of read states that one statement returns: it counts what is unread for each.
const MAX_READ_STATES: usize = 2_000;

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
    /// Ids of the contacts that were merged into those of the conversations, by the contact that is left. Only of changed rows.
    pub(crate) merged_contacts: HashMap<Uuid, Vec<Uuid>>,
    /// The teams in whose queues the conversations wait, by conversation. Only of changed rows, as the next.
    pub(crate) waits_for: HashMap<Uuid, BTreeSet<Uuid>>,
    /// When the conversations that wait or waited in a queue last changed in it.
    pub(crate) queue_changes: HashMap<Uuid, Time>,
    /// Time by the database's clock when the rows were read. None: it was not read with them.
    pub(crate) read_at: Option<Time>,
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
        Ok(Self { conversations, newest_entries, names, agents, read_states, ..Self::default() })
    }

    /// The same for watches, which may have begun before a contact of their filter was merged.
    pub(crate) async fn read_changed<C: ConnectionTrait>(
        conn: &C,
        account: AccountId,
        agents: &[Uuid],
        conversations: Vec<Conversation>,
    ) -> Result<Self, DbErr> {
        let contacts = conversations.iter().filter_map(|one| one.contact_id).collect();
        let merged_contacts = merged_contacts::find_sources(conn, account, &contacts).await?;
        let mut inbox = Self { merged_contacts, ..Self::read(conn, account, agents, conversations).await? };
        inbox.read_queues(conn, account).await?;
        Ok(inbox)
    }

    async fn read_queues<C: ConnectionTrait>(&mut self, conn: &C, account: AccountId) -> Result<(), DbErr> {
        let ids = self.conversations.iter().map(|one| one.id).collect();
        let queued = queued_conversations::list(conn, account, ids).await?;
        self.queue_changes = queued.iter().map(|(queued, changed_at)| (queued.conversation, *changed_at)).collect();
        let queued: HashMap<_, _> = queued.into_iter().map(|(queued, _)| (queued.conversation, queued)).collect();
        let waiting = self.conversations.iter().filter_map(|one| Some((one.id, queued.get(&one.id)?, one)));
        let waiting = waiting.filter(|(_, queued, one)| queued.waits(one));
        self.waits_for = waiting.map(|(id, queued, _)| (id, queued.teams.clone())).collect();
        Ok(())
    }

    /// Whether the conversation matches the filter. `agent`: whose inbox it is.
    pub(crate) fn matches(&self, filter: &Filter, agent: Option<Uuid>, one: &Conversation) -> bool {
        let unread = self.read_state(agent, one.id).is_some_and(|state| state.unread > 0);
        let none = BTreeSet::new();
        filter.matches(one, unread, self.waits_for.get(&one.id).unwrap_or(&none))
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
    let (account, agent) = (caller.account, caller.agent_id());
    if let Some(page) = inbox::Page::new(account, filter, after, limit) {
        return list_page(app, account, agent, page).await;
    }
    let read = app.db.read_for(account).await?;
    let conn = read.conn();
    let conversations = inbox::list(&conn, account, filter, after, limit).await?;
    Ok(Inbox::read(&conn, account, agent.as_slice(), conversations).await?)
}

/// A page with what an inbox shows beside its rows, read with one statement.
pub(super) async fn list_page(
    app: &App,
    account: AccountId,
    agent: Option<Uuid>,
    page: inbox::Page,
) -> Result<Inbox, ConversationError> {
    let read = app.db.read_planned_for(account).await?;
    let rows = inbox_page::list(read.conn(), account, agent, page).await?;
    Ok(Inbox {
        conversations: rows.conversations,
        newest_entries: rows.newest_entries,
        names: rows.names,
        agents: agent.into_iter().collect(),
        read_states: rows.read_states,
        read_at: rows.now.map(|now| now.plus(app.db.clock_offset())),
        ..Inbox::default()
    })
}
