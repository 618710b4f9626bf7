//! Decisions: one for each close (rule T3).

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect, entity::prelude::*,
    sea_query::OnConflict,
};

pub(crate) use super::entity::decision::Model as Decision;
use super::entity::decision::{Column, Entity};

/// Inserts the decision of a close. False: there is one already, which stays.
pub(crate) async fn insert_once(tx: &Tx, decision: &Decision) -> Result<bool, DbErr> {
    // The count of rows decides: it is right on both databases.
    let inserted = Entity::insert(decision.clone().into_active_model())
        .on_conflict(
            OnConflict::columns([Column::AccountId, Column::ConversationId, Column::CloseNumber])
                .do_nothing()
                .to_owned(),
        )
        .exec_without_returning(tx.conn())
        .await?;
    Ok(inserted == 1)
}

/// The decision of a close; of the last one that was decided, when no number is given.
pub(crate) async fn find<C: ConnectionTrait>(
    db: &C,
    account: AccountId,
    conversation: Uuid,
    close_number: Option<i32>,
) -> Result<Option<Decision>, DbErr> {
    let mut query = Entity::find()
        .filter(Column::AccountId.eq(account))
        .filter(Column::ConversationId.eq(conversation))
        .order_by_desc(Column::CloseNumber);
    if let Some(number) = close_number {
        query = query.filter(Column::CloseNumber.eq(number));
    }
    query.one(db).await
}

/// Newest first, after a cursor.
pub(crate) async fn list<C: ConnectionTrait>(
    db: &C,
    account: AccountId,
    conversation: Option<Uuid>,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<Decision>, DbErr> {
    let mut query = Entity::find().filter(Column::AccountId.eq(account));
    if let Some(conversation) = conversation {
        query = query.filter(Column::ConversationId.eq(conversation));
    }
    if let Some(last) = after {
        query = query.filter(super::after(Column::CreatedAt, Column::Id, last));
    }
    query.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).limit(limit).all(db).await
}
