//! Keys for visitor tokens.

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{Condition, DbErr, EntityTrait, IntoActiveModel, QueryOrder, Select, entity::prelude::*};
use uuid::Uuid;

use super::entity::visitor_keys::{Column, Entity, Model};

fn of(account: AccountId, channel: Uuid) -> Select<Entity> {
    Entity::find().filter(Column::AccountId.eq(account)).filter(Column::ChannelId.eq(channel))
}

fn good(at: Time) -> Condition {
    Condition::any().add(Column::EndsAt.is_null()).add(Column::EndsAt.gt(at))
}

pub(crate) async fn find<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    channel: Uuid,
    number: i32,
) -> Result<Option<Model>, DbErr> {
    of(account, channel).filter(Column::Number.eq(number)).one(conn).await
}

/// The last one that was made, good or not.
pub(crate) async fn find_newest<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    channel: Uuid,
) -> Result<Option<Model>, DbErr> {
    of(account, channel).order_by_desc(Column::Number).one(conn).await
}

/// Those that are good, newest first.
pub(crate) async fn list_good<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    channel: Uuid,
    at: Time,
) -> Result<Vec<Model>, DbErr> {
    of(account, channel).filter(good(at)).order_by_desc(Column::Number).all(conn).await
}

pub(crate) async fn insert(tx: &Tx, key: &Model) -> Result<(), DbErr> {
    Entity::insert(key.clone().into_active_model().reset_all()).exec_without_returning(tx.conn()).await.map(drop)
}

/// Those that are good end then, unless they end before.
pub(crate) async fn end(tx: &Tx, account: AccountId, channel: Uuid, at: Time) -> Result<(), DbErr> {
    Entity::update_many()
        .filter(Column::AccountId.eq(account))
        .filter(Column::ChannelId.eq(channel))
        .filter(good(at))
        .col_expr(Column::EndsAt, Expr::value(at))
        .exec(tx.conn())
        .await
        .map(drop)
}
