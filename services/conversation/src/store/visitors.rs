//! Visitors who are linked to a contact.

use std::collections::{HashMap, HashSet};

use frontdesk_db::{AccountId, Tx};
use sea_orm::{DbErr, EntityTrait, IntoActiveModel, entity::prelude::*, sea_query::OnConflict};

use super::entity::visitor::{Column, Entity, Model};
use crate::domain::Visitor;

pub(crate) async fn find<C: ConnectionTrait>(conn: &C, account: AccountId, id: &str) -> Result<Option<Visitor>, DbErr> {
    let visitor = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::Id.eq(id)).one(conn).await?;
    Ok(visitor.map(Visitor::from))
}

/// Several visitors, by account and id.
pub(crate) async fn find_many<C: ConnectionTrait>(
    conn: &C,
    keys: impl Iterator<Item = (AccountId, &str)>,
) -> Result<HashMap<(AccountId, String), Visitor>, DbErr> {
    let (accounts, ids): (HashSet<_>, HashSet<_>) = keys.unzip();
    let rows = Entity::find().filter(Column::AccountId.is_in(accounts)).filter(Column::Id.is_in(ids)).all(conn).await?;
    Ok(rows.into_iter().map(|row| ((row.account_id, row.id.clone()), row.into())).collect())
}

/// Inserts or updates the visitor's link.
pub(crate) async fn save(tx: &Tx, visitor: Visitor) -> Result<(), DbErr> {
    let known = OnConflict::columns([Column::AccountId, Column::Id])
        .update_columns([Column::ContactId, Column::Link, Column::Address])
        .to_owned();
    let row = Model::from(visitor).into_active_model().reset_all();
    Entity::insert(row).on_conflict(known).exec_without_returning(tx.conn()).await?;
    Ok(())
}
