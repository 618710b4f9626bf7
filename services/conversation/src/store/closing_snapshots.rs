//! Closing snapshots: what is stored at each close (table `closes`).

use frontdesk_db::{AccountId, Tx};
use sea_orm::{DbErr, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect, entity::prelude::*};
use uuid::Uuid;

use super::{
    conversations,
    entity::closing_snapshot::{Column, Entity, Model},
};
use crate::domain::ClosingSnapshot;

pub(crate) async fn find<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversation: Uuid,
    close_number: i32,
) -> Result<Option<ClosingSnapshot>, DbErr> {
    let close = Entity::find()
        .filter(Column::AccountId.eq(account))
        .filter(Column::ConversationId.eq(conversation))
        .filter(Column::CloseNumber.eq(close_number));
    Ok(close.one(conn).await?.map(ClosingSnapshot::from))
}

/// Up to `limit` closes of the conversation after this number, oldest first.
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversation: Uuid,
    after: i32,
    limit: u64,
) -> Result<Vec<ClosingSnapshot>, DbErr> {
    let rows = Entity::find()
        .filter(Column::AccountId.eq(account))
        .filter(Column::ConversationId.eq(conversation))
        .filter(Column::CloseNumber.gt(after));
    let rows = rows.order_by_asc(Column::CloseNumber).limit(limit).all(conn).await?;
    Ok(rows.into_iter().map(ClosingSnapshot::from).collect())
}

/// Whether a close of one of the visitor's conversations names the contact: mail of it may still be sent.
pub(crate) async fn any_of_contact(tx: &Tx, account: AccountId, visitor: &str, contact: Uuid) -> Result<bool, DbErr> {
    let conversations = conversations::ids_of_visitor(account, visitor);
    let closes = Entity::find()
        .filter(Column::AccountId.eq(account))
        .filter(Column::ConversationId.in_subquery(conversations))
        .filter(Column::ContactId.eq(contact));
    Ok(closes.one(tx.conn()).await?.is_some())
}

/// Erases the addresses that closes of the conversation stored (rule X2).
pub(crate) async fn erase(tx: &Tx, account: AccountId, conversation: Uuid) -> Result<(), DbErr> {
    Entity::update_many()
        .filter(Column::AccountId.eq(account))
        .filter(Column::ConversationId.eq(conversation))
        .col_expr(Column::Recipient, Expr::value(None::<String>))
        .exec(tx.conn())
        .await
        .map(drop)
}

/// Inserts the snapshots of closes, in their transaction.
pub(super) async fn insert(tx: &Tx, snapshots: Vec<ClosingSnapshot>) -> Result<(), DbErr> {
    if snapshots.is_empty() {
        return Ok(());
    }
    let rows = snapshots.into_iter().map(|snapshot| Model::from(snapshot).into_active_model().reset_all());
    Entity::insert_many(rows).exec_without_returning(tx.conn()).await?;
    Ok(())
}
