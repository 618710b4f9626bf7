//! Bytes that attachments use. Those of an account are a number in a row of its own, which each transaction that changes them locks: it is
//! right also when many files are created at once, and no creation reads all files of the account.

use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ActiveValue::Set,
    DbErr, EntityTrait, QuerySelect,
    entity::prelude::*,
    sea_query::{ExprTrait, OnConflict},
};
use uuid::Uuid;

use super::entity::{
    attachment,
    attachment_storage::{ActiveModel, Column, Entity},
};
use crate::domain::{ActorKind, AttachmentStatus};

/// Adds these bytes to those of the account, and returns how many it uses then. The row is locked until the transaction ends.
pub(crate) async fn reserve(tx: &Tx, account: AccountId, bytes: i64) -> Result<i64, DbErr> {
    let sum = Expr::col((Entity, Column::UsedBytes)).add(Expr::col(("excluded", Column::UsedBytes)));
    let known = OnConflict::column(Column::AccountId).value(Column::UsedBytes, sum).to_owned();
    let row = ActiveModel { account_id: Set(account), used_bytes: Set(bytes) };
    Entity::insert(row).on_conflict(known).exec_without_returning(tx.conn()).await?;
    let row = Entity::find().filter(Column::AccountId.eq(account)).one(tx.conn()).await?;
    Ok(row.map_or(bytes, |row| row.used_bytes))
}

/// Takes these bytes away from those of the account.
pub(crate) async fn release(tx: &Tx, account: AccountId, bytes: i64) -> Result<(), DbErr> {
    if bytes == 0 {
        return Ok(());
    }
    Entity::update_many()
        .filter(Column::AccountId.eq(account))
        .col_expr(Column::UsedBytes, Expr::col(Column::UsedBytes).sub(bytes))
        .exec(tx.conn())
        .await
        .map(drop)
}

/// Bytes of what the visitor uploaded for the conversation, or announced, sent or not.
pub(crate) async fn sum_of_visitor(tx: &Tx, account: AccountId, conversation: Uuid) -> Result<i64, DbErr> {
    // PostgreSQL adds up to a number without a limit.
    let sum = Expr::col(attachment::Column::Size).sum().cast_as("BIGINT");
    let sum = attachment::Entity::find()
        .filter(attachment::Column::AccountId.eq(account))
        .filter(attachment::Column::ConversationId.eq(conversation))
        .filter(attachment::Column::UploaderKind.eq(ActorKind::Visitor))
        .filter(attachment::Column::Status.is_in([AttachmentStatus::Pending, AttachmentStatus::Ready]))
        .select_only()
        .expr_as(sum, "sum")
        .into_tuple::<Option<i64>>()
        .one(tx.conn())
        .await?;
    Ok(sum.flatten().unwrap_or_default())
}
