//! Tickets.

use std::collections::{BTreeSet, HashMap, HashSet};

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    Condition, DbErr, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect, Select, entity::prelude::*,
    sea_query::ExprTrait,
};
use uuid::Uuid;

use super::{
    contact_jobs, conversations,
    entity::ticket::{Column, Entity, Model},
    events, keyset,
};
use crate::domain::{ContactJob, Ticket, TicketStatus};

fn in_account(account: AccountId) -> Select<Entity> {
    Entity::find().filter(Column::AccountId.eq(account))
}

pub(crate) async fn find<C: ConnectionTrait>(conn: &C, account: AccountId, id: Uuid) -> Result<Option<Ticket>, DbErr> {
    Ok(in_account(account).filter(Column::Id.eq(id)).one(conn).await?.map(Ticket::from))
}

pub(crate) async fn find_for_update(tx: &Tx, account: AccountId, id: Uuid) -> Result<Option<Ticket>, DbErr> {
    Ok(in_account(account).filter(Column::Id.eq(id)).lock_exclusive().one(tx.conn()).await?.map(Ticket::from))
}

/// The subjects of these tickets of the accounts, by id.
pub(crate) async fn find_subjects<C: ConnectionTrait>(
    conn: &C,
    accounts: impl IntoIterator<Item = AccountId>,
    ids: BTreeSet<Uuid>,
) -> Result<HashMap<Uuid, String>, DbErr> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = Entity::find().select_only().columns([Column::Id, Column::Subject]);
    let rows = rows.filter(Column::Id.is_in(ids)).filter(Column::AccountId.is_in(accounts));
    Ok(rows.into_tuple::<(Uuid, String)>().all(conn).await?.into_iter().collect())
}

/// The tickets of the visitor's conversations that do not count for a contact yet, locked.
pub(crate) async fn list_unsettled_for_update(
    tx: &Tx,
    account: AccountId,
    visitor: &str,
) -> Result<Vec<Ticket>, DbErr> {
    let conversations = conversations::ids_of_visitor(account, visitor);
    let rows = in_account(account)
        .filter(Column::ConversationId.in_subquery(conversations))
        .filter(Column::OfContact.eq(false))
        .order_by_asc(Column::Id);
    Ok(rows.lock_exclusive().all(tx.conn()).await?.into_iter().map(Ticket::from).collect())
}

/// The contact's tickets, up to this many, locked.
pub(crate) async fn list_of_contact_for_update(
    tx: &Tx,
    account: AccountId,
    contact: Uuid,
    limit: u64,
) -> Result<Vec<Ticket>, DbErr> {
    let rows = in_account(account).filter(Column::ContactId.eq(contact)).order_by_asc(Column::Id).limit(limit);
    Ok(rows.lock_exclusive().all(tx.conn()).await?.into_iter().map(Ticket::from).collect())
}

/// A ticket with texts, of the contact of the job or of one of its conversations. None: there is none any more.
pub(crate) async fn find_to_erase(tx: &Tx, job: &ContactJob) -> Result<Option<Ticket>, DbErr> {
    let of_job = Condition::any()
        .add(Column::ContactId.eq(job.contact_id))
        .add(Column::ConversationId.in_subquery(contact_jobs::conversations_of(job)));
    let has_texts = Condition::any().add(Column::Subject.ne("")).add(Column::Url.ne(""));
    let rows = in_account(job.account).filter(of_job).filter(has_texts).order_by_asc(Column::Id);
    Ok(rows.one(tx.conn()).await?.map(Ticket::from))
}

/// Up to `limit` tickets of the contact and of its conversations after this id, in the order of their ids.
pub(crate) async fn list_to_export<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    contact: Uuid,
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<Ticket>, DbErr> {
    let of_contact = Condition::any()
        .add(Column::ContactId.eq(contact))
        .add(Column::ConversationId.in_subquery(conversations::ids_of_contact(account, contact)));
    let mut rows = in_account(account).filter(of_contact);
    if let Some(after) = after {
        rows = rows.filter(Column::Id.gt(after));
    }
    let rows = rows.order_by_asc(Column::Id).limit(limit).all(conn).await?;
    Ok(rows.into_iter().map(Ticket::from).collect())
}

/// Whether the contact has a ticket, open or closed.
pub(crate) async fn any_of_contact(tx: &Tx, account: AccountId, contact: Uuid) -> Result<bool, DbErr> {
    Ok(in_account(account).filter(Column::ContactId.eq(contact)).one(tx.conn()).await?.is_some())
}

/// Tickets that were created in one of the conversations, and open ones of the contacts.
pub(super) async fn list_of<C: ConnectionTrait>(
    conn: &C,
    conversations: impl Iterator<Item = (AccountId, Uuid)>,
    contacts: impl Iterator<Item = (AccountId, Uuid)>,
) -> Result<Vec<Ticket>, DbErr> {
    let (mut accounts, conversations): (HashSet<_>, HashSet<_>) = conversations.unzip();
    let (accounts_of_contacts, contacts): (HashSet<_>, HashSet<_>) = contacts.unzip();
    accounts.extend(accounts_of_contacts);
    let mut which = Condition::any().add(Column::ConversationId.is_in(conversations));
    if !contacts.is_empty() {
        which = which.add(Column::ContactId.is_in(contacts).and(Column::Status.eq(TicketStatus::Open)));
    }
    let rows = Entity::find().filter(Column::AccountId.is_in(accounts)).filter(which).all(conn).await?;
    Ok(rows.into_iter().map(Ticket::from).collect())
}

/// Tickets, newest first, after the cursor (time and id of the last one before).
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    contact: Option<Uuid>,
    conversation: Option<Uuid>,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<Ticket>, DbErr> {
    let mut query = in_account(account);
    if let Some(contact) = contact {
        query = query.filter(Column::ContactId.eq(contact));
    }
    if let Some(conversation) = conversation {
        query = query.filter(Column::ConversationId.eq(conversation));
    }
    if let Some((time, id)) = after {
        query = query.filter(keyset::before([Column::CreatedAt, Column::Id], (time, id)));
    }
    let rows = query.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).limit(limit).all(conn).await?;
    Ok(rows.into_iter().map(Ticket::from).collect())
}

/// Inserts a new ticket with its event.
pub(crate) async fn insert(tx: &mut Tx, ticket: &Ticket) -> Result<(), DbErr> {
    let row = Model::from(ticket.clone()).into_active_model().reset_all();
    Entity::insert(row).exec_without_returning(tx.conn()).await?;
    events::append_ticket_created(tx, ticket).await
}

/// Saves a changed ticket under its next version, with its event.
pub(crate) async fn save(tx: &mut Tx, ticket: &mut Ticket, now: Time) -> Result<(), DbErr> {
    ticket.version += 1;
    // A clock that went back moves no time back.
    ticket.updated_at = std::cmp::max(ticket.updated_at, now);
    let row = Model::from(ticket.clone()).into_active_model().reset_all();
    Entity::update(row).validate()?.filter(Column::AccountId.eq(ticket.account)).exec(tx.conn()).await?;
    events::append_ticket_updated(tx, ticket).await
}
