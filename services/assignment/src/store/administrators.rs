//! The names of administrators who change owners.

use std::collections::{BTreeMap, BTreeSet};

use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, IntoActiveModel, QueryFilter,
    sea_query::{Expr, OnConflict},
};

use super::entity::administrator::{Column, Entity, Model};

/// Stores the name of an administrator in place of the one before.
pub(crate) async fn save(tx: &Tx, account: AccountId, subject: &str, name: &str) -> Result<(), DbErr> {
    let newer = OnConflict::columns([Column::AccountId, Column::Subject])
        .update_column(Column::Name)
        .action_and_where(Expr::col((Entity, Column::Name)).ne(name))
        .to_owned();
    let row = Model { account_id: account.0, subject: subject.to_owned(), name: name.to_owned() };
    Entity::insert(row.into_active_model()).on_conflict(newer).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Returns the names of those of these administrators who have one, by subject.
pub(crate) async fn list_names<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    subjects: BTreeSet<String>,
) -> Result<BTreeMap<String, String>, DbErr> {
    if subjects.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::Subject.is_in(subjects));
    Ok(rows.all(conn).await?.into_iter().map(|row| (row.subject, row.name)).collect())
}
