//! The newest message or comment of each conversation of a page.

use frontdesk_db::AccountId;
use sea_orm::{
    Condition, DbErr, FromQueryResult, Iterable, Order,
    entity::prelude::*,
    sea_query::{ExprTrait, Func, Query, SelectStatement, SubQueryStatement},
};
use uuid::Uuid;

use super::entity::{
    conversation,
    entry::{Column, Entity, Model},
};
use crate::domain::Entry;

/// Number of the newest entries that are searched first. PostgreSQL takes every thread for a short one, and would read and sort
/// all entries of a long one.
const RECENT_ENTRIES: i64 = 50;

/// The newest message or comment of each conversation that has one, read with one statement.
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversations: Vec<Uuid>,
) -> Result<Vec<Entry>, DbErr> {
    let rows = select(account, conversations);
    let rows = Model::find_by_statement(conn.get_database_backend().build(&rows)).all(conn).await?;
    rows.into_iter().map(Entry::try_from).collect()
}

fn select(account: AccountId, conversations: Vec<Uuid>) -> SelectStatement {
    // Limited, so that PostgreSQL looks for the newest entry of each conversation once, and not for each of its entries.
    let positions = Query::select()
        .expr_as(Expr::col(conversation::Column::Id), "conversation_id")
        .expr_as(newest_sequence(), "newest")
        .from(conversation::Entity)
        .and_where(conversation::Column::AccountId.eq(account))
        .and_where(conversation::Column::Id.is_in(conversations.iter().copied()))
        .limit(conversations.len() as u64)
        .take();
    let at_position = Condition::all()
        .add(Expr::col((Entity, Column::ConversationId)).equals(("positions", "conversation_id")))
        .add(Expr::col((Entity, Column::Sequence)).equals(("positions", "newest")));
    Query::select()
        .columns(Column::iter().map(|column| (Entity, column)))
        .from_subquery(positions, "positions")
        .inner_join(Entity, at_position)
        .take()
}

/// Sequence of the newest message or comment of the conversation of the surrounding query. NULL: there is none.
pub(super) fn newest_sequence() -> Expr {
    let mut recent = newest([Column::Sequence]);
    let last = Expr::col((conversation::Entity, conversation::Column::LastSequence));
    recent.and_where(Expr::col((Entity, Column::Sequence)).gt(last.sub(RECENT_ENTRIES)));
    let parts = [recent, newest([Column::Sequence])];
    let parts = parts.map(|part| Expr::SubQuery(None, Box::new(SubQueryStatement::SelectStatement(part))));
    Func::coalesce(parts).into()
}

/// The newest message or comment of the conversation of the surrounding query, for a lateral join.
pub(super) fn newest_entry() -> SelectStatement {
    newest(Column::iter())
}

/// Columns of the conversation's newest message or comment.
fn newest(columns: impl IntoIterator<Item = Column>) -> SelectStatement {
    let is_written = Condition::any()
        .add(Column::Content.like(r#"{"type":"message",%"#))
        .add(Column::Content.like(r#"{"type":"comment",%"#));
    Query::select()
        .columns(columns)
        .from(Entity)
        .and_where(Expr::col((Entity, Column::ConversationId)).equals((conversation::Entity, conversation::Column::Id)))
        .cond_where(is_written)
        .order_by(Column::Sequence, Order::Desc)
        .limit(1)
        .take()
}
