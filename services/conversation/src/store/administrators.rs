//! Administrators who act in conversations.

use std::collections::{BTreeSet, HashMap};

use frontdesk_db::{AccountId, Tx};
use sea_orm::{DbErr, EntityTrait, IntoActiveModel, entity::prelude::*, sea_query::OnConflict};

use super::entity::administrator::{Column, Entity, Model};
use crate::domain::Administrator;

/// Those of these administrators who are known, by subject.
pub(crate) async fn find_many<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    subjects: BTreeSet<&str>,
) -> Result<HashMap<String, Administrator>, DbErr> {
    if subjects.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::Subject.is_in(subjects));
    Ok(rows.all(conn).await?.into_iter().map(|row| (row.subject.clone(), row.into())).collect())
}

/// Inserts the administrator. One who is known keeps their `author_id`, and gets the name unless it is empty.
pub(crate) async fn save(tx: &Tx, administrator: Administrator) -> Result<(), DbErr> {
    let mut known = OnConflict::columns([Column::AccountId, Column::Subject]);
    match administrator.name.is_empty() {
        true => known.do_nothing(),
        false => known.update_columns([Column::Name]),
    };
    let row = Model::from(administrator).into_active_model().reset_all();
    Entity::insert(row).on_conflict(known).exec_without_returning(tx.conn()).await.map(drop)
}
