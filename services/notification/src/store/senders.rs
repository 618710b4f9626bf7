//! Sender addresses.

use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect, Select,
    entity::prelude::*,
    sea_query::{ExprTrait, Func},
};

use super::entity::sender::{Column, Entity};
use crate::domain::Sender;

/// Inserts a new one.
pub(crate) async fn insert(tx: &Tx, sender: &Sender) -> Result<(), DbErr> {
    Entity::insert(sender.clone().into_active_model()).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Writes every column back.
pub(crate) async fn save(tx: &Tx, sender: &Sender) -> Result<(), DbErr> {
    let account = sender.account_id;
    let row = sender.clone().into_active_model().reset_all();
    Entity::update(row).validate()?.filter(Column::AccountId.eq(account)).exec(tx.conn()).await?;
    Ok(())
}

/// One sender that is not deleted.
pub(crate) async fn find<C: ConnectionTrait>(db: &C, account: AccountId, id: Uuid) -> Result<Option<Sender>, DbErr> {
    there(account).filter(Column::Id.eq(id)).one(db).await
}

/// One sender, locked, also a deleted one.
pub(crate) async fn find_for_update(tx: &Tx, account: AccountId, id: Uuid) -> Result<Option<Sender>, DbErr> {
    Entity::find_by_id(id).filter(Column::AccountId.eq(account)).lock_exclusive().one(tx.conn()).await
}

/// The sender with this address, locked.
pub(crate) async fn find_by_address_for_update(
    tx: &Tx,
    account: AccountId,
    address: &str,
) -> Result<Option<Sender>, DbErr> {
    let lower = Func::lower(Expr::col((Entity, Column::Address)));
    there(account).filter(Expr::expr(lower).eq(address.to_lowercase())).lock_exclusive().one(tx.conn()).await
}

/// The account's fallback.
pub(crate) async fn find_fallback<C: ConnectionTrait>(db: &C, account: AccountId) -> Result<Option<Sender>, DbErr> {
    there(account).filter(Column::Fallback.eq(true)).one(db).await
}

/// No sender of the account is its fallback any more.
pub(crate) async fn clear_fallback(tx: &Tx, account: AccountId) -> Result<(), DbErr> {
    Entity::update_many()
        .filter(Column::AccountId.eq(account))
        .filter(Column::Fallback.eq(true))
        .col_expr(Column::Fallback, Expr::value(false))
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// By address, at most 200.
pub(crate) async fn list<C: ConnectionTrait>(db: &C, account: AccountId) -> Result<Vec<Sender>, DbErr> {
    there(account).order_by_asc(Column::Address).limit(200).all(db).await
}

fn there(account: AccountId) -> Select<Entity> {
    Entity::find().filter(Column::AccountId.eq(account)).filter(Column::DeletedAt.is_null())
}
