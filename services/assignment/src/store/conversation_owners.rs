//! Which agents own which open conversations: the load of an agent is the number of theirs.

use std::collections::{BTreeMap, BTreeSet};

use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, IntoActiveModel, QueryFilter, QuerySelect,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use super::entity::conversation_owner::{Column, Entity, Model};

/// Records who owns the conversation from an epoch on, unless a later epoch is recorded. `agent`: None where no agent owns it. A
/// conversation of which nothing is known is open: an owner changes only while it is.
pub(crate) async fn record_owner(
    tx: &Tx,
    account: AccountId,
    conversation: Uuid,
    epoch: i64,
    agent: Option<Uuid>,
) -> Result<(), DbErr> {
    let newer = OnConflict::columns([Column::AccountId, Column::ConversationId])
        .update_columns([Column::AgentId, Column::Epoch])
        .action_and_where(Expr::col((Entity, Column::Epoch)).lt(epoch))
        .to_owned();
    let row = Model {
        account_id: account.0,
        conversation_id: conversation,
        agent_id: agent,
        epoch,
        open: true,
        status_version: 0,
        queue_version: 0,
    };
    insert(tx, row, newer).await
}

/// Records whether the conversation is open at a version of it, unless that of a later one is recorded.
pub(crate) async fn record_status(
    tx: &Tx,
    account: AccountId,
    conversation: Uuid,
    version: i64,
    open: bool,
) -> Result<(), DbErr> {
    let newer = OnConflict::columns([Column::AccountId, Column::ConversationId])
        .update_columns([Column::Open, Column::StatusVersion])
        .action_and_where(Expr::col((Entity, Column::StatusVersion)).lt(version))
        .to_owned();
    let row = Model {
        account_id: account.0,
        conversation_id: conversation,
        agent_id: None,
        epoch: 0,
        open,
        status_version: version,
        queue_version: 0,
    };
    insert(tx, row, newer).await
}

/// Counts an event about the conversation's queue, and returns its number. The account is locked.
pub(crate) async fn next_queue_version(tx: &Tx, account: AccountId, conversation: Uuid) -> Result<i64, DbErr> {
    let counted = OnConflict::columns([Column::AccountId, Column::ConversationId])
        .values([(Column::QueueVersion, Expr::col((Entity, Column::QueueVersion)).add(1_i64))])
        .to_owned();
    let row = Model {
        account_id: account.0,
        conversation_id: conversation,
        agent_id: None,
        epoch: 0,
        open: true,
        status_version: 0,
        queue_version: 1,
    };
    insert(tx, row, counted).await?;
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

async fn insert(tx: &Tx, row: Model, newer: OnConflict) -> Result<(), DbErr> {
    let row = row.into_active_model();
    Entity::insert(row).on_conflict(newer).exec_without_returning(tx.conn()).await?;
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
