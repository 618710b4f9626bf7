//! Erases entries (rules X2, C14), and the words by which searches found them in the same transaction. While it runs no replica indexes
//! entries, so that no word of a text that was read before is stored after it.

use std::collections::{BTreeSet, HashMap};

use frontdesk_db::Tx;
use sea_orm::DbErr;

use super::{
    entity::entry::Model,
    entries,
    search_words::{self, EntryWord},
};
use crate::domain::{ActorKind, Content, Conversation, Ticket, TicketChange, indexed_words};

/// Maximum number of entries that one transaction erases: on SQLite, messages wait for it.
const MAX_ENTRIES: u64 = 100;
/// Number of words after which a transaction takes no further entry.
const MAX_WORDS: usize = 5_000;

/// How far the entries of a conversation are erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ErasedEntries {
    pub(crate) until: i64,
    /// Whether no entry follows.
    pub(crate) is_last: bool,
}

/// Erases some entries of the locked conversation after a sequence. Tickets are erased before ([`erase_of_ticket`]).
pub(crate) async fn erase_entries(tx: &Tx, conversation: &Conversation, after: i64) -> Result<ErasedEntries, DbErr> {
    search_words::lock(tx).await?;
    let rows = entries::list_rows_after(tx, conversation.account, conversation.id, after, MAX_ENTRIES).await?;
    let (count, mut taken, mut until, mut words) = (rows.len(), 0, after, BTreeSet::new());
    for row in rows {
        (taken, until) = (taken + 1, row.sequence);
        let content = content(&row);
        if let Some(text) = content.search_text(&HashMap::new()) {
            words.extend(words_of(&row, &text));
        }
        let is_by_visitor = row.author_kind == ActorKind::Visitor;
        if let Some(left) = content.erased().or_else(|| is_by_visitor.then_some(content)) {
            let author = if is_by_visitor { conversation.erased_visitor_id() } else { row.author_id.clone() };
            entries::replace(tx, row, &left, author).await?;
        }
        if words.len() >= MAX_WORDS {
            break;
        }
    }
    search_words::delete_of_entries(tx, words).await?;
    Ok(ErasedEntries { until, is_last: taken == count && (count as u64) < MAX_ENTRIES })
}

/// Erases what the thread of its locked conversation says of a ticket. The entry of its creation has no text, and was indexed by the
/// subject of that time.
pub(crate) async fn erase_of_ticket(tx: &Tx, ticket: &Ticket) -> Result<(), DbErr> {
    search_words::lock(tx).await?;
    let rows = entries::list_rows_of_ticket(tx, ticket.account, ticket.conversation_id, ticket.id).await?;
    let (mut subjects, mut created, mut words) =
        (BTreeSet::from([ticket.subject.clone()]), Vec::new(), BTreeSet::new());
    for row in rows {
        match content(&row) {
            Content::TicketCreated { .. } => created.push(row),
            Content::TicketUpdated(change) => {
                let TicketChange { subject, previous_subject, .. } = &change;
                for subject in [subject, previous_subject].into_iter().flatten() {
                    words.extend(words_of(&row, subject));
                    subjects.insert(subject.clone());
                }
                if let Some(left) = Content::TicketUpdated(change).erased() {
                    let author = row.author_id.clone();
                    entries::replace(tx, row, &left, author).await?;
                }
            }
            _ => {}
        }
    }
    for row in &created {
        words.extend(subjects.iter().flat_map(|subject| words_of(row, subject)));
    }
    search_words::delete_of_entries(tx, words).await
}

/// Content that cannot be read is that of a later release.
fn content(row: &Model) -> Content {
    serde_json::from_str(&row.content).unwrap_or(Content::Unknown)
}

fn words_of(row: &Model, text: &str) -> Vec<EntryWord> {
    let word = |word| (row.account_id, word, row.conversation_id, row.sequence);
    indexed_words(text).into_iter().map(word).collect()
}
