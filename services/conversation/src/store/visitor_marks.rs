//! How far visitors have their chats (rule C13).

use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ActiveValue::Set,
    DbErr, EntityTrait,
    entity::prelude::*,
    sea_query::{CaseStatement, ExprTrait, OnConflict},
};
use uuid::Uuid;

use super::entity::visitor_mark::{ActiveModel, Column, Entity};
use crate::domain::VisitorMarks;

pub(crate) async fn find<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversation: Uuid,
) -> Result<VisitorMarks, DbErr> {
    let row = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::ConversationId.eq(conversation));
    let row = row.one(conn).await?;
    Ok(row.map(|row| VisitorMarks { delivered: row.delivered, read: row.read }).unwrap_or_default())
}

/// Raises the marks to these. Higher ones stay.
pub(crate) async fn raise(tx: &Tx, account: AccountId, conversation: Uuid, marks: VisitorMarks) -> Result<(), DbErr> {
    let known = OnConflict::column(Column::ConversationId)
        .values([Column::Delivered, Column::Read].map(|column| (column, higher(column))))
        .to_owned();
    let row = ActiveModel {
        conversation_id: Set(conversation),
        account_id: Set(account),
        delivered: Set(marks.delivered),
        read: Set(marks.read),
    };
    Entity::insert(row).on_conflict(known).exec_without_returning(tx.conn()).await.map(drop)
}

/// The higher of the stored mark and the new one.
fn higher(column: Column) -> Expr {
    let (stored, new) = (Expr::col((Entity, column)), Expr::col(("excluded", column)));
    CaseStatement::new().case(new.clone().gt(stored.clone()), new).finally(stored).into()
}
