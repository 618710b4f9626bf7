//! Contacts, their addresses, and which visitors they are.

use std::collections::{BTreeMap, HashMap, HashSet};

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use frontdesk_outbox::{Aggregate, append};
use frontdesk_proto::event::v1 as events;
use sea_orm::{
    Condition, DbErr, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect, Select,
    entity::prelude::*,
    sea_query::{ExprTrait, OnConflict},
};
use uuid::Uuid;

use super::{
    SOURCE,
    entity::{
        contact_emails,
        contacts::{Column, Entity, Model},
        visitors,
    },
};

/// A contact with their addresses, the one that mail goes to first.
#[derive(Clone, Debug)]
pub(crate) struct Contact {
    pub row: Model,
    pub emails: Vec<contact_emails::Model>,
}

impl Contact {
    pub(crate) fn new(id: Uuid, account: AccountId, now: Time) -> Self {
        let row = Model {
            id,
            account_id: account,
            name: String::new(),
            phone: String::new(),
            time_zone: String::new(),
            properties: "{}".into(),
            created_at: now,
            version: 1,
        };
        Self { row, emails: Vec::new() }
    }

    pub(crate) fn properties(&self) -> BTreeMap<String, String> {
        serde_json::from_str(&self.row.properties).unwrap_or_default()
    }

    pub(crate) fn set_property(&mut self, name: String, value: String) {
        let mut properties = self.properties();
        properties.insert(name, value);
        self.row.properties = serde_json::json!(properties).to_string();
    }

    /// The contact has the address. One that somebody vouches for goes before typed ones, a newer before an older.
    pub(crate) fn add_email(&mut self, address: String, verified: bool, now: Time) {
        let known = self.emails.iter().find(|email| email.address == address);
        let verified = verified || known.is_some_and(|email| email.verified);
        self.emails.retain(|email| email.address != address);
        let email = contact_emails::Model {
            account_id: self.row.account_id,
            address,
            contact_id: self.row.id,
            verified,
            added_at: now,
        };
        self.emails.push(email);
        sort(&mut self.emails);
    }
}

fn sort(emails: &mut [contact_emails::Model]) {
    emails.sort_by_key(|email| (!email.verified, std::cmp::Reverse(email.added_at)));
}

fn of(account: AccountId) -> Select<Entity> {
    Entity::find().filter(Column::AccountId.eq(account))
}

pub(crate) async fn find<C: ConnectionTrait>(conn: &C, account: AccountId, id: Uuid) -> Result<Option<Contact>, DbErr> {
    let Some(row) = of(account).filter(Column::Id.eq(id)).one(conn).await? else { return Ok(None) };
    Ok(with_emails(conn, account, vec![row]).await?.pop())
}

pub(crate) async fn find_for_update(tx: &Tx, account: AccountId, id: Uuid) -> Result<Option<Contact>, DbErr> {
    let Some(row) = of(account).filter(Column::Id.eq(id)).lock_exclusive().one(tx.conn()).await? else {
        return Ok(None);
    };
    Ok(with_emails(tx.conn(), account, vec![row]).await?.pop())
}

/// Whose the address is.
pub(crate) async fn id_by_email<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    address: &str,
) -> Result<Option<Uuid>, DbErr> {
    let row = contact_emails::Entity::find()
        .filter(contact_emails::Column::AccountId.eq(account))
        .filter(contact_emails::Column::Address.eq(address));
    Ok(row.one(conn).await?.map(|row| row.contact_id))
}

/// Who the visitor is.
pub(crate) async fn find_visitor<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    visitor: &str,
) -> Result<Option<visitors::Model>, DbErr> {
    let row = visitors::Entity::find()
        .filter(visitors::Column::AccountId.eq(account))
        .filter(visitors::Column::Id.eq(visitor));
    row.one(conn).await
}

/// Who these visitors are, by account and visitor.
pub(crate) async fn find_visitors<C: ConnectionTrait>(
    conn: &C,
    of: impl Iterator<Item = (AccountId, &str)>,
) -> Result<HashMap<(AccountId, String), visitors::Model>, DbErr> {
    let (accounts, ids): (HashSet<_>, HashSet<_>) = of.unzip();
    let rows = visitors::Entity::find()
        .filter(visitors::Column::AccountId.is_in(accounts))
        .filter(visitors::Column::Id.is_in(ids));
    Ok(rows.all(conn).await?.into_iter().map(|row| ((row.account_id, row.id.clone()), row)).collect())
}

/// The visitor is this contact from now on.
pub(crate) async fn save_visitor(tx: &Tx, visitor: visitors::Model) -> Result<(), DbErr> {
    let known = OnConflict::columns([visitors::Column::AccountId, visitors::Column::Id])
        .update_columns([visitors::Column::ContactId, visitors::Column::Link, visitors::Column::Address])
        .to_owned();
    let row = visitor.into_active_model().reset_all();
    visitors::Entity::insert(row).on_conflict(known).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// The address is no longer another contact's, if that one only typed it: an agent's word is worth more.
pub(crate) async fn take_typed_email(tx: &Tx, account: AccountId, address: &str, by: Uuid) -> Result<(), DbErr> {
    contact_emails::Entity::delete_many()
        .filter(contact_emails::Column::AccountId.eq(account))
        .filter(contact_emails::Column::Address.eq(address))
        .filter(contact_emails::Column::Verified.eq(false))
        .filter(contact_emails::Column::ContactId.ne(by))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// The address is no longer that contact's: somebody proved that it is theirs.
pub(crate) async fn take_email(tx: &Tx, account: AccountId, address: &str) -> Result<(), DbErr> {
    contact_emails::Entity::delete_many()
        .filter(contact_emails::Column::AccountId.eq(account))
        .filter(contact_emails::Column::Address.eq(address))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Contacts, newest first, after the cursor; only the one with the address, if one is given.
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    email: Option<String>,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<Contact>, DbErr> {
    let mut query = of(account);
    if let Some(email) = email {
        let Some(id) = id_by_email(conn, account, &email).await? else { return Ok(Vec::new()) };
        query = query.filter(Column::Id.eq(id));
    }
    if let Some((time, id)) = after {
        let later = Column::CreatedAt.lt(time);
        query = query.filter(Condition::any().add(later).add(Column::CreatedAt.eq(time).and(Column::Id.lt(id))));
    }
    let rows = query.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).limit(limit).all(conn).await?;
    with_emails(conn, account, rows).await
}

async fn with_emails<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    rows: Vec<Model>,
) -> Result<Vec<Contact>, DbErr> {
    let mut emails = emails_of_each(conn, rows.iter().map(|row| (account, row.id))).await?;
    let contacts = rows.into_iter().map(|row| {
        let emails = emails.remove(&(account, row.id)).unwrap_or_default();
        Contact { row, emails }
    });
    Ok(contacts.collect())
}

/// The addresses of contacts, the one that mail goes to first.
pub(super) async fn emails_of_each<C: ConnectionTrait>(
    conn: &C,
    of: impl Iterator<Item = (AccountId, Uuid)>,
) -> Result<HashMap<(AccountId, Uuid), Vec<contact_emails::Model>>, DbErr> {
    let (accounts, contacts): (HashSet<_>, HashSet<_>) = of.unzip();
    let mut emails: HashMap<_, Vec<contact_emails::Model>> = HashMap::new();
    if contacts.is_empty() {
        return Ok(emails);
    }
    let rows = contact_emails::Entity::find()
        .filter(contact_emails::Column::AccountId.is_in(accounts))
        .filter(contact_emails::Column::ContactId.is_in(contacts));
    for email in rows.all(conn).await? {
        emails.entry((email.account_id, email.contact_id)).or_default().push(email);
    }
    emails.values_mut().for_each(|emails| sort(emails));
    Ok(emails)
}

/// Writes a new contact. False: another contact got one of its addresses first, and nothing is worth keeping.
pub(crate) async fn insert(tx: &mut Tx, contact: &Contact) -> Result<bool, DbErr> {
    Entity::insert(contact.row.clone().into_active_model().reset_all()).exec_without_returning(tx.conn()).await?;
    let event = events::ContactCreated { contact_id: contact.row.id.to_string() };
    append(tx, aggregate(contact), &event).await?;
    write_emails(tx, contact).await
}

/// Writes a changed contact under its next version. False: another contact has one of its addresses.
pub(crate) async fn save(tx: &mut Tx, contact: &mut Contact) -> Result<bool, DbErr> {
    contact.row.version += 1;
    let row = contact.row.clone().into_active_model().reset_all();
    Entity::update(row).validate()?.filter(Column::AccountId.eq(contact.row.account_id)).exec(tx.conn()).await?;
    append(tx, aggregate(contact), &events::ContactUpdated { contact_id: contact.row.id.to_string() }).await?;
    write_emails(tx, contact).await
}

async fn write_emails(tx: &Tx, contact: &Contact) -> Result<bool, DbErr> {
    for email in &contact.emails {
        // An address that another contact has is left alone: the primary key decides, also between two at once.
        let ours = OnConflict::columns([contact_emails::Column::AccountId, contact_emails::Column::Address])
            .update_columns([contact_emails::Column::Verified, contact_emails::Column::AddedAt])
            .action_and_where(Expr::col((contact_emails::Entity, contact_emails::Column::ContactId)).eq(contact.row.id))
            .to_owned();
        let row = email.clone().into_active_model().reset_all();
        if contact_emails::Entity::insert(row).on_conflict(ours).exec_without_returning(tx.conn()).await? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

fn aggregate(contact: &Contact) -> Aggregate {
    let row = &contact.row;
    Aggregate { source: SOURCE, account: row.account_id, kind: "contact", id: row.id, version: row.version }
}
