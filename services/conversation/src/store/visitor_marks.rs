//! How far visitors have their chats, and the team has read them (rule C13).

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
        team_read: Set(0),
    };
    Entity::insert(row).on_conflict(known).exec_without_returning(tx.conn()).await.map(drop)
}

/// Visitor sequence up to which the team has read the conversation. 0: nothing.
pub(crate) async fn find_team_mark<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversation: Uuid,
) -> Result<i64, DbErr> {
    let row = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::ConversationId.eq(conversation));
    Ok(row.one(conn).await?.map(|row| row.team_read).unwrap_or_default())
}

/// Raises the team's mark to this visitor sequence. Returns whether it rose: a higher one stays.
pub(crate) async fn raise_team_mark(
    tx: &Tx,
    account: AccountId,
    conversation: Uuid,
    team_read: i64,
) -> Result<bool, DbErr> {
    let rises = Expr::col(("excluded", Column::TeamRead)).gt(Expr::col((Entity, Column::TeamRead)));
    let known =
        OnConflict::column(Column::ConversationId).update_column(Column::TeamRead).action_and_where(rises).to_owned();
    let row = ActiveModel {
        conversation_id: Set(conversation),
        account_id: Set(account),
        delivered: Set(0),
        read: Set(0),
        team_read: Set(team_read),
    };
    Ok(Entity::insert(row).on_conflict(known).exec_without_returning(tx.conn()).await? > 0)
}

/// The higher of the stored mark and the new one.
fn higher(column: Column) -> Expr {
    let (stored, new) = (Expr::col((Entity, column)), Expr::col(("excluded", column)));
    CaseStatement::new().case(new.clone().gt(stored.clone()), new).finally(stored).into()
}
