//! Keys that sign visitor tokens.

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{Condition, DbErr, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect, Select, entity::prelude::*};
use uuid::Uuid;

use super::entity::visitor_key::{Column, Entity, Model};
use crate::domain::VisitorKey;

fn of_channel(account: AccountId, channel: Uuid) -> Select<Entity> {
    Entity::find().filter(Column::AccountId.eq(account)).filter(Column::ChannelId.eq(channel))
}

fn active(at: Time) -> Condition {
    Condition::any().add(Column::EndsAt.is_null()).add(Column::EndsAt.gt(at))
}

pub(crate) async fn find<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    channel: Uuid,
    number: i32,
) -> Result<Option<VisitorKey>, DbErr> {
    Ok(of_channel(account, channel).filter(Column::Number.eq(number)).one(conn).await?.map(VisitorKey::from))
}

/// The channel's newest key, active or not.
pub(crate) async fn find_newest<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    channel: Uuid,
) -> Result<Option<VisitorKey>, DbErr> {
    Ok(of_channel(account, channel).order_by_desc(Column::Number).one(conn).await?.map(VisitorKey::from))
}

/// The channel's keys that are active at this time, newest first, after the cursor (number of the last one before).
pub(crate) async fn list_active<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    channel: Uuid,
    at: Time,
    after: Option<i32>,
    limit: u64,
) -> Result<Vec<VisitorKey>, DbErr> {
    let mut query = of_channel(account, channel).filter(active(at));
    if let Some(number) = after {
        query = query.filter(Column::Number.lt(number));
    }
    let rows = query.order_by_desc(Column::Number).limit(limit).all(conn).await?;
    Ok(rows.into_iter().map(VisitorKey::from).collect())
}

pub(crate) async fn insert(tx: &Tx, key: &VisitorKey) -> Result<(), DbErr> {
    let row = Model::from(key.clone()).into_active_model().reset_all();
    Entity::insert(row).exec_without_returning(tx.conn()).await.map(drop)
}

/// Sets the end of the channel's keys that would be active then. Keys that end earlier are unchanged.
pub(crate) async fn end_active(tx: &Tx, account: AccountId, channel: Uuid, at: Time) -> Result<(), DbErr> {
    Entity::update_many()
        .filter(Column::AccountId.eq(account))
        .filter(Column::ChannelId.eq(channel))
        .filter(active(at))
        .col_expr(Column::EndsAt, Expr::value(at))
        .exec(tx.conn())
        .await
        .map(drop)
}
