//! Contacts that were erased, and their conversations (rule X2). Who reads or writes them holds the account's lock
//! ([`mail_counts::lock`](super::mail_counts::lock)), so that no mail is queued by what was known before.

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{DbErr, EntityTrait, QuerySelect, Set, entity::prelude::*, sea_query::OnConflict};

use super::entity::erased_id::{ActiveModel, Column, Entity};

/// Adds ids. Those that are there already stay.
pub(crate) async fn insert(tx: &Tx, account: AccountId, ids: &[Uuid], now: Time) -> Result<(), DbErr> {
    if ids.is_empty() {
        return Ok(());
    }
    let row = |id: &Uuid| ActiveModel { account_id: Set(account), id: Set(*id), erased_at: Set(now) };
    Entity::insert_many(ids.iter().map(row))
        .on_conflict(OnConflict::columns([Column::AccountId, Column::Id]).do_nothing().to_owned())
        .exec_without_returning(tx.conn())
        .await?;
    Ok(())
}

/// Returns whether one of these was erased.
pub(crate) async fn contains_any(
    tx: &Tx,
    account: AccountId,
    ids: impl IntoIterator<Item = Uuid>,
) -> Result<bool, DbErr> {
    let erased = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::Id.is_in(ids));
    let first = erased.select_only().column(Column::Id).limit(1).into_tuple::<Uuid>().one(tx.conn()).await?;
    Ok(first.is_some())
}
