//! The inbox: conversations, the latest activity first, with the newest message or comment of each and the names in them (rule
//! C9).

use std::collections::HashMap;

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use uuid::Uuid;

use crate::{
    App,
    domain::{Conversation, Entry, ReadState},
    error::ConversationError,
    store::{
        display_names::{self, DisplayNames},
        inbox::{self, Filter},
        newest_entries, read_marks,
    },
};

/// A page of the inbox.
pub(crate) struct Inbox {
    pub(crate) conversations: Vec<Conversation>,
    /// The newest message or comment, by conversation.
    pub(crate) newest_entries: HashMap<Uuid, Entry>,
    pub(crate) names: DisplayNames,
    /// How far the calling agent has read each. Empty: the caller is no agent.
    pub(crate) read_states: HashMap<Uuid, ReadState>,
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
    let ids: Vec<_> = conversations.iter().map(|conversation| conversation.id).collect();
    let read_states = match caller.agent_id() {
        Some(agent) => read_marks::list(&conn, caller.account, agent, ids.clone()).await?,
        None => HashMap::new(),
    };
    let entries = newest_entries::list(&conn, caller.account, ids).await?;
    let names = display_names::find_in_conversations(&conn, caller.account, &conversations, &entries).await?;
    let newest_entries = entries.into_iter().map(|entry| (entry.conversation_id, entry)).collect();
    Ok(Inbox { conversations, newest_entries, names, read_states })
}
