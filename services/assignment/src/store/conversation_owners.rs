//! Which agents own which open conversations, and how conversations are routed: the load of an agent is the number of theirs.

use std::collections::{BTreeMap, BTreeSet};

use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, ExprTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use super::{
    entity::conversation_owner::{Column, Entity, Model},
    routing_queue,
};
use crate::domain::{Actor, Assignment, ConversationChange, Route, Waiting};

/// A conversation that an agent owns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnedConversation {
    pub(crate) conversation: Uuid,
    pub(crate) epoch: i64,
    /// None: it is not routed.
    pub(crate) route: Option<Route>,
}

/// Columns that change together, by the number of which the higher one stays.
const FACTS: [(Column, &[Column]); 3] = [
    (Column::Epoch, &[Column::AgentId, Column::GivenBackAt]),
    (Column::RouteEpoch, &[Column::PolicyId, Column::TeamId, Column::ContactOwnerId]),
    (Column::StatusVersion, &[Column::Open]),
];

/// Records who owns the conversation from an epoch on, unless a later epoch is recorded. `agent`: None where no agent owns it. A
/// conversation of which nothing is known is open: an owner changes only while it is.
pub(crate) async fn record_owner(
    tx: &Tx,
    account: AccountId,
    conversation: Uuid,
    epoch: i64,
    agent: Option<Uuid>,
) -> Result<(), DbErr> {
    record(tx, [Model { agent_id: agent, epoch, ..Model::unknown(account.0, conversation) }]).await
}

/// The same for assignments of different conversations, in the order of these. All who write several rows do so in this order, with one
/// statement: two transactions that write the same ones wait for each other, and never in a circle.
pub(crate) async fn record_owners(tx: &Tx, account: AccountId, assignments: &[Assignment]) -> Result<(), DbErr> {
    let row = |assignment: &Assignment| {
        let agent_id = assignment.owner.as_ref().and_then(Actor::agent_id);
        Model { agent_id, epoch: assignment.epoch, ..Model::unknown(account.0, assignment.conversation) }
    };
    record(tx, assignments.iter().map(row)).await
}

/// Records what changes of conversations say: of each conversation, the owner and the route of the highest epoch, and the status of the
/// highest version, unless later ones are recorded.
pub(crate) async fn record_changes(tx: &Tx, changes: &[&ConversationChange]) -> Result<(), DbErr> {
    let mut rows: BTreeMap<(AccountId, Uuid), Model> = BTreeMap::new();
    for change in changes {
        let unknown = || Model::unknown(change.account.0, change.conversation);
        rows.entry((change.account, change.conversation)).or_insert_with(unknown).apply(change);
    }
    record(tx, rows.into_values()).await
}

/// Returns those of the conversations that an agent owns or that are in the queue, also with a row that is over.
pub(crate) async fn owned_or_queued<C: ConnectionTrait>(
    conn: &C,
    conversations: impl Iterator<Item = (AccountId, Uuid)>,
) -> Result<BTreeSet<(AccountId, Uuid)>, DbErr> {
    let (accounts, ids): (BTreeSet<AccountId>, BTreeSet<Uuid>) = conversations.unzip();
    let found = Entity::find()
        .filter(Column::AccountId.is_in(accounts))
        .filter(Column::ConversationId.is_in(ids))
        .filter(Column::AgentId.is_not_null().or(routing_queue::contains_owner()))
        .select_only()
        .columns([Column::AccountId, Column::ConversationId]);
    let found = found.into_tuple::<(Uuid, Uuid)>().all(conn).await?;
    Ok(found.into_iter().map(|(account, conversation)| (AccountId(account), conversation)).collect())
}

/// Counts an event about the conversation's queue, and returns its number. The account is locked.
pub(crate) async fn next_queue_version(tx: &Tx, account: AccountId, conversation: Uuid) -> Result<i64, DbErr> {
    let counted = OnConflict::columns([Column::AccountId, Column::ConversationId])
        .values([(Column::QueueVersion, Expr::col((Entity, Column::QueueVersion)).add(1_i64))])
        .to_owned();
    let row = Model { queue_version: 1, ..Model::unknown(account.0, conversation) };
    insert(tx, [row], counted).await?;
    Ok(find(tx.conn(), account, conversation).await?.map_or(1, |row| row.queue_version))
}

/// Returns what is known of the conversation.
pub(crate) async fn find<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversation: Uuid,
) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id((account.0, conversation)).one(conn).await
}

/// Returns the epochs whose owners are recorded, of those of these conversations of which anything is known.
pub(crate) async fn find_epochs<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversations: BTreeSet<Uuid>,
) -> Result<BTreeMap<Uuid, i64>, DbErr> {
    let known = Entity::find()
        .filter(Column::AccountId.eq(account))
        .filter(Column::ConversationId.is_in(conversations))
        .select_only()
        .columns([Column::ConversationId, Column::Epoch]);
    Ok(known.into_tuple::<(Uuid, i64)>().all(conn).await?.into_iter().collect())
}

/// Returns how those of these conversations wait that an agent gave back: the open ones without an owner that are routed.
pub(crate) async fn list_given_back(
    tx: &Tx,
    account: AccountId,
    conversations: BTreeSet<Uuid>,
) -> Result<Vec<Waiting>, DbErr> {
    let rows = Entity::find()
        .filter(Column::AccountId.eq(account))
        .filter(Column::ConversationId.is_in(conversations))
        .filter(Column::Open.eq(true))
        .filter(Column::AgentId.is_null())
        .filter(Column::GivenBackAt.is_not_null())
        .order_by_asc(Column::ConversationId)
        .all(tx.conn())
        .await?;
    let waiting = |row: Model| Some(Waiting::new(row.conversation_id, row.epoch, row.route()?, row.given_back_at?));
    Ok(rows.into_iter().filter_map(waiting).collect())
}

/// Records rows of different conversations, in the order of these: of each kind of facts, the later ones stay.
async fn record(tx: &Tx, rows: impl IntoIterator<Item = Model>) -> Result<(), DbErr> {
    let later = |version: Column| Expr::col((Entity, version)).lt(Expr::col(("excluded", version)));
    let mut known = OnConflict::columns([Column::AccountId, Column::ConversationId]);
    let mut says_more = Condition::any();
    for (version, columns) in FACTS {
        for column in columns.iter().copied().chain([version]) {
            let latest = Expr::case(later(version), Expr::col(("excluded", column)));
            known.value(column, latest.finally(Expr::col((Entity, column))));
        }
        says_more = says_more.add(later(version));
    }
    known.action_cond_where(says_more);
    insert(tx, rows, known).await
}

async fn insert(tx: &Tx, rows: impl IntoIterator<Item = Model>, known: OnConflict) -> Result<(), DbErr> {
    let rows = rows.into_iter().map(IntoActiveModel::into_active_model);
    Entity::insert_many(rows).on_conflict(known).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Returns the number of open conversations of each of these agents who owns any.
pub(crate) async fn count_open<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    agents: BTreeSet<Uuid>,
) -> Result<BTreeMap<Uuid, i64>, DbErr> {
    let open = Entity::find()
        .filter(Column::AccountId.eq(account))
        .filter(Column::AgentId.is_in(agents))
        .filter(Column::Open.eq(true))
        .select_only()
        .column(Column::AgentId)
        .column_as(Column::ConversationId.count(), "conversations")
        .group_by(Column::AgentId);
    Ok(open.into_tuple::<(Uuid, i64)>().all(conn).await?.into_iter().collect())
}

/// Returns up to `limit` open conversations that the agent owns, in the order of their ids, after this one. None: from the first one.
pub(crate) async fn list_open_of<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    agent: Uuid,
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<OwnedConversation>, DbErr> {
    let mut open = Entity::find()
        .filter(Column::AccountId.eq(account))
        .filter(Column::AgentId.eq(agent))
        .filter(Column::Open.eq(true));
    if let Some(after) = after {
        open = open.filter(Column::ConversationId.gt(after));
    }
    let rows = open.order_by_asc(Column::ConversationId).limit(limit).all(conn).await?;
    let owned =
        |row: Model| OwnedConversation { conversation: row.conversation_id, epoch: row.epoch, route: row.route() };
    Ok(rows.into_iter().map(owned).collect())
}
