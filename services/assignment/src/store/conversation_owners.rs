//! Which agents own which open conversations, and how conversations are routed: the load of an agent is the number of theirs.

use std::collections::{BTreeMap, BTreeSet};

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use super::{
    entity::conversation_owner::{Column, Entity, Model},
    routing_queue,
};
use crate::domain::{Actor, Assignment, Route};

/// A conversation that an agent owns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnedConversation {
    pub(crate) conversation: Uuid,
    pub(crate) epoch: i64,
    /// None: it is not routed.
    pub(crate) route: Option<Route>,
}

/// Records who owns the conversation from an epoch on, unless a later epoch is recorded. `agent`: None where no agent owns it. A
/// conversation of which nothing is known is open: an owner changes only while it is.
pub(crate) async fn record_owner(
    tx: &Tx,
    account: AccountId,
    conversation: Uuid,
    epoch: i64,
    agent: Option<Uuid>,
) -> Result<(), DbErr> {
    insert_owners(tx, [Model { agent_id: agent, epoch, ..Model::unknown(account.0, conversation) }]).await
}

/// The same for assignments of different conversations, in the order of these. All who write several rows do so in this order: two
/// transactions that write the same ones wait for each other, and never in a circle.
pub(crate) async fn record_owners(tx: &Tx, account: AccountId, assignments: &[Assignment]) -> Result<(), DbErr> {
    let row = |assignment: &Assignment| {
        let agent_id = assignment.owner.as_ref().and_then(Actor::agent_id);
        Model { agent_id, epoch: assignment.epoch, ..Model::unknown(account.0, assignment.conversation) }
    };
    insert_owners(tx, assignments.iter().map(row)).await
}

/// The same for an epoch in which no agent owns the conversation, because one gave it back at this time.
pub(crate) async fn record_given_back(
    tx: &Tx,
    account: AccountId,
    conversation: Uuid,
    epoch: i64,
    at: Time,
) -> Result<(), DbErr> {
    insert_owners(tx, [Model { epoch, given_back_at: Some(at), ..Model::unknown(account.0, conversation) }]).await
}

async fn insert_owners(tx: &Tx, rows: impl IntoIterator<Item = Model>) -> Result<(), DbErr> {
    let columns = [Column::AgentId, Column::Epoch, Column::GivenBackAt];
    insert(tx, rows, newer(columns, Column::Epoch)).await
}

/// Records how the conversation is routed from an epoch on, unless that of a later one is recorded.
pub(crate) async fn record_route(
    tx: &Tx,
    account: AccountId,
    conversation: Uuid,
    epoch: i64,
    route: Route,
) -> Result<(), DbErr> {
    let row = Model {
        route_epoch: epoch,
        policy_id: route.policy,
        team_id: route.team,
        contact_owner_id: route.contact_owner,
        ..Model::unknown(account.0, conversation)
    };
    let columns = [Column::RouteEpoch, Column::PolicyId, Column::TeamId, Column::ContactOwnerId];
    insert(tx, [row], newer(columns, Column::RouteEpoch)).await
}

/// Records whether conversations are open at a version of each, unless the status of a later one is recorded. `conversations`: different ones,
/// in their order.
pub(crate) async fn record_status(
    tx: &Tx,
    conversations: impl IntoIterator<Item = ((AccountId, Uuid), i64)>,
    open: bool,
) -> Result<(), DbErr> {
    let rows = conversations.into_iter().map(|((account, conversation), version)| Model {
        open,
        status_version: version,
        ..Model::unknown(account.0, conversation)
    });
    insert(tx, rows, newer([Column::Open, Column::StatusVersion], Column::StatusVersion)).await
}

/// Returns those of the conversations that an agent owns or that are in the queue, also with a row that is over.
pub(crate) async fn owned_or_queued(
    tx: &Tx,
    conversations: impl Iterator<Item = (AccountId, Uuid)>,
) -> Result<BTreeSet<(AccountId, Uuid)>, DbErr> {
    let (accounts, ids): (BTreeSet<AccountId>, BTreeSet<Uuid>) = conversations.unzip();
    let found = Entity::find()
        .filter(Column::AccountId.is_in(accounts))
        .filter(Column::ConversationId.is_in(ids))
        .filter(Column::AgentId.is_not_null().or(routing_queue::contains_owner()))
        .select_only()
        .columns([Column::AccountId, Column::ConversationId]);
    let found = found.into_tuple::<(Uuid, Uuid)>().all(tx.conn()).await?;
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

/// The update of these columns of a row, unless it has the same or a later `version`.
fn newer<const N: usize>(columns: [Column; N], version: Column) -> OnConflict {
    OnConflict::columns([Column::AccountId, Column::ConversationId])
        .update_columns(columns)
        .action_and_where(Expr::col((Entity, version)).lt(Expr::col(("excluded", version))))
        .to_owned()
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
