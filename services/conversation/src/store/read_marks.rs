//! How far each agent has read each conversation (rule C13).

use std::collections::HashMap;

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ActiveValue::Set,
    DbErr, EntityTrait, FromQueryResult, QueryOrder, QuerySelect,
    entity::prelude::*,
    sea_query::{ExprTrait, Func, OnConflict, Query, SelectStatement, SubQueryStatement},
};
use uuid::Uuid;

use super::{
    entity::{
        conversation, entry,
        read_mark::{ActiveModel, Column, Entity},
    },
    keyset,
};
use crate::domain::{ActorKind, ReadState};

/// Beginning of the content of messages.
const MESSAGE: &str = r#"{"type":"message","#;
/// Beginning of the content of comments, which is as long.
const COMMENT: &str = r#"{"type":"comment","#;
/// Maximum number of unread entries that are counted.
const MAX_COUNTED: u64 = 100;

/// Raises the agent's mark to this sequence. A higher one stays.
pub(crate) async fn raise(
    tx: &Tx,
    account: AccountId,
    agent: Uuid,
    conversation: Uuid,
    sequence: i64,
    now: Time,
) -> Result<(), DbErr> {
    let rises = Expr::col(("excluded", Column::Sequence)).gt(Expr::col((Entity, Column::Sequence)));
    let known = OnConflict::columns([Column::AccountId, Column::AgentId, Column::ConversationId])
        .update_columns([Column::Sequence, Column::ChangedAt])
        .action_and_where(rises)
        .to_owned();
    let row = ActiveModel {
        account_id: Set(account),
        agent_id: Set(agent),
        conversation_id: Set(conversation),
        sequence: Set(sequence),
        changed_at: Set(now),
    };
    Entity::insert(row).on_conflict(known).exec_without_returning(tx.conn()).await.map(drop)
}

/// Lowers the agent's mark to this sequence. A lower one stays, and without one nothing is read.
pub(crate) async fn lower(
    tx: &Tx,
    account: AccountId,
    agent: Uuid,
    conversation: Uuid,
    sequence: i64,
    now: Time,
) -> Result<(), DbErr> {
    Entity::update_many()
        .filter(Column::AccountId.eq(account))
        .filter(Column::AgentId.eq(agent))
        .filter(Column::ConversationId.eq(conversation))
        .filter(Column::Sequence.gt(sequence))
        .col_expr(Column::Sequence, Expr::value(sequence))
        .col_expr(Column::ChangedAt, Expr::value(now))
        .exec(tx.conn())
        .await
        .map(drop)
}

/// The conversations whose mark of the agent changed after this position (time and id), the earliest first, with the time of each.
pub(crate) async fn list_changed_after<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    agent: Uuid,
    after: (Time, Uuid),
    limit: u64,
) -> Result<Vec<(Time, Uuid)>, DbErr> {
    Entity::find()
        .select_only()
        .columns([Column::ChangedAt, Column::ConversationId])
        .filter(Column::AccountId.eq(account))
        .filter(Column::AgentId.eq(agent))
        .filter(keyset::after([Column::ChangedAt, Column::ConversationId], after))
        .order_by_asc(Column::ChangedAt)
        .order_by_asc(Column::ConversationId)
        .limit(limit)
        .into_tuple()
        .all(conn)
        .await
}

#[derive(FromQueryResult)]
struct Row {
    agent_id: Uuid,
    conversation_id: Uuid,
    read: i64,
    unread: i64,
}

/// How far each of these agents has read each of these conversations, by agent and conversation, with one statement.
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    agents: &[Uuid],
    conversations: Vec<Uuid>,
) -> Result<HashMap<(Uuid, Uuid), ReadState>, DbErr> {
    if agents.is_empty() || conversations.is_empty() {
        return Ok(HashMap::new());
    }
    // Databases name the columns of a list of values so.
    let agent = Agent { id: Expr::col(("agents", "column1")), text: Expr::col(("agents", "column2")) };
    let ids = agents.iter().map(|id| (*id, id.to_string()));
    let rows = Query::select()
        .expr_as(agent.id.clone(), "agent_id")
        .expr_as(Expr::col((conversation::Entity, conversation::Column::Id)), "conversation_id")
        .expr_as(mark(account, &agent), "read")
        .expr_as(count_unread(&agent, mark(account, &agent)), "unread")
        .from(conversation::Entity)
        .from_values(ids, "agents")
        .and_where(Expr::col((conversation::Entity, conversation::Column::AccountId)).eq(account))
        .and_where(Expr::col((conversation::Entity, conversation::Column::Id)).is_in(conversations))
        .take();
    let rows = Row::find_by_statement(conn.get_database_backend().build(&rows)).all(conn).await?;
    let state = |row: Row| ((row.agent_id, row.conversation_id), ReadState { read: row.read, unread: row.unread });
    Ok(rows.into_iter().map(state).collect())
}

/// Whether a conversation of the surrounding query has an entry that the agent has not read.
pub(super) fn has_unread(account: AccountId, agent: Uuid) -> Expr {
    let agent = Agent::from(agent);
    let last = Expr::col((conversation::Entity, conversation::Column::LastSequence));
    let mark = mark(account, &agent);
    last.gt(mark.clone()).and(Expr::exists(unread(&agent, mark)))
}

/// How far the agent has read the conversation of the surrounding query.
pub(super) fn read_sequence(account: AccountId, agent: Uuid) -> Expr {
    mark(account, &Agent::from(agent))
}

/// Number of entries of the conversation of the surrounding query that the agent has not read, up to a maximum. `mark`: how far they have
/// read it.
pub(super) fn unread_count(agent: Uuid, mark: Expr) -> Expr {
    count_unread(&Agent::from(agent), mark)
}

fn count_unread(agent: &Agent, mark: Expr) -> Expr {
    let counted = unread(agent, mark).limit(MAX_COUNTED).take();
    let count = Query::select().expr(Func::count(Expr::value(1))).from_subquery(counted, "counted").take();
    subquery(count)
}

/// A row for each entry of the conversation of the surrounding query that the agent has neither read nor written.
fn unread(agent: &Agent, mark: Expr) -> SelectStatement {
    Query::select().expr(Expr::value(1)).from(entry::Entity).cond_where(is_unread(agent, mark)).take()
}

/// An agent in a statement, by id, and by the text of the id, as authors of entries are stored.
struct Agent {
    id: Expr,
    text: Expr,
}

impl From<Uuid> for Agent {
    fn from(id: Uuid) -> Self {
        Self { id: Expr::value(id), text: Expr::value(id.to_string()) }
    }
}

/// Whether an entry belongs to the conversation of the surrounding query, and the agent has neither read nor written it.
fn is_unread(agent: &Agent, mark: Expr) -> sea_orm::Condition {
    let column = |column: entry::Column| Expr::col((entry::Entity, column));
    let own = column(entry::Column::AuthorKind)
        .eq(ActorKind::Agent)
        .and(column(entry::Column::AuthorId).eq(agent.text.clone()));
    sea_orm::Condition::all()
        .add(column(entry::Column::ConversationId).equals((conversation::Entity, conversation::Column::Id)))
        .add(column(entry::Column::Sequence).gt(mark))
        .add(is_written())
        .add(own.not())
}

/// The agent's mark in the conversation of the surrounding query; 0: none.
fn mark(account: AccountId, agent: &Agent) -> Expr {
    let mark = Query::select()
        .expr(Expr::col((Entity, Column::Sequence)))
        .from(Entity)
        .and_where(Expr::col((Entity, Column::AccountId)).eq(account))
        .and_where(Expr::col((Entity, Column::AgentId)).eq(agent.id.clone()))
        .and_where(Expr::col((Entity, Column::ConversationId)).equals((conversation::Entity, conversation::Column::Id)))
        .take();
    Func::coalesce([subquery(mark), Expr::value(0_i64)]).into()
}

fn subquery(select: SelectStatement) -> Expr {
    Expr::SubQuery(None, Box::new(SubQueryStatement::SelectStatement(select)))
}

/// Whether an entry is a message or a comment. Of its content only the beginning is read: a long text is stored apart from the row.
fn is_written() -> Expr {
    let beginning = Func::cust("substr").args([
        Expr::col((entry::Entity, entry::Column::Content)),
        Expr::value(1),
        Expr::value(MESSAGE.len() as i32),
    ]);
    Expr::from(beginning).is_in([MESSAGE, COMMENT])
}
