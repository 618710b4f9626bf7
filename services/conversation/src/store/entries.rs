//! Entries of threads.

use frontdesk_db::{AccountId, Tx};
use sea_orm::{DbErr, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect, Select, entity::prelude::*};
use uuid::Uuid;

use super::entity::entries::{Column, Entity, Model};
use crate::domain::{Author, Content, Entry};

fn of(account: AccountId, conversation: Uuid) -> Select<Entity> {
    Entity::find().filter(Column::AccountId.eq(account)).filter(Column::ConversationId.eq(conversation))
}

fn read(row: Model) -> Result<Entry, DbErr> {
    Ok(Entry {
        conversation_id: row.conversation_id,
        sequence: row.sequence,
        visitor_sequence: row.visitor_sequence,
        author: Author { kind: row.author_kind, id: row.author_id },
        content: serde_json::from_str(&row.content).map_err(|error| DbErr::Type(error.to_string()))?,
        created_at: row.created_at,
    })
}

/// The row of a new entry; its numbers are given.
pub(super) fn row(account: AccountId, entry: Entry) -> Result<Model, DbErr> {
    Ok(Model {
        conversation_id: entry.conversation_id,
        sequence: entry.sequence,
        visitor_sequence: entry.visitor_sequence,
        account_id: account,
        author_kind: entry.author.kind,
        author_id: entry.author.id,
        content: serde_json::to_string(&entry.content).map_err(|error| DbErr::Type(error.to_string()))?,
        created_at: entry.created_at,
    })
}

/// Writes new entries.
pub(super) async fn insert(tx: &Tx, entries: Vec<Model>) -> Result<(), DbErr> {
    if entries.is_empty() {
        return Ok(());
    }
    let entries = entries.into_iter().map(|entry| entry.into_active_model().reset_all());
    Entity::insert_many(entries).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// One entry.
pub(crate) async fn find<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversation: Uuid,
    sequence: i64,
) -> Result<Option<Entry>, DbErr> {
    of(account, conversation).filter(Column::Sequence.eq(sequence)).one(conn).await?.map(read).transpose()
}

/// So much content is read at once at most: a page fits into what gRPC clients accept, and a slow reader holds no more.
const PAGE_BYTES: usize = 1024 * 1024;
const ROWS_AT_ONCE: u64 = 50;

/// A page of entries.
pub(crate) struct Listed {
    pub entries: Vec<Entry>,
    /// There is more after them.
    pub more: bool,
}

/// Entries after a sequence, and up to one if given, oldest first.
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversation: Uuid,
    after: i64,
    until: Option<i64>,
    limit: usize,
) -> Result<Listed, DbErr> {
    let mut query = of(account, conversation).order_by_asc(Column::Sequence);
    if let Some(until) = until {
        query = query.filter(Column::Sequence.lte(until));
    }
    page(conn, query, Column::Sequence, after, limit, |entry| entry.sequence).await
}

/// What the visitor sees after a visitor sequence, oldest first.
pub(crate) async fn list_visible<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversation: Uuid,
    after: i64,
    limit: usize,
) -> Result<Listed, DbErr> {
    let query = of(account, conversation).order_by_asc(Column::VisitorSequence);
    page(conn, query, Column::VisitorSequence, after, limit, |entry| entry.visitor_sequence.unwrap_or(0)).await
}

/// Reads a few rows at a time until the page is full by number or by size.
async fn page<C: ConnectionTrait>(
    conn: &C,
    query: Select<Entity>,
    number: Column,
    after: i64,
    limit: usize,
    number_of: impl Fn(&Entry) -> i64,
) -> Result<Listed, DbErr> {
    let (mut entries, mut bytes, mut after) = (Vec::new(), 0, after);
    loop {
        let rows = query.clone().filter(number.gt(after)).limit(ROWS_AT_ONCE).all(conn).await?;
        let last = (rows.len() as u64) < ROWS_AT_ONCE;
        for row in rows {
            bytes += row.content.len();
            if entries.len() == limit || (bytes > PAGE_BYTES && !entries.is_empty()) {
                return Ok(Listed { entries, more: true });
            }
            let entry = read(row)?;
            after = number_of(&entry);
            entries.push(entry);
        }
        if last {
            return Ok(Listed { entries, more: false });
        }
    }
}

/// The newest message that offers buttons and whose choice is still to be made, among the newest 200 entries that the visitor
/// sees.
pub(crate) async fn open_question(tx: &Tx, account: AccountId, conversation: Uuid) -> Result<Option<Entry>, DbErr> {
    let rows = of(account, conversation)
        .filter(Column::VisitorSequence.is_not_null())
        .order_by_desc(Column::VisitorSequence)
        .limit(200)
        .all(tx.conn())
        .await?;
    for row in rows {
        let entry = read(row)?;
        match &entry.content {
            Content::Message { buttons, .. } if !buttons.is_empty() => return Ok(Some(entry)),
            Content::Message { chosen_button_id: Some(_), .. } => return Ok(None),
            _ => {}
        }
    }
    Ok(None)
}
