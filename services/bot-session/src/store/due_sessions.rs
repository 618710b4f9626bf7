//! Open sessions of all accounts by the time of their next check, for the worker that watches the timeouts.

use std::collections::HashSet;

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, ExprTrait, LockBehavior, LockType},
};
use uuid::Uuid;

use super::{
    columns::OPEN,
    entity::bot_session::{Column, Entity},
};
use crate::domain::DueSession;

/// Returns the time of the earliest next check. None: no open session has one.
pub(crate) async fn find_next_check_at<C: ConnectionTrait>(conn: &C) -> Result<Option<Time>, DbErr> {
    let next: Option<Option<i64>> =
        with_next_check().select_only().column_as(Column::NextCheckAt.min(), "next").into_tuple().one(conn).await?;
    Ok(next.flatten().map(Time))
}

/// Returns up to `limit` due sessions, the earliest first, locked until the transaction ends, without those that are `claimed`. Skips the rows
/// that another replica has locked. `moved_from`: what the clock showed before it was moved lately; sessions with a reminder that were due
/// since then are checked as of the time at which they were.
pub(crate) async fn list_for_update(
    tx: &Tx,
    now: Time,
    moved_from: Option<Time>,
    claimed: HashSet<Uuid>,
    limit: u64,
) -> Result<Vec<DueSession>, DbErr> {
    let rows: Vec<(AccountId, Uuid, Uuid, i64, Option<i64>)> = with_next_check()
        .filter(Column::NextCheckAt.lte(now))
        .filter(Column::Id.is_not_in(claimed))
        .order_by_asc(Column::NextCheckAt)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .select_only()
        .columns([Column::AccountId, Column::Id, Column::ConversationId, Column::NextCheckAt, Column::ReminderBeforeUs])
        .into_tuple()
        .all(tx.conn())
        .await?;
    let due = rows.into_iter().map(|(account, session, conversation, due_at, reminder)| {
        let is_passed = |from: &Time| reminder.is_some() && due_at > from.0;
        DueSession { account, session, conversation, as_of: moved_from.filter(is_passed).map(|_| Time(due_at)) }
    });
    Ok(due.collect())
}

/// Puts the next check of these sessions, which are locked, off until then.
pub(crate) async fn put_off(tx: &Tx, sessions: &HashSet<Uuid>, until: Time) -> Result<(), DbErr> {
    if sessions.is_empty() {
        return Ok(());
    }
    Entity::update_many()
        .filter(Column::Id.is_in(sessions.iter().copied()))
        .col_expr(Column::NextCheckAt, Expr::value(until))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Makes the sessions due at `now` whose next check is neither their deadline nor before `latest`: the end of a pause from before the
/// database's clock was set back.
pub(crate) async fn end_void_pauses(tx: &Tx, now: Time, latest: Time) -> Result<(), DbErr> {
    Entity::update_many()
        .filter(Column::Status.eq(OPEN))
        .filter(Column::NextCheckAt.gt(latest))
        .filter(Expr::col(Column::NextCheckAt).gt(Expr::col(Column::DeadlineAt)))
        .col_expr(Column::NextCheckAt, Expr::value(now))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Selects the open sessions that have a next check, of accounts that are in use.
fn with_next_check() -> Select<Entity> {
    let of_accounts = Column::AccountId.not_in_subquery(frontdesk_db::accounts_not_in_use());
    Entity::find().filter(Column::Status.eq(OPEN)).filter(Column::NextCheckAt.is_not_null()).filter(of_accounts)
}
