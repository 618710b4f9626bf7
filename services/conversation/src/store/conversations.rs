//! Conversations: the arbiter rows, written together with their entries and events.

use std::collections::BTreeSet;

use frontdesk_bus::ChangeNotifier;
use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    Condition, DbErr, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect, QueryTrait, Select, entity::prelude::*,
    sea_query::SelectStatement,
};
use uuid::Uuid;

use super::{
    NewRows,
    entity::conversation::{Column, Entity, Model},
    keyset,
};
use crate::domain::{Conversation, Status};

fn in_account(account: AccountId) -> Select<Entity> {
    Entity::find().filter(Column::AccountId.eq(account))
}

/// A subquery: the ids of the visitor's conversations.
pub(super) fn ids_of_visitor(account: AccountId, visitor: &str) -> SelectStatement {
    in_account(account).filter(Column::VisitorId.eq(visitor)).select_only().column(Column::Id).into_query()
}

/// A subquery: the ids of the contact's conversations.
pub(super) fn ids_of_contact(account: AccountId, contact: Uuid) -> SelectStatement {
    in_account(account).filter(Column::ContactId.eq(contact)).select_only().column(Column::Id).into_query()
}

/// The conversation, locked until the transaction ends.
pub(crate) async fn find_for_update(tx: &Tx, account: AccountId, id: Uuid) -> Result<Option<Conversation>, DbErr> {
    let row = in_account(account).filter(Column::Id.eq(id)).lock_exclusive().one(tx.conn()).await?;
    Ok(row.map(Conversation::from))
}

/// The visitor's conversation, locked until the transaction ends. One of another visitor is not found, and not locked.
pub(crate) async fn find_of_visitor_for_update(
    tx: &Tx,
    account: AccountId,
    id: Uuid,
    visitor: &str,
) -> Result<Option<Conversation>, DbErr> {
    let own = in_account(account).filter(Column::Id.eq(id)).filter(Column::VisitorId.eq(visitor));
    Ok(own.lock_exclusive().one(tx.conn()).await?.map(Conversation::from))
}

pub(crate) async fn find<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    id: Uuid,
) -> Result<Option<Conversation>, DbErr> {
    Ok(in_account(account).filter(Column::Id.eq(id)).one(conn).await?.map(Conversation::from))
}

/// The visitor's newest conversation on the channel, open or closed, locked.
pub(crate) async fn find_newest_for_update(
    tx: &Tx,
    account: AccountId,
    channel: Uuid,
    visitor: &str,
) -> Result<Option<Conversation>, DbErr> {
    let newest = in_account(account)
        .filter(Column::ChannelId.eq(channel))
        .filter(Column::VisitorId.eq(visitor))
        // The open one first, since a reopened one may be older than a closed one: as text, OPEN sorts after CLOSED.
        .order_by_desc(Column::Status)
        .order_by_desc(Column::CreatedAt)
        .order_by_desc(Column::Id)
        .lock_exclusive()
        .one(tx.conn())
        .await?;
    Ok(newest.map(Conversation::from))
}

/// The visitor's open conversation on the channel.
pub(crate) async fn find_open<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    channel: Uuid,
    visitor: &str,
) -> Result<Option<Conversation>, DbErr> {
    let open = in_account(account)
        .filter(Column::ChannelId.eq(channel))
        .filter(Column::VisitorId.eq(visitor))
        .filter(Column::Status.eq(Status::Open));
    Ok(open.one(conn).await?.map(Conversation::from))
}

/// All conversations of the visitor, locked.
pub(crate) async fn list_of_visitor_for_update(
    tx: &Tx,
    account: AccountId,
    visitor: &str,
) -> Result<Vec<Conversation>, DbErr> {
    let rows = in_account(account).filter(Column::VisitorId.eq(visitor));
    let rows = rows.order_by_asc(Column::Id).lock_exclusive().all(tx.conn()).await?;
    Ok(rows.into_iter().map(Conversation::from).collect())
}

/// The visitor's conversations, newest first, after the cursor (time and id of the last one before). `channel`: only those on
/// it.
pub(crate) async fn list_of_visitor<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    visitor: &str,
    channel: Option<Uuid>,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<Conversation>, DbErr> {
    let mut query = in_account(account).filter(Column::VisitorId.eq(visitor));
    if let Some(channel) = channel {
        query = query.filter(Column::ChannelId.eq(channel));
    }
    if let Some((time, id)) = after {
        query = query.filter(keyset::before([Column::CreatedAt, Column::Id], (time, id)));
    }
    let rows = query.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).limit(limit).all(conn).await?;
    Ok(rows.into_iter().map(Conversation::from).collect())
}

/// Locks the conversations that change when these visitors are linked to another contact: those that have none or one of
/// these, open ones, `chat`, and all of the visitor `joined`. In the order of their ids: two transactions that lock many wait for
/// each other, and never in a circle.
pub(crate) async fn lock_of_visitors(
    tx: &Tx,
    account: AccountId,
    visitors: &BTreeSet<&str>,
    contacts: &BTreeSet<Uuid>,
    chat: Option<Uuid>,
    joined: Option<&str>,
) -> Result<(), DbErr> {
    let mut which = Condition::any().add(Column::ContactId.is_null()).add(Column::Status.eq(Status::Open));
    if !contacts.is_empty() {
        which = which.add(Column::ContactId.is_in(contacts.iter().copied()));
    }
    if let Some(chat) = chat {
        which = which.add(Column::Id.eq(chat));
    }
    if let Some(joined) = joined {
        which = which.add(Column::VisitorId.eq(joined));
    }
    let rows = in_account(account).filter(Column::VisitorId.is_in(visitors.iter().copied())).filter(which);
    let ids = rows.select_only().column(Column::Id).order_by_asc(Column::Id).lock_exclusive();
    ids.into_tuple::<Uuid>().all(tx.conn()).await?;
    Ok(())
}

/// Whether a conversation other than `chat` belongs to the contact.
pub(crate) async fn any_of_contact(
    tx: &Tx,
    account: AccountId,
    contact: Uuid,
    chat: Option<Uuid>,
) -> Result<bool, DbErr> {
    let mut rows = in_account(account).filter(Column::ContactId.eq(contact));
    if let Some(chat) = chat {
        rows = rows.filter(Column::Id.ne(chat));
    }
    Ok(rows.one(tx.conn()).await?.is_some())
}

/// The last sequence of each of these conversations, of any account.
pub(crate) async fn list_last_sequences<C: ConnectionTrait>(conn: &C, ids: &[Uuid]) -> Result<Vec<(Uuid, i64)>, DbErr> {
    let rows = Entity::find().select_only().columns([Column::Id, Column::LastSequence]);
    rows.filter(Column::Id.is_in(ids.iter().copied())).into_tuple().all(conn).await
}

/// The ids of up to `limit` conversations of any account before this id, the latest first.
pub(crate) async fn list_ids_before<C: ConnectionTrait>(conn: &C, id: Uuid, limit: u64) -> Result<Vec<Uuid>, DbErr> {
    let rows = Entity::find().select_only().column(Column::Id).filter(Column::Id.lt(id));
    rows.order_by_desc(Column::Id).limit(limit).into_tuple().all(conn).await
}

/// Those of these conversations that belong to one of the accounts.
pub(crate) async fn list_of_accounts<C: ConnectionTrait>(
    conn: &C,
    accounts: &[AccountId],
    ids: impl IntoIterator<Item = Uuid>,
) -> Result<Vec<Conversation>, DbErr> {
    let rows = Entity::find().filter(Column::Id.is_in(ids)).filter(Column::AccountId.is_in(accounts.iter().copied()));
    Ok(rows.all(conn).await?.into_iter().map(Conversation::from).collect())
}

/// The visitor's conversations that have no contact, or this one, locked.
pub(crate) async fn list_of_contact_for_update(
    tx: &Tx,
    account: AccountId,
    visitor: &str,
    contact: Option<Uuid>,
) -> Result<Vec<Conversation>, DbErr> {
    let mut of_contact = Condition::any().add(Column::ContactId.is_null());
    if let Some(contact) = contact {
        of_contact = of_contact.add(Column::ContactId.eq(contact));
    }
    let rows = in_account(account).filter(Column::VisitorId.eq(visitor)).filter(of_contact);
    // In the order of the ids: two transactions that lock many wait for each other, and never in a circle.
    let rows = rows.order_by_asc(Column::Id).lock_exclusive().all(tx.conn()).await?;
    Ok(rows.into_iter().map(Conversation::from).collect())
}

/// All conversations of the contact, up to this many, locked.
pub(crate) async fn list_all_of_contact_for_update(
    tx: &Tx,
    account: AccountId,
    contact: Uuid,
    limit: u64,
) -> Result<Vec<Conversation>, DbErr> {
    // In the order of the ids: two transactions that lock many wait for each other, and never in a circle.
    let rows = in_account(account).filter(Column::ContactId.eq(contact)).order_by_asc(Column::Id).limit(limit);
    Ok(rows.lock_exclusive().all(tx.conn()).await?.into_iter().map(Conversation::from).collect())
}

/// Up to `limit` conversations of the contact after this id, in the order of their ids.
pub(crate) async fn list_of_contact<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    contact: Uuid,
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<Conversation>, DbErr> {
    let mut rows = in_account(account).filter(Column::ContactId.eq(contact));
    if let Some(after) = after {
        rows = rows.filter(Column::Id.gt(after));
    }
    let rows = rows.order_by_asc(Column::Id).limit(limit).all(conn).await?;
    Ok(rows.into_iter().map(Conversation::from).collect())
}

/// Open conversations of the contact, up to this many, locked.
pub(crate) async fn list_open_of_contact_for_update(
    tx: &Tx,
    account: AccountId,
    contact: Uuid,
    limit: u64,
) -> Result<Vec<Conversation>, DbErr> {
    // In the order of the ids: two transactions that lock many wait for each other, and never in a circle.
    let rows = in_account(account).filter(Column::ContactId.eq(contact)).filter(Column::Status.eq(Status::Open));
    let rows = rows.order_by_asc(Column::Id).limit(limit).lock_exclusive().all(tx.conn()).await?;
    Ok(rows.into_iter().map(Conversation::from).collect())
}

/// Inserts a new conversation with its entries and events.
pub(crate) async fn insert(
    tx: &mut Tx,
    notifier: &ChangeNotifier,
    conversation: &mut Conversation,
) -> Result<(), DbErr> {
    let mut rows = NewRows::new(tx.now().await?);
    rows.take_from(conversation, &frontdesk_telemetry::traceparent())?;
    let row = Model::from(&*conversation).into_active_model().reset_all();
    Entity::insert(row).exec_without_returning(tx.conn()).await?;
    rows.insert(tx, notifier).await
}

/// Saves a loaded conversation: its row, its new entries and events. Does nothing when there are none.
pub(crate) async fn save(tx: &mut Tx, notifier: &ChangeNotifier, conversation: &mut Conversation) -> Result<(), DbErr> {
    if !conversation.has_changed() {
        return Ok(());
    }
    save_all(tx, notifier, std::slice::from_mut(conversation)).await
}

/// Saves loaded conversations that changed, with one statement for the new rows of all.
pub(crate) async fn save_all(
    tx: &mut Tx,
    notifier: &ChangeNotifier,
    conversations: &mut [Conversation],
) -> Result<(), DbErr> {
    let mut rows = NewRows::new(tx.now().await?);
    for conversation in conversations {
        rows.take_from(conversation, &frontdesk_telemetry::traceparent())?;
        update(tx, conversation).await?;
    }
    rows.insert(tx, notifier).await
}

/// Updates the row alone.
pub(super) async fn update(tx: &Tx, conversation: &Conversation) -> Result<(), DbErr> {
    let row = Model::from(conversation).into_active_model().reset_all();
    Entity::update(row).validate()?.filter(Column::AccountId.eq(conversation.account)).exec(tx.conn()).await?;
    Ok(())
}
