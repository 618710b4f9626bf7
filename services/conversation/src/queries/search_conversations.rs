//! Conversations by the words of their entries, those that started latest first (rule C9).

use std::collections::{BTreeSet, HashMap};

use frontdesk_auth::Caller;
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use super::{Inbox, list_conversations::list_page};
use crate::{
    App,
    domain::{Entry, SearchQuery, Snippet},
    error::ConversationError,
    store::{
        entries, inbox,
        search::{self, Found, SearchFilter},
        tickets,
    },
};

/// Maximum number of entries that a search returns of a conversation.
const MAX_ENTRIES: usize = 3;

/// What a search found.
pub(crate) struct FoundConversations {
    /// The conversations as the inbox shows them, those that started latest first.
    pub(crate) inbox: Inbox,
    /// Sequence and snippet of the newest entries that match, newest first, by conversation.
    pub(crate) snippets: HashMap<Uuid, Vec<(i64, Snippet)>>,
    /// Where the next page begins: after this entry. None: this is the last page.
    pub(crate) next: Option<(Uuid, i64)>,
}

/// Up to `limit` conversations. `after`: conversation and sequence that the page before ended with.
pub(crate) async fn search_conversations(
    app: &App,
    caller: &Caller,
    query: &SearchQuery,
    filter: &SearchFilter,
    after: Option<(Uuid, i64)>,
    limit: u64,
) -> Result<FoundConversations, ConversationError> {
    let account = caller.account;
    let read = app.db.read_for(account).await?;
    let conn = read.conn();
    let found = search::find_entries(&conn, account, query, filter, after).await?;
    let (positions, next) = page(found, usize::try_from(limit).unwrap_or(usize::MAX));
    let entries = entries::list_of_positions(&conn, account, positions).await?;
    let snippets = snippets(&conn, caller, query, entries).await?;
    let ids: Vec<_> = snippets.keys().copied().collect();
    if ids.is_empty() {
        return Ok(FoundConversations { inbox: Inbox::default(), snippets, next });
    }
    let page = inbox::Page::of_ids(conn.get_database_backend(), account, ids, limit);
    drop(read);
    let mut inbox = list_page(app, account, caller.agent_id(), page).await?;
    inbox.conversations.sort_unstable_by_key(|conversation| std::cmp::Reverse(conversation.id));
    Ok(FoundConversations { inbox, snippets, next })
}

/// Conversations, with the sequences of entries of each.
type Sequences = Vec<(Uuid, Vec<i64>)>;

/// The entries of a page by their conversations, and where the next page begins.
fn page(found: Found<(Uuid, i64)>, limit: usize) -> (Sequences, Option<(Uuid, i64)>) {
    let mut page = Sequences::new();
    for (conversation, sequence) in found.matches {
        if let Some((_, sequences)) = page.last_mut().filter(|(last, _)| *last == conversation) {
            if sequences.len() < MAX_ENTRIES {
                sequences.push(sequence);
            }
            continue;
        }
        if page.len() == limit {
            // No entry has the sequence 0: the next page begins with the next conversation.
            let next = page.last().map(|(last, _)| (*last, 0));
            return (page, next);
        }
        page.push((conversation, vec![sequence]));
    }
    let is_shown = |conversation| page.last().is_some_and(|(last, _)| *last == conversation);
    let next = found.next.map(|(last, sequence)| if is_shown(last) { (last, 0) } else { (last, sequence) });
    (page, next)
}

/// The snippets of the entries that match. One whose words are stored and which has other ones by now, as a ticket's subject can, is
/// left out.
async fn snippets<C: ConnectionTrait>(
    conn: &C,
    caller: &Caller,
    query: &SearchQuery,
    mut entries: Vec<Entry>,
) -> Result<HashMap<Uuid, Vec<(i64, Snippet)>>, DbErr> {
    let created: BTreeSet<_> = entries.iter().filter_map(|entry| entry.content.created_ticket()).collect();
    let subjects = tickets::find_subjects(conn, [caller.account], created).await?;
    entries.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.sequence));
    let mut snippets: HashMap<Uuid, Vec<(i64, Snippet)>> = HashMap::new();
    for entry in entries {
        let text = entry.content.search_text(&subjects);
        if let Some(snippet) = text.and_then(|text| query.snippet(&text)) {
            snippets.entry(entry.conversation_id).or_default().push((entry.sequence, snippet));
        }
    }
    Ok(snippets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c9_a_page_has_the_newest_entries_of_each_conversation_and_the_next_begins_behind_them() {
        let id = Uuid::from_u128;
        let found = |matches: &[(u128, i64)], next: Option<(u128, i64)>| Found {
            matches: matches.iter().map(|(conversation, sequence)| (id(*conversation), *sequence)).collect(),
            next: next.map(|(conversation, sequence)| (id(conversation), sequence)),
        };
        let all = [(9, 7), (9, 5), (9, 4), (9, 1), (8, 2), (7, 1)];
        let two = vec![(id(9), vec![7, 5, 4]), (id(8), vec![2])];
        assert_eq!(page(found(&all, None), 2), (two.clone(), Some((id(8), 0))));
        assert_eq!(page(found(&all[..5], None), 2), (two.clone(), None));
        // The search ended within the last conversation, within another one, and before the first match.
        assert_eq!(page(found(&all[..5], Some((8, 2))), 2), (two.clone(), Some((id(8), 0))));
        assert_eq!(page(found(&all[..5], Some((6, 3))), 2), (two, Some((id(6), 3))));
        assert_eq!(page(found(&[], Some((6, 3))), 2), (Vec::new(), Some((id(6), 3))));
    }
}
