//! The local copy of routing policies.

use std::collections::HashSet;

use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    DbErr, EntityTrait, IntoActiveModel, QuerySelect,
    entity::prelude::*,
    sea_query::{ExprTrait, OnConflict},
};
use uuid::Uuid;

use super::entity::routing_policy::{Column, Entity, Model};
use crate::domain::RoutingPolicy;

/// Those of these policies that were deleted.
pub(crate) async fn list_deleted<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    ids: HashSet<Uuid>,
) -> Result<HashSet<Uuid>, DbErr> {
    let deleted = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::AccountId.eq(account))
        .filter(Column::Id.is_in(ids))
        .filter(Column::Deleted.eq(true));
    let ids: Vec<Uuid> = deleted.into_tuple().all(conn).await?;
    Ok(ids.into_iter().collect())
}

/// Writes the policy, unless the copy is newer. A version has another state again after the policies were restored to an older point
/// in time: the later write holds.
pub(crate) async fn save(tx: &Tx, policy: RoutingPolicy) -> Result<(), DbErr> {
    let row = Model::from(policy);
    let newer = OnConflict::columns([Column::AccountId, Column::Id])
        .update_columns([Column::Deleted, Column::Version])
        .action_and_where(Expr::col((Entity, Column::Version)).lte(row.version))
        .to_owned();
    Entity::insert(row.into_active_model().reset_all()).on_conflict(newer).exec_without_returning(tx.conn()).await?;
    Ok(())
}
