//! Contacts and their addresses. The id of a contact that was merged finds the contact that is left (rule X2a): what looks for one
//! contact does so here, and what filters by contacts asks [`merged_contacts`] first.

use std::collections::{BTreeSet, HashMap, HashSet};

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx, violated_unique_index};
use sea_orm::{
    DbErr, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect, Select,
    entity::prelude::*,
    sea_query::{ExprTrait, OnConflict},
};
use uuid::Uuid;

use super::{
    entity::{
        contact::{Column, Entity, Model},
        contact_email,
    },
    events, keyset, merged_contacts, search_words,
};
use crate::domain::{Contact, ContactEmail, MergedContact, Taken};

fn in_account(account: AccountId) -> Select<Entity> {
    Entity::find().filter(Column::AccountId.eq(account))
}

/// The contact with this id, or the one that the contact with this id was merged into.
pub(crate) async fn find<C: ConnectionTrait>(conn: &C, account: AccountId, id: Uuid) -> Result<Option<Contact>, DbErr> {
    find_by(conn, account, id, |rows| rows).await
}

/// The same, locked until the transaction ends.
pub(crate) async fn find_for_update(tx: &Tx, account: AccountId, id: Uuid) -> Result<Option<Contact>, DbErr> {
    find_by(tx.conn(), account, id, QuerySelect::lock_exclusive).await
}

async fn find_by<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    mut id: Uuid,
    select: impl Fn(Select<Entity>) -> Select<Entity>,
) -> Result<Option<Contact>, DbErr> {
    loop {
        if let Some(row) = select(in_account(account).filter(Column::Id.eq(id))).one(conn).await? {
            return Ok(with_emails(conn, account, vec![row]).await?.pop());
        }
        // The contact that is left may be merged between the two reads. Each merge leads on, so this ends.
        match merged_contacts::find(conn, account, id).await? {
            Some(merged) => id = merged.target_id,
            None => return Ok(None),
        }
    }
}

/// The id of the contact that this id names. An unknown one names itself.
pub(crate) async fn resolve<C: ConnectionTrait>(conn: &C, account: AccountId, id: Uuid) -> Result<Uuid, DbErr> {
    Ok(merged_contacts::find(conn, account, id).await?.map_or(id, |merged| merged.target_id))
}

/// The contact that has the address.
pub(crate) async fn find_id_by_email<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    address: &str,
) -> Result<Option<Uuid>, DbErr> {
    Ok(find_ids_by_emails(conn, account, &[address.to_owned()]).await?.pop_first())
}

/// A contact that has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AddressOwner {
    pub(crate) contact_id: Uuid,
    pub(crate) verified: bool,
}

/// The contacts that have the addresses, one for each address that a contact has.
pub(crate) async fn find_owners<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    addresses: &[String],
) -> Result<Vec<AddressOwner>, DbErr> {
    let rows = contact_email::Entity::find()
        .filter(contact_email::Column::AccountId.eq(account))
        .filter(contact_email::Column::Address.is_in(addresses));
    let owner = |row: contact_email::Model| AddressOwner { contact_id: row.contact_id, verified: row.verified };
    Ok(rows.all(conn).await?.into_iter().map(owner).collect())
}

/// Locks contacts, in the order of their ids.
pub(crate) async fn lock(tx: &Tx, account: AccountId, ids: &BTreeSet<Uuid>) -> Result<(), DbErr> {
    if !ids.is_empty() {
        let rows = in_account(account).filter(Column::Id.is_in(ids.iter().copied()));
        rows.order_by_asc(Column::Id).lock_exclusive().all(tx.conn()).await?;
    }
    Ok(())
}

/// The contacts that have one of the addresses.
pub(crate) async fn find_ids_by_emails<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    addresses: &[String],
) -> Result<BTreeSet<Uuid>, DbErr> {
    let rows = contact_email::Entity::find()
        .filter(contact_email::Column::AccountId.eq(account))
        .filter(contact_email::Column::Address.is_in(addresses));
    Ok(rows.all(conn).await?.into_iter().map(|row| row.contact_id).collect())
}

/// Which contacts a list holds. Empty: all.
#[derive(Debug, Default)]
pub(crate) struct ContactFilter {
    /// Only the contact that has this address.
    pub(crate) email: Option<String>,
    /// Only the contact that has this external id. Empty: all.
    pub(crate) external_id: String,
}

/// Contacts, newest first, after the cursor (time and id of the last one before).
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    filter: &ContactFilter,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<Contact>, DbErr> {
    let Some(mut query) = filtered(conn, account, filter).await? else { return Ok(Vec::new()) };
    if let Some((time, id)) = after {
        query = query.filter(keyset::before([Column::CreatedAt, Column::Id], (time, id)));
    }
    let rows = query.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).limit(limit).all(conn).await?;
    with_emails(conn, account, rows).await
}

/// The contact that the external id finds: its own one, or one of a contact that was merged into it.
pub(crate) async fn find_id_by_external_id<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    external_id: &str,
) -> Result<Option<Uuid>, DbErr> {
    // In this order: a merge moves external ids from contacts to merged ones.
    match in_account(account).filter(Column::ExternalId.eq(external_id)).one(conn).await? {
        Some(row) => Ok(Some(row.id)),
        None => merged_contacts::find_target_by_external_id(conn, account, external_id).await,
    }
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

/// Addresses of contacts, in their order: mail goes to the first.
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
        .filter(contact_email::Column::ContactId.is_in(contacts))
        .order_by_asc(contact_email::Column::Position)
        // An older binary stores every address in place 0.
        .order_by_desc(contact_email::Column::Verified)
        .order_by_desc(contact_email::Column::AddedAt);
    for row in rows.all(conn).await? {
        emails.entry((row.account_id, row.contact_id)).or_default().push(row.into());
    }
    Ok(emails)
}

/// Those of these contacts that match the filter, the newest first by id.
pub(crate) async fn list_of_ids<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    filter: &ContactFilter,
    ids: Vec<Uuid>,
) -> Result<Vec<Contact>, DbErr> {
    let Some(query) = filtered(conn, account, filter).await? else { return Ok(Vec::new()) };
    let rows = query.filter(Column::Id.is_in(ids)).order_by_desc(Column::Id).all(conn).await?;
    with_emails(conn, account, rows).await
}

/// The contacts that match the filter. None: there are none.
async fn filtered<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    filter: &ContactFilter,
) -> Result<Option<Select<Entity>>, DbErr> {
    let mut query = in_account(account);
    if let Some(email) = &filter.email {
        let Some(id) = find_id_by_email(conn, account, email).await? else { return Ok(None) };
        query = query.filter(Column::Id.eq(id));
    }
    if !filter.external_id.is_empty() {
        let Some(id) = find_id_by_external_id(conn, account, &filter.external_id).await? else { return Ok(None) };
        query = query.filter(Column::Id.eq(id));
    }
    Ok(Some(query))
}

/// Inserts a new contact with its event. Some: another contact has one of its values; roll back.
pub(crate) async fn insert(tx: &mut Tx, contact: &Contact) -> Result<Option<Taken>, DbErr> {
    if let Some(taken) = take_external_id(tx, contact).await? {
        return Ok(Some(taken));
    }
    Entity::insert(Model::from(contact).into_active_model().reset_all()).exec_without_returning(tx.conn()).await?;
    events::append_contact_created(tx, contact).await?;
    save_emails_and_words(tx, contact).await
}

/// Saves a changed contact under its next version, with its event. Some: another contact has one of its values; roll back.
pub(crate) async fn save(tx: &mut Tx, contact: &mut Contact, now: Time) -> Result<Option<Taken>, DbErr> {
    if let Some(taken) = take_external_id(tx, contact).await? {
        return Ok(Some(taken));
    }
    contact.version += 1;
    // A clock that went back moves no time back.
    contact.updated_at = std::cmp::max(contact.updated_at, now);
    let row = Model::from(&*contact).into_active_model().reset_all();
    Entity::update(row).validate()?.filter(Column::AccountId.eq(contact.account)).exec(tx.conn()).await?;
    events::append_contact_updated(tx, contact).await?;
    save_emails_and_words(tx, contact).await
}

/// The team uses the contact: it is not removed as one that only answers made. This is not a change of what it shows.
pub(crate) async fn keep(tx: &Tx, account: AccountId, id: Uuid) -> Result<(), DbErr> {
    Entity::update_many()
        .filter(Column::AccountId.eq(account))
        .filter(Column::Id.eq(id))
        .filter(Column::MadeByVisitor.eq(true))
        .col_expr(Column::MadeByVisitor, Expr::value(false))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Removes a contact without addresses, with its event.
pub(crate) async fn delete(tx: &mut Tx, contact: &mut Contact) -> Result<(), DbErr> {
    contact.version += 1;
    search_words::delete_of_contact(tx, contact).await?;
    let row = Entity::delete_many().filter(Column::AccountId.eq(contact.account)).filter(Column::Id.eq(contact.id));
    row.exec(tx.conn()).await?;
    events::append_contact_deleted(tx, contact).await
}

/// Removes a contact whose erasure begins, with its addresses and its last event. Nothing can be linked to it any more (rule X2).
pub(crate) async fn erase(tx: &mut Tx, contact: &mut Contact) -> Result<(), DbErr> {
    delete_emails(tx, contact).await?;
    merged_contacts::erase_values(tx, contact.account, contact.id).await?;
    delete(tx, contact).await
}

async fn delete_emails(tx: &Tx, contact: &Contact) -> Result<(), DbErr> {
    contact_email::Entity::delete_many()
        .filter(contact_email::Column::AccountId.eq(contact.account))
        .filter(contact_email::Column::ContactId.eq(contact.id))
        .exec(tx.conn())
        .await
        .map(drop)
}

/// Removes a contact that is merged, with its addresses and its last event. The contact that is left is saved afterwards, with its
/// addresses.
pub(crate) async fn merge(tx: &mut Tx, mut source: Contact, merged: &MergedContact) -> Result<(), DbErr> {
    source.version += 1;
    search_words::delete_of_contact(tx, &source).await?;
    delete_emails(tx, &source).await?;
    let row = Entity::delete_many().filter(Column::AccountId.eq(source.account)).filter(Column::Id.eq(source.id));
    row.exec(tx.conn()).await?;
    merged_contacts::insert(tx, merged).await?;
    events::append_contact_merged(tx, &source, merged.target_id).await
}

/// Whether [`insert`] or [`save`] failed because another transaction stored the external id at the same time: the next attempt
/// finds the contact that has it.
pub(crate) fn is_external_id_raced(error: &DbErr) -> bool {
    violated_unique_index(error).as_deref() == Some("contacts_external_id")
}

/// Some: another contact has the external id. One of a contact that was merged into this one becomes this one's own.
async fn take_external_id(tx: &Tx, contact: &Contact) -> Result<Option<Taken>, DbErr> {
    let (account, external_id) = (contact.account, contact.external_id.as_str());
    if external_id.is_empty() {
        return Ok(None);
    }
    match find_id_by_external_id(tx.conn(), account, external_id).await? {
        Some(owner) if owner != contact.id => Ok(Some(Taken::ExternalId(owner))),
        _ => merged_contacts::release_external_id(tx, account, external_id).await.map(|()| None),
    }
}

/// Up to `limit` contacts of any account whose words are not those of their version: an older binary wrote them.
pub(crate) async fn list_without_words<C: ConnectionTrait>(
    conn: &C,
    limit: u64,
) -> Result<Vec<(AccountId, Uuid)>, DbErr> {
    let outdated = Expr::col(Column::SearchVersion).lt(Expr::col(Column::Version));
    let rows = Entity::find().select_only().columns([Column::AccountId, Column::Id]).filter(outdated);
    rows.order_by_asc(Column::Id).limit(limit).into_tuple().all(conn).await
}

/// Stores the words of the contact, if it is there. This is not a change of what it shows.
pub(crate) async fn index(tx: &Tx, account: AccountId, id: Uuid) -> Result<(), DbErr> {
    let Some(contact) = find_for_update(tx, account, id).await? else { return Ok(()) };
    search_words::replace_of_contact(tx, &contact).await?;
    Entity::update_many()
        .filter(Column::AccountId.eq(account))
        .filter(Column::Id.eq(id))
        .col_expr(Column::SearchVersion, Expr::value(contact.version))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Some: another contact has an address.
async fn save_emails_and_words(tx: &Tx, contact: &Contact) -> Result<Option<Taken>, DbErr> {
    if let Some(taken) = save_emails(tx, contact).await? {
        return Ok(Some(taken));
    }
    search_words::replace_of_contact(tx, contact).await?;
    Ok(None)
}

/// Replaces the addresses of the contact, if they changed.
async fn save_emails(tx: &Tx, contact: &Contact) -> Result<Option<Taken>, DbErr> {
    let key = (contact.account, contact.id);
    let before = find_emails(tx.conn(), std::iter::once(key)).await?.remove(&key).unwrap_or_default();
    if before == contact.emails {
        return Ok(None);
    }
    contact_email::Entity::delete_many()
        .filter(contact_email::Column::AccountId.eq(contact.account))
        .filter(contact_email::Column::ContactId.eq(contact.id))
        .filter(contact_email::Column::Address.is_not_in(contact.emails.iter().map(|email| &email.address)))
        .exec(tx.conn())
        .await?;
    let mut places: Vec<_> = (0..).zip(&contact.emails).collect();
    // In one order everywhere: two transactions with the same addresses do not deadlock.
    places.sort_by_key(|(_, email)| &email.address);
    for (position, email) in places {
        while !save_email(tx, contact, position, email).await? {
            // None: the other contact lost the address meanwhile.
            if let Some(owner) = find_id_by_email(tx.conn(), contact.account, &email.address).await? {
                return Ok(Some(Taken::Email(owner)));
            }
        }
    }
    Ok(None)
}

/// False: another contact has the address. The primary key decides, also between two at once.
async fn save_email(tx: &Tx, contact: &Contact, position: i32, email: &ContactEmail) -> Result<bool, DbErr> {
    let own = OnConflict::columns([contact_email::Column::AccountId, contact_email::Column::Address])
        .update_columns([
            contact_email::Column::Verified,
            contact_email::Column::AddedAt,
            contact_email::Column::Position,
        ])
        .action_and_where(Expr::col((contact_email::Entity, contact_email::Column::ContactId)).eq(contact.id))
        .to_owned();
    let row = contact_email::Model {
        account_id: contact.account,
        address: email.address.clone(),
        contact_id: contact.id,
        verified: email.verified,
        added_at: email.added_at,
        position,
    };
    let row = row.into_active_model().reset_all();
    Ok(contact_email::Entity::insert(row).on_conflict(own).exec_without_returning(tx.conn()).await? == 1)
}
