//! Codes that verify addresses of visitors.

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{DbErr, EntityTrait, QuerySelect, Set, entity::prelude::*, sea_query::OnConflict};

use super::entity::address_code::{ActiveModel, Column, Entity, Model};
use crate::domain::AddressCode;

/// Stores the code in the place of the one before.
pub(crate) async fn save(tx: &Tx, code: &AddressCode) -> Result<(), DbErr> {
    let row = ActiveModel {
        account_id: Set(code.account),
        subject: Set(code.subject.clone()),
        code_hash: Set(code.code_hash.clone()),
        expires_at: Set(code.expires_at),
        tries: Set(code.tries),
    };
    let replaced = OnConflict::columns([Column::AccountId, Column::Subject])
        .update_columns([Column::CodeHash, Column::ExpiresAt, Column::Tries])
        .to_owned();
    Entity::insert(row).on_conflict(replaced).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Returns the code of the subject, locked until the transaction ends.
pub(crate) async fn find_for_update(tx: &Tx, account: AccountId, subject: &str) -> Result<Option<AddressCode>, DbErr> {
    let query = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::Subject.eq(subject));
    Ok(query.lock_exclusive().one(tx.conn()).await?.map(to_domain))
}

/// Deletes the code of the subject.
pub(crate) async fn delete(tx: &Tx, account: AccountId, subject: &str) -> Result<(), DbErr> {
    Entity::delete_many()
        .filter(Column::AccountId.eq(account))
        .filter(Column::Subject.eq(subject))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Deletes the account's codes that have expired.
pub(crate) async fn delete_expired(tx: &Tx, account: AccountId, now: Time) -> Result<(), DbErr> {
    Entity::delete_many()
        .filter(Column::AccountId.eq(account))
        .filter(Column::ExpiresAt.lte(now))
        .exec(tx.conn())
        .await?;
    Ok(())
}

fn to_domain(row: Model) -> AddressCode {
    AddressCode {
        account: row.account_id,
        subject: row.subject,
        code_hash: row.code_hash,
        expires_at: row.expires_at,
        tries: row.tries,
    }
}
