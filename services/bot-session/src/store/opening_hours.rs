//! The local copy of opening hours.

use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    DbErr, EntityTrait, IntoActiveModel,
    entity::prelude::*,
    sea_query::{ExprTrait, OnConflict},
};
use uuid::Uuid;

use super::entity::opening_hours::{Column, Entity, Model};
use crate::domain::OpeningHours;

pub(crate) async fn find<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    id: Uuid,
) -> Result<Option<OpeningHours>, DbErr> {
    let hours = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::Id.eq(id)).one(conn).await?;
    hours.map(OpeningHours::try_from).transpose()
}

/// Writes the opening hours, unless the copy is newer. A version has another state again after they were restored to an older point in
/// time: the later write holds.
pub(crate) async fn save(tx: &Tx, hours: OpeningHours) -> Result<(), DbErr> {
    let row = Model::try_from(hours)?;
    let newer = OnConflict::columns([Column::AccountId, Column::Id])
        .update_columns([Column::Schedule, Column::Deleted, Column::Version])
        .action_and_where(Expr::col((Entity, Column::Version)).lte(row.version))
        .to_owned();
    Entity::insert(row.into_active_model().reset_all()).on_conflict(newer).exec_without_returning(tx.conn()).await?;
    Ok(())
}
