//! Entries of threads.

use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    Condition, DbErr, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect, Select, entity::prelude::*,
    sea_query::ExprTrait,
};
use uuid::Uuid;

use super::entity::entry::{Column, Entity, Model};
use crate::domain::{ActorKind, Content, Entry};

/// Maximum size of a page's content (bytes): the page fits into what gRPC clients accept, and a slow reader holds no more.
const MAX_PAGE_BYTES: usize = 1024 * 1024;
/// Number of rows read at once.
const ROWS_AT_ONCE: u64 = 50;
/// Number of the newest entries among which an open question is looked for.
const QUESTION_ENTRIES: u64 = 200;
/// Number of the visitor's newest entries among which an address that they typed is looked for.
const TYPED_ENTRIES: u64 = 200;

fn of_conversation(account: AccountId, conversation: Uuid) -> Select<Entity> {
    Entity::find().filter(Column::AccountId.eq(account)).filter(Column::ConversationId.eq(conversation))
}

/// Inserts new entries.
pub(super) async fn insert(tx: &Tx, entries: Vec<Model>) -> Result<(), DbErr> {
    if entries.is_empty() {
        return Ok(());
    }
    let entries = entries.into_iter().map(|entry| entry.into_active_model().reset_all());
    Entity::insert_many(entries).exec_without_returning(tx.conn()).await?;
    Ok(())
}

pub(crate) async fn find<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversation: Uuid,
    sequence: i64,
) -> Result<Option<Entry>, DbErr> {
    let row = of_conversation(account, conversation).filter(Column::Sequence.eq(sequence)).one(conn).await?;
    row.map(Entry::try_from).transpose()
}

/// Visitor sequence of the newest entry up to this sequence that the visitor sees. None: there is no such entry.
pub(crate) async fn find_visitor_sequence<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversation: Uuid,
    until: i64,
) -> Result<Option<i64>, DbErr> {
    of_conversation(account, conversation)
        .select_only()
        .column(Column::VisitorSequence)
        .filter(Column::Sequence.lte(until))
        .filter(Column::VisitorSequence.is_not_null())
        .order_by_desc(Column::Sequence)
        .limit(1)
        .into_tuple::<i64>()
        .one(conn)
        .await
}

/// Entries of any account after these sequences, the conversations in the order of their ids.
pub(crate) async fn list_after_each<C: ConnectionTrait>(
    conn: &C,
    after: impl IntoIterator<Item = (Uuid, i64)>,
    limit: u64,
) -> Result<Vec<UnindexedEntry>, DbErr> {
    let position = |(id, sequence): (Uuid, i64)| Column::ConversationId.eq(id).and(Column::Sequence.gt(sequence));
    let these = after.into_iter().map(position).fold(Condition::any(), Condition::add);
    if these.is_empty() {
        return Ok(Vec::new());
    }
    let rows = Entity::find().filter(these).order_by_asc(Column::ConversationId).order_by_asc(Column::Sequence);
    let unindexed = |row: Model| UnindexedEntry {
        account: row.account_id,
        conversation: row.conversation_id,
        sequence: row.sequence,
        content: Entry::try_from(row).ok().map(|entry| entry.content),
    };
    Ok(rows.limit(limit).all(conn).await?.into_iter().map(unindexed).collect())
}

/// An entry whose words are not stored yet.
pub(crate) struct UnindexedEntry {
    pub(crate) account: AccountId,
    pub(crate) conversation: Uuid,
    pub(crate) sequence: i64,
    /// None: it cannot be read.
    pub(crate) content: Option<Content>,
}

/// These entries, in any order: conversation and sequence of each.
pub(crate) async fn list_of_positions<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    positions: impl IntoIterator<Item = (Uuid, Vec<i64>)>,
) -> Result<Vec<Entry>, DbErr> {
    let position =
        |(id, sequences): (Uuid, Vec<i64>)| Column::ConversationId.eq(id).and(Column::Sequence.is_in(sequences));
    let these = positions.into_iter().map(position).fold(Condition::any(), Condition::add);
    if these.is_empty() {
        return Ok(Vec::new());
    }
    let rows = Entity::find().filter(Column::AccountId.eq(account)).filter(these).all(conn).await?;
    rows.into_iter().map(Entry::try_from).collect()
}

/// A page of entries.
pub(crate) struct EntryPage {
    pub(crate) entries: Vec<Entry>,
    /// Whether more entries follow.
    pub(crate) has_more: bool,
}

/// Entries after a sequence, and up to one if given, oldest first.
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversation: Uuid,
    after: i64,
    until: Option<i64>,
    limit: usize,
) -> Result<EntryPage, DbErr> {
    let mut query = of_conversation(account, conversation).order_by_asc(Column::Sequence);
    if let Some(until) = until {
        query = query.filter(Column::Sequence.lte(until));
    }
    read_page(conn, query, Column::Sequence, after, limit, |entry| entry.sequence).await
}

/// Entries that the visitor sees after a visitor sequence, and up to one if given, oldest first.
pub(crate) async fn list_visible<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversation: Uuid,
    after: i64,
    until: Option<i64>,
    limit: usize,
) -> Result<EntryPage, DbErr> {
    let mut query = of_conversation(account, conversation).order_by_asc(Column::VisitorSequence);
    if let Some(until) = until {
        query = query.filter(Column::VisitorSequence.lte(until));
    }
    read_page(conn, query, Column::VisitorSequence, after, limit, |entry| entry.visitor_sequence.unwrap_or(0)).await
}

/// Reads a few rows at a time until the page is full by number or by size.
async fn read_page<C: ConnectionTrait>(
    conn: &C,
    query: Select<Entity>,
    number: Column,
    after: i64,
    limit: usize,
    number_of: impl Fn(&Entry) -> i64,
) -> Result<EntryPage, DbErr> {
    let (mut entries, mut bytes, mut after) = (Vec::new(), 0, after);
    loop {
        let rows = query.clone().filter(number.gt(after)).limit(ROWS_AT_ONCE).all(conn).await?;
        let is_last = (rows.len() as u64) < ROWS_AT_ONCE;
        for row in rows {
            bytes += row.content.len();
            if entries.len() == limit || (bytes > MAX_PAGE_BYTES && !entries.is_empty()) {
                return Ok(EntryPage { entries, has_more: true });
            }
            let entry = Entry::try_from(row)?;
            after = number_of(&entry);
            entries.push(entry);
        }
        if is_last {
            return Ok(EntryPage { entries, has_more: false });
        }
    }
}

/// Up to `limit` entries after a sequence, oldest first, as they are stored: also those that cannot be read.
pub(super) async fn list_rows_after(
    tx: &Tx,
    account: AccountId,
    conversation: Uuid,
    after: i64,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let rows = of_conversation(account, conversation).filter(Column::Sequence.gt(after));
    rows.order_by_asc(Column::Sequence).limit(limit).all(tx.conn()).await
}

/// The entries of the thread that name the ticket, as they are stored.
pub(super) async fn list_rows_of_ticket(
    tx: &Tx,
    account: AccountId,
    conversation: Uuid,
    ticket: Uuid,
) -> Result<Vec<Model>, DbErr> {
    let rows = of_conversation(account, conversation)
        .filter(Column::Content.like(r#"{"type":"ticket_%"#))
        .filter(Column::Content.like(format!("%{ticket}%")));
    rows.order_by_asc(Column::Sequence).all(tx.conn()).await
}

/// Replaces the content of an entry, and the id of its author, and forgets its request id (rule C14).
pub(super) async fn replace(tx: &Tx, row: Model, content: &Content, author_id: String) -> Result<(), DbErr> {
    let content = serde_json::to_string(content).map_err(|error| DbErr::Type(error.to_string()))?;
    Entity::update_many()
        .filter(Column::AccountId.eq(row.account_id))
        .filter(Column::ConversationId.eq(row.conversation_id))
        .filter(Column::Sequence.eq(row.sequence))
        .col_expr(Column::Content, Expr::value(content))
        .col_expr(Column::AuthorId, Expr::value(author_id))
        .col_expr(Column::RequestId, Expr::value(None::<String>))
        .exec(tx.conn())
        .await
        .map(drop)
}

/// The newest entries that the visitor sees, newest first.
pub(crate) async fn list_newest_visible(tx: &Tx, account: AccountId, conversation: Uuid) -> Result<Vec<Entry>, DbErr> {
    let rows = of_conversation(account, conversation)
        .filter(Column::VisitorSequence.is_not_null())
        .order_by_desc(Column::VisitorSequence)
        .limit(QUESTION_ENTRIES)
        .all(tx.conn())
        .await?;
    rows.into_iter().map(Entry::try_from).collect()
}

/// The newest entries of the thread whose author is its visitor, also those that only the team sees, newest first.
pub(crate) async fn list_newest_of_visitor<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversation: Uuid,
) -> Result<Vec<Entry>, DbErr> {
    let rows = of_conversation(account, conversation)
        .filter(Column::AuthorKind.eq(ActorKind::Visitor))
        .order_by_desc(Column::Sequence)
        .limit(TYPED_ENTRIES)
        .all(conn)
        .await?;
    rows.into_iter().map(Entry::try_from).collect()
}
