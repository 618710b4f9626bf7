//! The deadlines of open sessions, of all accounts: claimed by the worker that watches them.

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, LockBehavior, LockType},
};
use uuid::Uuid;

use super::entity::bot_session::{Column, Entity};
use crate::domain::Status;

/// A session whose deadline has passed, as far as this service knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) account: AccountId,
    pub(crate) session: Uuid,
    pub(crate) conversation: Uuid,
}

fn watched() -> Select<Entity> {
    Entity::find().filter(Column::Status.eq(Status::Open.as_str())).filter(Column::AskAt.is_not_null())
}

/// Claims up to `limit` due sessions until `until`; those that another replica is claiming are passed by.
pub(crate) async fn claim(tx: &Tx, now: Time, until: Time, limit: u64) -> Result<Vec<Due>, DbErr> {
    let rows: Vec<(AccountId, Uuid, Uuid)> = watched()
        .filter(Column::AskAt.lte(now))
        .order_by_asc(Column::AskAt)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .select_only()
        .columns([Column::AccountId, Column::Id, Column::ConversationId])
        .into_tuple()
        .all(tx.conn())
        .await?;
    let due: Vec<Due> =
        rows.into_iter().map(|(account, session, conversation)| Due { account, session, conversation }).collect();
    put_off(tx, &due, until).await?;
    Ok(due)
}

/// Nobody asks for them before.
pub(crate) async fn put_off(tx: &Tx, due: &[Due], until: Time) -> Result<(), DbErr> {
    if due.is_empty() {
        return Ok(());
    }
    Entity::update_many()
        .filter(Column::Id.is_in(due.iter().map(|due| due.session)))
        .filter(Column::Status.eq(Status::Open.as_str()))
        .col_expr(Column::AskAt, Expr::value(until))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// When the next open session can be claimed; None: none has a deadline.
pub(crate) async fn next<C: ConnectionTrait>(conn: &C) -> Result<Option<Time>, DbErr> {
    let next: Option<Option<i64>> =
        watched().select_only().column_as(Column::AskAt.min(), "next").into_tuple().one(conn).await?;
    Ok(next.flatten().map(Time))
}
