//! Contacts and their addresses.

use std::collections::{HashMap, HashSet};

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    Condition, DbErr, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect, Select,
    entity::prelude::*,
    sea_query::{ExprTrait, OnConflict},
};
use uuid::Uuid;

use super::{
    entity::{
        contact::{Column, Entity, Model},
        contact_email,
    },
    events,
};
use crate::domain::{Contact, ContactEmail, sort_emails};

fn in_account(account: AccountId) -> Select<Entity> {
    Entity::find().filter(Column::AccountId.eq(account))
}

pub(crate) async fn find<C: ConnectionTrait>(conn: &C, account: AccountId, id: Uuid) -> Result<Option<Contact>, DbErr> {
    let Some(row) = in_account(account).filter(Column::Id.eq(id)).one(conn).await? else { return Ok(None) };
    Ok(with_emails(conn, account, vec![row]).await?.pop())
}

pub(crate) async fn find_for_update(tx: &Tx, account: AccountId, id: Uuid) -> Result<Option<Contact>, DbErr> {
    let Some(row) = in_account(account).filter(Column::Id.eq(id)).lock_exclusive().one(tx.conn()).await? else {
        return Ok(None);
    };
    Ok(with_emails(tx.conn(), account, vec![row]).await?.pop())
}

/// The contact that has the address.
pub(crate) async fn find_id_by_email<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    address: &str,
) -> Result<Option<Uuid>, DbErr> {
    let row = contact_email::Entity::find()
        .filter(contact_email::Column::AccountId.eq(account))
        .filter(contact_email::Column::Address.eq(address));
    Ok(row.one(conn).await?.map(|row| row.contact_id))
}

/// Removes the address from the contacts that have it unverified, other than `keep_at`, for which an agent verifies it.
pub(crate) async fn remove_typed_email(tx: &Tx, account: AccountId, address: &str, keep_at: Uuid) -> Result<(), DbErr> {
    contact_email::Entity::delete_many()
        .filter(contact_email::Column::AccountId.eq(account))
        .filter(contact_email::Column::Address.eq(address))
        .filter(contact_email::Column::Verified.eq(false))
        .filter(contact_email::Column::ContactId.ne(keep_at))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Removes the address from the contact that has it.
pub(crate) async fn remove_email(tx: &Tx, account: AccountId, address: &str) -> Result<(), DbErr> {
    contact_email::Entity::delete_many()
        .filter(contact_email::Column::AccountId.eq(account))
        .filter(contact_email::Column::Address.eq(address))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Contacts, newest first, after the cursor (time and id of the last one before). `email`: only the contact that has it.
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    email: Option<String>,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<Contact>, DbErr> {
    let mut query = in_account(account);
    if let Some(email) = email {
        let Some(id) = find_id_by_email(conn, account, &email).await? else { return Ok(Vec::new()) };
        query = query.filter(Column::Id.eq(id));
    }
    if let Some((time, id)) = after {
        let earlier = Column::CreatedAt.lt(time);
        query = query.filter(Condition::any().add(earlier).add(Column::CreatedAt.eq(time).and(Column::Id.lt(id))));
    }
    let rows = query.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).limit(limit).all(conn).await?;
    with_emails(conn, account, rows).await
}

async fn with_emails<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    rows: Vec<Model>,
) -> Result<Vec<Contact>, DbErr> {
    let mut emails = find_emails(conn, rows.iter().map(|row| (account, row.id))).await?;
    let contacts = rows.into_iter().map(|row| {
        let emails = emails.remove(&(account, row.id)).unwrap_or_default();
        row.with_emails(emails)
    });
    Ok(contacts.collect())
}

/// Addresses of contacts, sorted: the one that mail goes to is the first.
pub(super) async fn find_emails<C: ConnectionTrait>(
    conn: &C,
    contacts: impl Iterator<Item = (AccountId, Uuid)>,
) -> Result<HashMap<(AccountId, Uuid), Vec<ContactEmail>>, DbErr> {
    let (accounts, contacts): (HashSet<_>, HashSet<_>) = contacts.unzip();
    let mut emails: HashMap<_, Vec<ContactEmail>> = HashMap::new();
    if contacts.is_empty() {
        return Ok(emails);
    }
    let rows = contact_email::Entity::find()
        .filter(contact_email::Column::AccountId.is_in(accounts))
        .filter(contact_email::Column::ContactId.is_in(contacts));
    for row in rows.all(conn).await? {
        emails.entry((row.account_id, row.contact_id)).or_default().push(row.into());
    }
    emails.values_mut().for_each(|emails| sort_emails(emails));
    Ok(emails)
}

/// Inserts a new contact with its event. False: another contact got one of its addresses first; roll back.
pub(crate) async fn insert(tx: &mut Tx, contact: &Contact) -> Result<bool, DbErr> {
    Entity::insert(Model::from(contact).into_active_model().reset_all()).exec_without_returning(tx.conn()).await?;
    events::append_contact_created(tx, contact).await?;
    save_emails(tx, contact).await
}

/// Saves a changed contact under its next version, with its event. False: another contact has one of its addresses; roll
/// back.
pub(crate) async fn save(tx: &mut Tx, contact: &mut Contact) -> Result<bool, DbErr> {
    contact.version += 1;
    let row = Model::from(&*contact).into_active_model().reset_all();
    Entity::update(row).validate()?.filter(Column::AccountId.eq(contact.account)).exec(tx.conn()).await?;
    events::append_contact_updated(tx, contact).await?;
    save_emails(tx, contact).await
}

async fn save_emails(tx: &Tx, contact: &Contact) -> Result<bool, DbErr> {
    for ContactEmail { address, verified, added_at } in &contact.emails {
        // An address that another contact has is left alone: the primary key decides, also between two at once.
        let own = OnConflict::columns([contact_email::Column::AccountId, contact_email::Column::Address])
            .update_columns([contact_email::Column::Verified, contact_email::Column::AddedAt])
            .action_and_where(Expr::col((contact_email::Entity, contact_email::Column::ContactId)).eq(contact.id))
            .to_owned();
        let row = contact_email::Model {
            account_id: contact.account,
            address: address.clone(),
            contact_id: contact.id,
            verified: *verified,
            added_at: *added_at,
        };
        let row = row.into_active_model().reset_all();
        if contact_email::Entity::insert(row).on_conflict(own).exec_without_returning(tx.conn()).await? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}
