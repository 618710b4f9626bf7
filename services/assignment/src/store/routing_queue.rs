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
    entity::conversation_owner::{self, Column as Known},
    entity::queued_conversation::{Column, Entity, LEFT, Model, OVER, RESERVED, WAITING},
};
use crate::domain::{Queue, Routed, Waiting};

/// How long after a conversation began to wait that is published (milliseconds): most get an agent before, and nothing is.
const PUBLISH_AFTER: Duration = Duration::from_millis(500);

/// Maximum number of reservations in one statement: each row is 15 parameters, of which SQLite takes 32,766 and PostgreSQL 65,535. One decision
/// may reserve places for a hundred conversations of each queue.
const RESERVED_AT_ONCE: usize = 1_000;

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

/// Adds different conversations, each unless a row of its epoch or a later one exists. The rows of their owners were written before in the
/// transaction.
pub(crate) async fn insert(
    tx: &Tx,
    account: AccountId,
    waiting: impl IntoIterator<Item = Waiting>,
) -> Result<(), DbErr> {
    let rows = waiting.into_iter().map(|waiting| row(account, &waiting).into_active_model());
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
        .action_and_where(Expr::col((Entity, Column::Epoch)).lt(Expr::col(("excluded", Column::Epoch))))
        .to_owned();
    Entity::insert_many(rows).on_conflict(newer).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// The row of a conversation that begins to wait.
fn row(account: AccountId, waiting: &Waiting) -> Model {
    Model {
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
    }
}

/// Removes those of the conversations of which a later epoch is known, or that they are closed or owned.
pub(crate) async fn remove_if_over(
    tx: &Tx,
    account: AccountId,
    conversations: impl IntoIterator<Item = Uuid>,
) -> Result<(), DbErr> {
    end(tx, these(account, conversations).add(is_over())).await
}

/// The condition that what is known of the conversation's owner and status ends the epoch of the row.
fn is_over() -> Expr {
    let known = |column: Known| Expr::col((conversation_owner::Entity, column));
    let is_same = known(Known::Epoch).equals((Entity, Column::Epoch));
    let ends = Condition::any()
        .add(Known::Open.eq(false))
        .add(known(Known::Epoch).gt(Expr::col((Entity, Column::Epoch))))
        .add(Condition::all().add(Known::AgentId.is_not_null()).add(is_same));
    let row = conversation_owner::Entity::find()
        .filter(known(Known::AccountId).equals((Entity, Column::AccountId)))
        .filter(known(Known::ConversationId).equals((Entity, Column::ConversationId)))
        .filter(ends);
    Expr::exists(row.into_query())
}

/// Removes these conversations, each at its epoch: with one statement for those of one epoch, which most share.
pub(crate) async fn remove(
    tx: &Tx,
    account: AccountId,
    conversations: impl IntoIterator<Item = (Uuid, i64)>,
) -> Result<(), DbErr> {
    let mut by_epoch: BTreeMap<i64, BTreeSet<Uuid>> = BTreeMap::new();
    for (conversation, epoch) in conversations {
        by_epoch.entry(epoch).or_default().insert(conversation);
    }
    for (epoch, conversations) in by_epoch {
        end(tx, these(account, conversations).add(Column::Epoch.eq(epoch))).await?;
    }
    Ok(())
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

/// Reserves places for conversations that wait, in the order in which they were decided.
pub(crate) async fn reserve(tx: &Tx, account: AccountId, routed: &[Routed], check_at: Time) -> Result<(), DbErr> {
    let row = |routed: &Routed| {
        let (agent_id, check_at) = (Some(routed.agent), Some(check_at));
        Model { state: RESERVED, agent_id, check_at, ..row(account, &routed.waiting) }.into_active_model()
    };
    // Their rows exist, and are locked by the account's: an insertion changes each of them in the order of its list, which an update
    // does not promise. So a log of the changes has the oldest first.
    let waits = Expr::col((Entity, Column::Epoch)).eq(Expr::col(("excluded", Column::Epoch)));
    let reserved = OnConflict::columns([Column::AccountId, Column::ConversationId])
        .update_columns([Column::State, Column::AgentId, Column::CheckAt])
        .action_and_where(waits)
        .to_owned();
    for routed in routed.chunks(RESERVED_AT_ONCE) {
        let rows = Entity::insert_many(routed.iter().map(row)).on_conflict(reserved.clone());
        rows.exec_without_returning(tx.conn()).await?;
    }
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

/// Takes conversations that wait out of routing. The account is locked since they were read.
pub(crate) async fn leave(tx: &Tx, account: AccountId, leaving: &[Waiting]) -> Result<(), DbErr> {
    if leaving.is_empty() {
        return Ok(());
    }
    Entity::update_many()
        .col_expr(Column::State, Expr::value(LEFT))
        .col_expr(Column::PublishAt, Expr::value(AT_ONCE))
        .filter(these(account, leaving.iter().map(|waiting| waiting.conversation)))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Returns the number of conversations that wait, over all accounts, and since when the one waits that waits the longest.
pub(crate) async fn count_waiting<C: ConnectionTrait>(conn: &C) -> Result<(i64, Option<Time>), DbErr> {
    let counted: Option<(i64, Option<Time>)> = Entity::find()
        .filter(Column::State.eq(WAITING))
        .select_only()
        .column_as(Column::ConversationId.count(), "conversations")
        .column_as(Column::WaitingSince.min(), "since")
        .into_tuple()
        .one(conn)
        .await?;
    Ok(counted.unwrap_or_default())
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
pub(crate) async fn find_queued<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversation: Uuid,
) -> Result<Option<Waiting>, DbErr> {
    let row = Entity::find_by_id((account.0, conversation)).filter(Column::State.is_in([WAITING, RESERVED]));
    Ok(row.one(conn).await?.map(Waiting::from))
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
    let (mut reservations, mut by_account) = (Vec::new(), BTreeMap::<AccountId, BTreeSet<Uuid>>::new());
    for row in due {
        let (account, conversation, epoch) = (AccountId(row.account_id), row.conversation_id, row.epoch);
        by_account.entry(account).or_default().insert(conversation);
        reservations.extend(row.agent_id.map(|agent| Reservation { account, conversation, epoch, agent }));
    }
    for (account, conversations) in by_account {
        // They are locked since they were read.
        Entity::update_many()
            .col_expr(Column::CheckAt, Expr::value(check_at))
            .filter(these(account, conversations))
            .exec(tx.conn())
            .await?;
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

pub(super) async fn oldest<C: ConnectionTrait>(
    rows: Select<Entity>,
    conn: &C,
    limit: u64,
) -> Result<Vec<Waiting>, DbErr> {
    let rows = rows.order_by_asc(Column::WaitingSince).order_by_asc(Column::ConversationId).limit(limit);
    Ok(rows.all(conn).await?.into_iter().map(Waiting::from).collect())
}

fn waiting(account: AccountId) -> Select<Entity> {
    Entity::find().filter(Column::AccountId.eq(account)).filter(Column::State.eq(WAITING))
}

/// The conversations that wait in the queue.
pub(super) fn of_queue(account: AccountId, queue: Queue) -> Select<Entity> {
    let is = |column: Column, id: Option<Uuid>| match id {
        Some(id) => column.eq(id),
        None => column.is_null(),
    };
    waiting(account).filter(is(Column::PolicyId, queue.policy)).filter(is(Column::TeamId, queue.team))
}

/// The same, in the order of an index that begins with the queue.
pub(super) fn in_queue(account: AccountId, queue: Queue) -> Select<Entity> {
    // The same in all rows. PostgreSQL does not know that of IS NULL: without them it reads and sorts the whole queue instead of reading its
    // oldest rows from `routing_queue_of_teams`.
    of_queue(account, queue).order_by_asc(Column::PolicyId).order_by_asc(Column::TeamId)
}

fn before(this: &Waiting) -> Condition {
    let as_old =
        Condition::all().add(Column::WaitingSince.eq(this.since)).add(Column::ConversationId.lt(this.conversation));
    Condition::any().add(Column::WaitingSince.lt(this.since)).add(as_old)
}

pub(super) fn these(account: AccountId, conversations: impl IntoIterator<Item = Uuid>) -> Condition {
    Condition::all().add(Column::AccountId.eq(account)).add(Column::ConversationId.is_in(conversations))
}

fn one(account: AccountId, conversation: Uuid) -> Condition {
    Condition::all().add(Column::AccountId.eq(account)).add(Column::ConversationId.eq(conversation))
}

pub(super) fn at(account: AccountId, conversation: Uuid, epoch: i64) -> Condition {
    one(account, conversation).add(Column::Epoch.eq(epoch))
}
