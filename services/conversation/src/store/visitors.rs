//! Visitors who are linked to a contact.

use std::collections::{BTreeSet, HashMap, HashSet};

use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    DbErr, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect, entity::prelude::*, sea_query::OnConflict,
};

use super::entity::visitor::{Column, Entity, Model};
use crate::domain::{Visitor, VisitorLink};

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
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = Entity::find().filter(Column::AccountId.is_in(accounts)).filter(Column::Id.is_in(ids)).all(conn).await?;
    Ok(rows.into_iter().map(|row| ((row.account_id, row.id.clone()), row.into())).collect())
}

/// The visitors whose own contact is one of these.
pub(crate) async fn list_of_own_contacts<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    contacts: &BTreeSet<Uuid>,
) -> Result<Vec<Visitor>, DbErr> {
    if contacts.is_empty() {
        return Ok(Vec::new());
    }
    let own = Entity::find()
        .filter(Column::AccountId.eq(account))
        .filter(Column::ContactId.is_in(contacts.iter().copied()))
        .filter(Column::Link.eq(VisitorLink::Verified));
    Ok(own.all(conn).await?.into_iter().map(Visitor::from).collect())
}

/// Ids of the visitors who are linked to the contact, up to this many.
pub(crate) async fn list_ids_of_contact(
    tx: &Tx,
    account: AccountId,
    contact: Uuid,
    limit: u64,
) -> Result<BTreeSet<String>, DbErr> {
    let linked = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::ContactId.eq(contact));
    let ids = linked.select_only().column(Column::Id).limit(limit).into_tuple::<String>().all(tx.conn()).await?;
    Ok(ids.into_iter().collect())
}

/// Up to `limit` visitors of the contact after this id, in the order of their ids.
pub(crate) async fn list_of_contact<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    contact: Uuid,
    after: Option<&str>,
    limit: u64,
) -> Result<Vec<Visitor>, DbErr> {
    let mut linked = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::ContactId.eq(contact));
    if let Some(after) = after {
        linked = linked.filter(Column::Id.gt(after));
    }
    let rows = linked.order_by_asc(Column::Id).limit(limit).all(conn).await?;
    Ok(rows.into_iter().map(Visitor::from).collect())
}

/// Links the visitors of one contact to another one, each as before.
pub(crate) async fn move_to_contact(tx: &Tx, account: AccountId, from: Uuid, to: Uuid) -> Result<(), DbErr> {
    Entity::update_many()
        .filter(Column::AccountId.eq(account))
        .filter(Column::ContactId.eq(from))
        .col_expr(Column::ContactId, Expr::value(to))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Whether a visitor is linked to the contact.
pub(crate) async fn any_of_contact(tx: &Tx, account: AccountId, contact: Uuid) -> Result<bool, DbErr> {
    let linked = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::ContactId.eq(contact));
    Ok(linked.one(tx.conn()).await?.is_some())
}

/// The contacts, of these, whose own visitors have different names.
pub(crate) async fn find_shared_contacts<C: ConnectionTrait>(
    conn: &C,
    contacts: impl Iterator<Item = (AccountId, Uuid)>,
) -> Result<HashSet<(AccountId, Uuid)>, DbErr> {
    let (accounts, ids): (HashSet<_>, HashSet<_>) = contacts.unzip();
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let names = Entity::find()
        .select_only()
        .columns([Column::AccountId, Column::ContactId, Column::Name])
        .distinct()
        .filter(Column::AccountId.is_in(accounts))
        .filter(Column::ContactId.is_in(ids))
        .filter(Column::Link.eq(VisitorLink::Verified))
        .filter(Column::Name.ne(""));
    let (mut named, mut shared) = (HashSet::new(), HashSet::new());
    for (account, contact, _) in names.into_tuple::<(AccountId, Uuid, String)>().all(conn).await? {
        if !named.insert((account, contact)) {
            shared.insert((account, contact));
        }
    }
    Ok(shared)
}

/// Deletes the visitor's link.
pub(crate) async fn delete(tx: &Tx, account: AccountId, id: &str) -> Result<(), DbErr> {
    let visitor = Entity::delete_many().filter(Column::AccountId.eq(account)).filter(Column::Id.eq(id));
    visitor.exec(tx.conn()).await.map(drop)
}

/// Deletes the links of these visitors to the contact.
pub(crate) async fn unlink(tx: &Tx, account: AccountId, contact: Uuid, ids: &BTreeSet<String>) -> Result<(), DbErr> {
    Entity::delete_many()
        .filter(Column::AccountId.eq(account))
        .filter(Column::ContactId.eq(contact))
        .filter(Column::Id.is_in(ids))
        .exec(tx.conn())
        .await
        .map(drop)
}

/// Inserts or updates the visitor's link.
pub(crate) async fn save(tx: &Tx, visitor: Visitor) -> Result<(), DbErr> {
    let known = OnConflict::columns([Column::AccountId, Column::Id])
        .update_columns([Column::ContactId, Column::Link, Column::Address, Column::Name])
        .to_owned();
    let row = Model::from(visitor).into_active_model().reset_all();
    Entity::insert(row).on_conflict(known).exec_without_returning(tx.conn()).await?;
    Ok(())
}
