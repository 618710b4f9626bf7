//! The conversations that wait for an agent, and the places that are reserved for them.
//!
//! Each row belongs to an epoch of its conversation. The row of an epoch that is over is removed with the change that ends it, and the
//! place with it; where its wait was published, it stays as OVER until its end is published too. What changes rows here has locked the account
//! first (`routing_accounts`).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, ExprTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Select,
    sea_query::{Expr, LockBehavior, LockType, OnConflict},
};
use uuid::Uuid;

use super::{
    conversation_owners,
    entity::conversation_owner,
    entity::queued_conversation::{Column, Entity, LEFT, Model, OVER, RESERVED, WAITING},
};
use crate::domain::{Queue, Waiting};

/// How long after a conversation began to wait that is published (milliseconds): most get an agent before, and nothing is.
const PUBLISH_AFTER: Duration = Duration::from_millis(500);

/// A publication that is due at once.
pub(super) const AT_ONCE: Time = Time(0);

/// A place that is reserved at an agent for a conversation.
#[derive(Clone, Debug)]
pub(crate) struct Reservation {
    pub(crate) account: AccountId,
    pub(crate) conversation: Uuid,
    pub(crate) epoch: i64,
    pub(crate) agent: Uuid,
}

/// Adds a conversation, unless a row of this epoch or a later one exists. The row of its owner was written before in the transaction.
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
            Column::PublishAt,
            Column::TeamId,
            Column::LastOwnerId,
            Column::NoticeAt,
            Column::NoticedUntil,
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
        publish_at: Some(waiting.since.plus(PUBLISH_AFTER)),
        published: None,
        team_id: waiting.team,
        last_owner_id: waiting.last_owner,
        notice_at: None,
        noticed_until: waiting.noticed_until,
    };
    Entity::insert(row.into_active_model()).on_conflict(newer).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Removes the conversation where a later epoch is known, or that it is closed or owned.
pub(crate) async fn remove_if_over(tx: &Tx, account: AccountId, conversation: Uuid) -> Result<(), DbErr> {
    let Some(known) = conversation_owners::find(tx.conn(), account, conversation).await? else { return Ok(()) };
    let mut over = one(account, conversation);
    if known.open && known.agent_id.is_none() {
        over = over.add(Column::Epoch.lt(known.epoch));
    } else if known.open {
        over = over.add(Column::Epoch.lte(known.epoch));
    }
    end(tx, over).await
}

/// Removes the conversation at this epoch.
pub(crate) async fn remove(tx: &Tx, account: AccountId, conversation: Uuid, epoch: i64) -> Result<(), DbErr> {
    end(tx, at(account, conversation, epoch)).await
}

/// Removes the rows of which nothing was published; the others are removed when their end is.
async fn end(tx: &Tx, rows: Condition) -> Result<(), DbErr> {
    let unpublished = rows.clone().add(Column::Published.is_null());
    Entity::delete_many().filter(unpublished).exec(tx.conn()).await?;
    Entity::update_many()
        .col_expr(Column::State, Expr::value(OVER))
        .col_expr(Column::AgentId, Expr::value(None::<Uuid>))
        .col_expr(Column::CheckAt, Expr::value(None::<Time>))
        .col_expr(Column::PublishAt, Expr::value(AT_ONCE))
        .filter(rows)
        .filter(Column::State.ne(OVER))
        .exec(tx.conn())
        .await?;
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
        .col_expr(Column::PublishAt, Expr::value(AT_ONCE))
        .filter(at(account, waiting.conversation, waiting.epoch))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Returns the queues in which conversations wait.
pub(crate) async fn list_queues<C: ConnectionTrait>(conn: &C, account: AccountId) -> Result<BTreeSet<Queue>, DbErr> {
    let queues = waiting(account).select_only().column(Column::PolicyId).column(Column::TeamId).distinct();
    let rows = queues.into_tuple::<(Option<Uuid>, Option<Uuid>)>().all(conn).await?;
    Ok(rows.into_iter().map(|(policy, team)| Queue { policy, team }).collect())
}

/// Returns the conversations that wait the longest in a queue, oldest first.
pub(crate) async fn list_heads<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    queue: Queue,
    limit: u64,
) -> Result<Vec<Waiting>, DbErr> {
    oldest(in_queue(account, queue), conn, limit).await
}

/// Returns the conversations that wait the longest in a queue for contacts of these owners, oldest first.
pub(crate) async fn list_heads_of_owners<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    queue: Queue,
    owners: BTreeSet<Uuid>,
    limit: u64,
) -> Result<Vec<Waiting>, DbErr> {
    oldest(in_queue(account, queue).filter(Column::ContactOwnerId.is_in(owners)), conn, limit).await
}

/// Returns the conversations that wait the longest in a queue and return to these agents, oldest first.
pub(crate) async fn list_heads_of_last_owners<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    queue: Queue,
    owners: BTreeSet<Uuid>,
    limit: u64,
) -> Result<Vec<Waiting>, DbErr> {
    oldest(in_queue(account, queue).filter(Column::LastOwnerId.is_in(owners)), conn, limit).await
}

/// Takes up to `limit` conversations of a queue, oldest first, whose visitors have not got the message of the closing that ends at `until`:
/// it is posted again at `again_at` unless it is confirmed.
pub(crate) async fn take_without_notice(
    tx: &Tx,
    account: AccountId,
    queue: Queue,
    until: Time,
    (now, again_at): (Time, Time),
    limit: u64,
) -> Result<Vec<Waiting>, DbErr> {
    let not_noticed = Condition::any().add(Column::NoticedUntil.is_null()).add(Column::NoticedUntil.ne(until));
    let is_due = Condition::any().add(Column::NoticeAt.is_null()).add(Column::NoticeAt.lte(now));
    let rows = in_queue(account, queue).filter(not_noticed).filter(is_due);
    let taken = oldest(rows, tx.conn(), limit).await?;
    if !taken.is_empty() {
        Entity::update_many()
            .col_expr(Column::NoticeAt, Expr::value(again_at))
            .filter(Column::AccountId.eq(account))
            .filter(Column::ConversationId.is_in(taken.iter().map(|waiting| waiting.conversation)))
            .exec(tx.conn())
            .await?;
    }
    Ok(taken)
}

/// Records that the visitor got the message of the closing that ends at `until`.
pub(crate) async fn confirm_notice(
    tx: &Tx,
    account: AccountId,
    conversation: Uuid,
    epoch: i64,
    until: Time,
) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::NoticeAt, Expr::value(None::<Time>))
        .col_expr(Column::NoticedUntil, Expr::value(until))
        .filter(at(account, conversation, epoch))
        .exec(tx.conn())
        .await?;
    Ok(())
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

/// The condition that the conversation of a row of `conversation_owners` has a row here, whatever its state.
pub(super) fn contains_owner() -> Expr {
    let owner = |column| (conversation_owner::Entity, column);
    let row = Entity::find()
        .filter(Expr::col((Entity, Column::AccountId)).equals(owner(conversation_owner::Column::AccountId)))
        .filter(Expr::col((Entity, Column::ConversationId)).equals(owner(conversation_owner::Column::ConversationId)));
    Expr::exists(row.into_query())
}

/// Returns all conversations that wait, also with a reserved place, and their queues, oldest first.
pub(crate) async fn list_queued<C: ConnectionTrait>(conn: &C, account: AccountId) -> Result<Vec<(Uuid, Queue)>, DbErr> {
    let queued = Entity::find()
        .filter(Column::AccountId.eq(account))
        .filter(Column::State.is_in([WAITING, RESERVED]))
        .order_by_asc(Column::WaitingSince)
        .order_by_asc(Column::ConversationId)
        .select_only()
        .columns([Column::ConversationId, Column::PolicyId, Column::TeamId]);
    let rows = queued.into_tuple::<(Uuid, Option<Uuid>, Option<Uuid>)>().all(conn).await?;
    Ok(rows.into_iter().map(|(conversation, policy, team)| (conversation, Queue { policy, team })).collect())
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

fn in_queue(account: AccountId, queue: Queue) -> Select<Entity> {
    let is = |column: Column, id: Option<Uuid>| match id {
        Some(id) => column.eq(id),
        None => column.is_null(),
    };
    let rows = waiting(account).filter(is(Column::PolicyId, queue.policy)).filter(is(Column::TeamId, queue.team));
    // The same in all rows. PostgreSQL does not know that of IS NULL: without them it reads and sorts the whole queue instead of reading its
    // oldest rows from `routing_queue_of_teams`.
    rows.order_by_asc(Column::PolicyId).order_by_asc(Column::TeamId)
}

fn before(this: &Waiting) -> Condition {
    let as_old =
        Condition::all().add(Column::WaitingSince.eq(this.since)).add(Column::ConversationId.lt(this.conversation));
    Condition::any().add(Column::WaitingSince.lt(this.since)).add(as_old)
}

fn one(account: AccountId, conversation: Uuid) -> Condition {
    Condition::all().add(Column::AccountId.eq(account)).add(Column::ConversationId.eq(conversation))
}

pub(super) fn at(account: AccountId, conversation: Uuid, epoch: i64) -> Condition {
    one(account, conversation).add(Column::Epoch.eq(epoch))
}
