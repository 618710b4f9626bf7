//! Routing policies.

use std::collections::BTreeSet;

use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect, sea_query::Expr,
};
use uuid::Uuid;

use super::entity::routing_policy::{Column, Entity, Model};
use crate::domain::RoutingPolicy;

/// Position in the list: the name and id of the last one of a page.
pub(crate) type Cursor = (String, Uuid);

/// Inserts a routing policy.
pub(crate) async fn insert(tx: &Tx, policy: &RoutingPolicy) -> Result<(), DbErr> {
    let row = Model::try_from(policy.clone())?.into_active_model();
    Entity::insert(row).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Updates a policy that was found with [`find_for_update`].
pub(crate) async fn save(tx: &Tx, policy: &RoutingPolicy) -> Result<(), DbErr> {
    Model::try_from(policy.clone())?.into_active_model().reset_all().update(tx.conn()).await?;
    Ok(())
}

/// Returns the policy, deleted or not.
pub(crate) async fn find<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    id: Uuid,
) -> Result<Option<RoutingPolicy>, DbErr> {
    Entity::find_by_id((account.0, id)).one(conn).await?.map(RoutingPolicy::try_from).transpose()
}

/// Returns the policy, deleted or not, locked until the transaction ends.
pub(crate) async fn find_for_update(tx: &Tx, account: AccountId, id: Uuid) -> Result<Option<RoutingPolicy>, DbErr> {
    let row = Entity::find_by_id((account.0, id)).lock_exclusive().one(tx.conn()).await?;
    row.map(RoutingPolicy::try_from).transpose()
}

/// Returns policies by name, one more than `size`, so that the caller knows whether there is a next page.
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    show_deleted: bool,
    after: Option<&Cursor>,
    size: u64,
) -> Result<Vec<RoutingPolicy>, DbErr> {
    let mut query = Entity::find().filter(Column::AccountId.eq(account));
    if !show_deleted {
        query = query.filter(Column::DeletedAt.is_null());
    }
    if let Some((name, id)) = after {
        // As a row: PostgreSQL starts the scan of the index there, which it does not for `>` or `=` and `>`.
        let position = Expr::tuple([Expr::col((Entity, Column::Name)), Expr::col((Entity, Column::Id))]);
        query = query.filter(position.gt(Expr::tuple([Expr::value(name.as_str()), Expr::value(*id)])));
    }
    let rows = query.order_by_asc(Column::Name).order_by_asc(Column::Id).limit(size + 1).all(conn).await?;
    rows.into_iter().map(RoutingPolicy::try_from).collect()
}

/// Returns those of these policies that the account has, deleted ones included.
pub(crate) async fn find_many<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    ids: BTreeSet<Uuid>,
) -> Result<Vec<RoutingPolicy>, DbErr> {
    let rows = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::Id.is_in(ids)).all(conn).await?;
    rows.into_iter().map(RoutingPolicy::try_from).collect()
}
