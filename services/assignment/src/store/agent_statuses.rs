//! Whether agents are available, and when that is checked.

use std::collections::{BTreeMap, BTreeSet};

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait,
    sea_query::{LockBehavior, LockType, OnConflict, SelectStatement},
};
use uuid::Uuid;

use super::entity::agent_status::{AVAILABLE, Column, Entity, Model};
use crate::domain::AgentStatus;

/// Returns the status of an agent. None: nothing was ever set and no heartbeat came.
pub(crate) async fn find<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    agent: Uuid,
) -> Result<Option<AgentStatus>, DbErr> {
    let row = Entity::find_by_id((account.0, agent)).one(conn).await?;
    Ok(row.map(AgentStatus::from))
}

/// Returns the status, locked until the transaction ends.
pub(crate) async fn find_for_update(tx: &Tx, account: AccountId, agent: Uuid) -> Result<Option<AgentStatus>, DbErr> {
    let row = Entity::find_by_id((account.0, agent)).lock_exclusive().one(tx.conn()).await?;
    Ok(row.map(AgentStatus::from))
}

/// Returns the stored statuses of these agents.
pub(crate) async fn find_many<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    agents: BTreeSet<Uuid>,
) -> Result<BTreeMap<Uuid, AgentStatus>, DbErr> {
    let rows = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::AgentId.is_in(agents));
    Ok(rows.all(conn).await?.into_iter().map(|row| (row.agent_id, AgentStatus::from(row))).collect())
}

/// Inserts the status, unless one is stored.
pub(crate) async fn insert_if_absent(tx: &Tx, status: AgentStatus) -> Result<(), DbErr> {
    let absent = OnConflict::columns([Column::AccountId, Column::AgentId]).do_nothing().to_owned();
    let row = Model::from(status).into_active_model();
    Entity::insert(row).on_conflict(absent).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Updates a status that was locked.
pub(crate) async fn save(tx: &Tx, status: &AgentStatus) -> Result<(), DbErr> {
    Model::from(status.clone()).into_active_model().reset_all().update(tx.conn()).await?;
    Ok(())
}

/// Returns the time of the earliest check, over all accounts. None: there is none.
pub(crate) async fn find_next_check_at<C: ConnectionTrait>(conn: &C) -> Result<Option<Time>, DbErr> {
    let checks = Entity::find().filter(Column::CheckAt.is_not_null());
    let next: Option<Option<i64>> =
        checks.select_only().column_as(Column::CheckAt.min(), "next").into_tuple().one(conn).await?;
    Ok(next.flatten().map(Time))
}

/// Returns up to `limit` statuses whose check is due, the earliest first, over all accounts, locked until the transaction ends. Skips
/// those that another transaction has locked.
pub(crate) async fn list_due_for_update(tx: &Tx, now: Time, limit: u64) -> Result<Vec<AgentStatus>, DbErr> {
    let rows = Entity::find()
        .filter(Column::CheckAt.is_not_null())
        .filter(Column::CheckAt.lte(now))
        .order_by_asc(Column::CheckAt)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(tx.conn())
        .await?;
    Ok(rows.into_iter().map(AgentStatus::from).collect())
}

/// Selects the ids of the agents who are set available and whose last heartbeat came after this time.
pub(super) fn available(account: AccountId, heard_after: Time) -> SelectStatement {
    let available = Entity::find()
        .filter(Column::AccountId.eq(account))
        .filter(Column::Chosen.eq(AVAILABLE))
        .filter(Column::HeartbeatAt.gt(heard_after));
    available.select_only().column(Column::AgentId).into_query()
}
