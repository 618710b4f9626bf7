//! The conversations that wait for an agent, and the places that are reserved for them.
//!
//! Each row belongs to an epoch of its conversation. The row of an epoch that is over is removed with the change that ends it, and the
//! place with it. What changes rows here has locked the account first (`routing_accounts`).

use std::collections::{BTreeMap, BTreeSet};

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, ExprTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect, Select,
    sea_query::{Expr, LockBehavior, LockType, OnConflict},
};
use uuid::Uuid;

use super::{
    conversation_owners,
    entity::queued_conversation::{Column, Entity, LEFT, Model, RESERVED, WAITING},
};
use crate::domain::Waiting;

/// A place that is reserved at an agent for a conversation.
#[derive(Clone, Debug)]
pub(crate) struct Reservation {
    pub(crate) account: AccountId,
    pub(crate) conversation: Uuid,
    pub(crate) epoch: i64,
    pub(crate) agent: Uuid,
}

/// Adds a conversation, unless a row of this epoch or a later one exists.
pub(crate) async fn insert(tx: &Tx, account: AccountId, waiting: &Waiting) -> Result<(), DbErr> {
    let newer = OnConflict::columns([Column::AccountId, Column::ConversationId])
        .update_columns([
            Column::Epoch,
            Column::PolicyId,
            Column::ContactOwnerId,
            Column::WaitingSince,
            Column::State,
            Column::AgentId,
            Column::CheckAt,
        ])
        .action_and_where(Expr::col((Entity, Column::Epoch)).lt(waiting.epoch))
        .to_owned();
    let row = Model {
        account_id: account.0,
        conversation_id: waiting.conversation,
        epoch: waiting.epoch,
        policy_id: waiting.policy,
        contact_owner_id: waiting.contact_owner,
        waiting_since: waiting.since,
        state: WAITING,
        agent_id: None,
        check_at: None,
    };
    Entity::insert(row.into_active_model()).on_conflict(newer).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Removes the conversation where a later epoch is known, or that it is closed or owned.
pub(crate) async fn remove_if_over(tx: &Tx, account: AccountId, conversation: Uuid) -> Result<(), DbErr> {
    let Some(known) = conversation_owners::find(tx.conn(), account, conversation).await? else { return Ok(()) };
    let mut delete = Entity::delete_many().filter(one(account, conversation));
    if known.open && known.agent_id.is_none() {
        delete = delete.filter(Column::Epoch.lt(known.epoch));
    } else if known.open {
        delete = delete.filter(Column::Epoch.lte(known.epoch));
    }
    delete.exec(tx.conn()).await?;
    Ok(())
}

/// Removes the conversation at this epoch.
pub(crate) async fn remove(tx: &Tx, account: AccountId, conversation: Uuid, epoch: i64) -> Result<(), DbErr> {
    Entity::delete_many().filter(at(account, conversation, epoch)).exec(tx.conn()).await?;
    Ok(())
}

/// Reserves a place for a conversation that waits.
pub(crate) async fn reserve(
    tx: &Tx,
    account: AccountId,
    waiting: &Waiting,
    agent: Uuid,
    check_at: Time,
) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::State, Expr::value(RESERVED))
        .col_expr(Column::AgentId, Expr::value(agent))
        .col_expr(Column::CheckAt, Expr::value(check_at))
        .filter(at(account, waiting.conversation, waiting.epoch))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Gives the agent's place back: the conversation waits as before. A place that was reserved at another one since stays.
pub(crate) async fn release(
    tx: &Tx,
    account: AccountId,
    conversation: Uuid,
    epoch: i64,
    agent: Uuid,
) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::State, Expr::value(WAITING))
        .col_expr(Column::AgentId, Expr::value(None::<Uuid>))
        .col_expr(Column::CheckAt, Expr::value(None::<Time>))
        .filter(at(account, conversation, epoch))
        .filter(Column::AgentId.eq(agent))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Takes the conversation out of routing.
pub(crate) async fn leave(tx: &Tx, account: AccountId, waiting: &Waiting) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::State, Expr::value(LEFT))
        .filter(at(account, waiting.conversation, waiting.epoch))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Returns the policies by which conversations wait. None: the default one.
pub(crate) async fn list_policies<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
) -> Result<BTreeSet<Option<Uuid>>, DbErr> {
    let policies = waiting(account).select_only().column(Column::PolicyId).distinct();
    Ok(policies.into_tuple::<Option<Uuid>>().all(conn).await?.into_iter().collect())
}

/// Returns the conversations that wait the longest by a policy, oldest first.
pub(crate) async fn list_heads<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    policy: Option<Uuid>,
    limit: u64,
) -> Result<Vec<Waiting>, DbErr> {
    oldest(waiting(account).filter(by(policy)), conn, limit).await
}

/// Returns the conversations that wait the longest by a policy for contacts of these owners, oldest first.
pub(crate) async fn list_heads_of_owners<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    policy: Option<Uuid>,
    owners: BTreeSet<Uuid>,
    limit: u64,
) -> Result<Vec<Waiting>, DbErr> {
    oldest(waiting(account).filter(by(policy)).filter(Column::ContactOwnerId.is_in(owners)), conn, limit).await
}

/// Returns the conversation if it waits and no place is reserved for it.
pub(crate) async fn find_waiting<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversation: Uuid,
) -> Result<Option<Waiting>, DbErr> {
    let row = waiting(account).filter(Column::ConversationId.eq(conversation)).one(conn).await?;
    Ok(row.map(Waiting::from))
}

/// Returns the conversation if it waits, also with a reserved place.
pub(crate) async fn find<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversation: Uuid,
) -> Result<Option<Waiting>, DbErr> {
    let row = Entity::find().filter(one(account, conversation)).filter(Column::State.ne(LEFT)).one(conn).await?;
    Ok(row.map(Waiting::from))
}

/// Maximum number of conversations before one that an explanation takes into account.
const MAX_BEFORE: u64 = 2_000;

/// Returns the conversations that wait longer than this one, by any policy, oldest first: the oldest [`MAX_BEFORE`].
pub(crate) async fn list_before<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    this: &Waiting,
) -> Result<Vec<Waiting>, DbErr> {
    oldest(waiting(account).filter(before(this)), conn, MAX_BEFORE).await
}

/// Returns the number of conversations that wait longer by the same policy, and of all that wait by it.
pub(crate) async fn count_before<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    this: &Waiting,
) -> Result<(i64, i64), DbErr> {
    let queue = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::State.ne(LEFT));
    let queue = queue.filter(by(this.policy)).select_only().column_as(Column::ConversationId.count(), "conversations");
    let longer: Option<i64> = queue.clone().filter(before(this)).into_tuple().one(conn).await?;
    let all: Option<i64> = queue.into_tuple().one(conn).await?;
    Ok((longer.unwrap_or(0), all.unwrap_or(0)))
}

/// Returns the number of places that are reserved at each agent who has any.
pub(crate) async fn count_reserved<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
) -> Result<BTreeMap<Uuid, i64>, DbErr> {
    let reserved = Entity::find()
        .filter(Column::AccountId.eq(account))
        .filter(Column::State.eq(RESERVED))
        .filter(Column::AgentId.is_not_null())
        .select_only()
        .column(Column::AgentId)
        .column_as(Column::ConversationId.count(), "conversations")
        .group_by(Column::AgentId);
    Ok(reserved.into_tuple::<(Uuid, i64)>().all(conn).await?.into_iter().collect())
}

/// Takes up to `limit` reservations whose check is due, over all accounts: the next check is at `check_at`.
pub(crate) async fn take_due(tx: &Tx, now: Time, check_at: Time, limit: u64) -> Result<Vec<Reservation>, DbErr> {
    let due = Entity::find()
        .filter(Column::CheckAt.is_not_null())
        .filter(Column::CheckAt.lte(now))
        .order_by_asc(Column::CheckAt)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(tx.conn())
        .await?;
    let mut reservations = Vec::new();
    for row in due {
        let (account, conversation, epoch) = (AccountId(row.account_id), row.conversation_id, row.epoch);
        Entity::update_many()
            .col_expr(Column::CheckAt, Expr::value(check_at))
            .filter(at(account, conversation, epoch))
            .exec(tx.conn())
            .await?;
        reservations.extend(row.agent_id.map(|agent| Reservation { account, conversation, epoch, agent }));
    }
    Ok(reservations)
}

/// Returns the time of the next check, over all accounts. None: no place is reserved.
pub(crate) async fn find_next_check_at<C: ConnectionTrait>(conn: &C) -> Result<Option<Time>, DbErr> {
    let checks = Entity::find().filter(Column::CheckAt.is_not_null());
    let next: Option<Option<i64>> =
        checks.select_only().column_as(Column::CheckAt.min(), "next").into_tuple().one(conn).await?;
    Ok(next.flatten().map(Time))
}

async fn oldest<C: ConnectionTrait>(rows: Select<Entity>, conn: &C, limit: u64) -> Result<Vec<Waiting>, DbErr> {
    let rows = rows.order_by_asc(Column::WaitingSince).order_by_asc(Column::ConversationId).limit(limit);
    Ok(rows.all(conn).await?.into_iter().map(Waiting::from).collect())
}

fn waiting(account: AccountId) -> Select<Entity> {
    Entity::find().filter(Column::AccountId.eq(account)).filter(Column::State.eq(WAITING))
}

fn by(policy: Option<Uuid>) -> Condition {
    Condition::all().add(match policy {
        Some(policy) => Column::PolicyId.eq(policy),
        None => Column::PolicyId.is_null(),
    })
}

fn before(this: &Waiting) -> Condition {
    let as_old =
        Condition::all().add(Column::WaitingSince.eq(this.since)).add(Column::ConversationId.lt(this.conversation));
    Condition::any().add(Column::WaitingSince.lt(this.since)).add(as_old)
}

fn one(account: AccountId, conversation: Uuid) -> Condition {
    Condition::all().add(Column::AccountId.eq(account)).add(Column::ConversationId.eq(conversation))
}

fn at(account: AccountId, conversation: Uuid, epoch: i64) -> Condition {
    one(account, conversation).add(Column::Epoch.eq(epoch))
}
