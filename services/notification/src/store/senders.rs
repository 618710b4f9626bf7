//! Sender addresses.

use std::collections::{HashMap, HashSet};

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, Order, QueryOrder, QuerySelect, Select,
    entity::prelude::*,
    sea_query::{ExprTrait, Func},
};

use super::entity::sender::{Column, Entity, Model};
use crate::domain::Sender;

/// Inserts a sender.
pub(crate) async fn insert(tx: &Tx, sender: &Sender) -> Result<(), DbErr> {
    Entity::insert(to_row(sender).into_active_model()).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Writes every column.
pub(crate) async fn save(tx: &Tx, sender: &Sender) -> Result<(), DbErr> {
    let row = to_row(sender).into_active_model().reset_all();
    Entity::update(row).validate()?.filter(Column::AccountId.eq(sender.account)).exec(tx.conn()).await?;
    Ok(())
}

/// Returns the sender, unless it is deleted, locked until the transaction ends.
pub(crate) async fn find_for_update(tx: &Tx, account: AccountId, id: Uuid) -> Result<Option<Sender>, DbErr> {
    Ok(not_deleted(account).filter(Column::Id.eq(id)).lock_exclusive().one(tx.conn()).await?.map(to_domain))
}

/// Returns the sender, unless it is deleted.
pub(crate) async fn find<C: ConnectionTrait>(db: &C, account: AccountId, id: Uuid) -> Result<Option<Sender>, DbErr> {
    Ok(not_deleted(account).filter(Column::Id.eq(id)).one(db).await?.map(to_domain))
}

/// Returns the sender, deleted or not, locked until the transaction ends.
pub(crate) async fn find_also_deleted_for_update(
    tx: &Tx,
    account: AccountId,
    id: Uuid,
) -> Result<Option<Sender>, DbErr> {
    let query = Entity::find_by_id(id).filter(Column::AccountId.eq(account));
    Ok(query.lock_exclusive().one(tx.conn()).await?.map(to_domain))
}

/// Returns the sender with this address in any case of letters, locked until the transaction ends.
pub(crate) async fn find_by_email_for_update(
    tx: &Tx,
    account: AccountId,
    email: &str,
) -> Result<Option<Sender>, DbErr> {
    let query = not_deleted(account).filter(lower_case_email().eq(email.to_lowercase()));
    Ok(query.lock_exclusive().one(tx.conn()).await?.map(to_domain))
}

/// Returns the chosen sender, if it is not deleted; without one, the account's fallback.
pub(crate) async fn find_chosen_or_fallback<C: ConnectionTrait>(
    db: &C,
    account: AccountId,
    chosen: Option<Uuid>,
) -> Result<Option<Sender>, DbErr> {
    match chosen {
        Some(id) => find(db, account, id).await,
        None => Ok(not_deleted(account).filter(Column::Fallback.eq(true)).one(db).await?.map(to_domain)),
    }
}

/// Returns the sender with this address.
pub(crate) async fn find_by_email<C: ConnectionTrait>(
    db: &C,
    account: AccountId,
    email: &str,
) -> Result<Option<Sender>, DbErr> {
    let query = not_deleted(account).filter(lower_case_email().eq(email.to_lowercase()));
    Ok(query.one(db).await?.map(to_domain))
}

/// Returns the senders with these addresses, in lower case, by account and address in lower case.
pub(crate) async fn list_by_emails<C: ConnectionTrait>(
    db: &C,
    emails: &HashSet<(AccountId, String)>,
) -> Result<HashMap<(AccountId, String), Sender>, DbErr> {
    if emails.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = Entity::find()
        .filter(Column::AccountId.is_in(emails.iter().map(|(account, _)| *account)))
        .filter(lower_case_email().is_in(emails.iter().map(|(_, email)| email.clone())))
        .filter(Column::DeletedAt.is_null())
        .all(db)
        .await?;
    let senders = rows.into_iter().map(to_domain);
    Ok(senders.map(|sender| ((sender.account, sender.email.to_lowercase()), sender)).collect())
}

/// Ends the fallback of the account, so that another sender can become it.
pub(crate) async fn clear_fallback(tx: &Tx, account: AccountId, now: Time) -> Result<(), DbErr> {
    Entity::update_many()
        .filter(Column::AccountId.eq(account))
        .filter(Column::Fallback.eq(true))
        .col_expr(Column::Fallback, Expr::value(false))
        .col_expr(Column::UpdatedAt, Expr::value(now.0))
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Returns the senders after an address in lower case, by address in any case of letters.
pub(crate) async fn list<C: ConnectionTrait>(
    db: &C,
    account: AccountId,
    after: Option<&str>,
    limit: u64,
) -> Result<Vec<Sender>, DbErr> {
    let mut query = not_deleted(account);
    if let Some(last) = after {
        query = query.filter(lower_case_email().gt(last));
    }
    let rows = query.order_by(lower_case_email(), Order::Asc).limit(limit).all(db).await?;
    Ok(rows.into_iter().map(to_domain).collect())
}

/// As in the unique index of addresses.
fn lower_case_email() -> Expr {
    Expr::expr(Func::lower(Expr::col((Entity, Column::Email))))
}

fn not_deleted(account: AccountId) -> Select<Entity> {
    Entity::find().filter(Column::AccountId.eq(account)).filter(Column::DeletedAt.is_null())
}

fn to_row(sender: &Sender) -> Model {
    let sender = sender.clone();
    Model {
        id: sender.id,
        account_id: sender.account,
        email: sender.email,
        display_name: sender.display_name,
        reply_to_email: sender.reply_to_email,
        unsubscribe_email: sender.unsubscribe_email,
        verified: sender.verified,
        fallback: sender.fallback,
        code_hash: sender.code_hash,
        code_expires_at: sender.code_expires_at,
        code_tries: sender.code_tries,
        created_at: sender.created_at,
        updated_at: sender.updated_at,
        deleted_at: sender.deleted_at,
        version: sender.version,
    }
}

fn to_domain(row: Model) -> Sender {
    Sender {
        id: row.id,
        account: row.account_id,
        email: row.email,
        display_name: row.display_name,
        reply_to_email: row.reply_to_email,
        unsubscribe_email: row.unsubscribe_email,
        verified: row.verified,
        fallback: row.fallback,
        code_hash: row.code_hash,
        code_expires_at: row.code_expires_at,
        code_tries: row.code_tries,
        created_at: row.created_at,
        updated_at: row.updated_at,
        deleted_at: row.deleted_at,
        version: row.version,
    }
}
