//! Addresses that are not mailed. An account gets the key of their hashes with its first one; before, it has none.

use std::collections::{HashMap, HashSet};

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use rand::Rng;
use sea_orm::{
    ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect, Select, entity::prelude::*,
};

use super::{
    entity::{
        mail_account,
        suppression::{Column, Entity, Model},
    },
    mail_counts,
};
use crate::domain::{Suppression, SuppressionReason, address_hash, address_hashes};

/// Size of the key of an account's hashes (bytes).
const KEY_BYTES: usize = 32;

/// Returns the hash of the address, and locks the account's row. Of two concurrent calls the later one finds what the first has added.
pub(crate) async fn hash_for_update(tx: &Tx, account: AccountId, email: &str) -> Result<Vec<u8>, DbErr> {
    mail_counts::lock(tx, account).await?;
    if let Some(key) = find_key(tx.conn(), account).await? {
        return Ok(address_hash(&key, email));
    }
    let key: [u8; KEY_BYTES] = rand::rng().random();
    mail_account::Entity::update_many()
        .filter(mail_account::Column::AccountId.eq(account.0))
        .col_expr(mail_account::Column::SuppressionKey, Expr::value(key.to_vec()))
        .exec(tx.conn())
        .await?;
    Ok(address_hash(&key, email))
}

/// None: the account never suppressed an address.
async fn find_key<C: ConnectionTrait>(db: &C, account: AccountId) -> Result<Option<Vec<u8>>, DbErr> {
    let row = mail_account::Entity::find_by_id(account.0).one(db).await?;
    Ok(row.and_then(|row| row.suppression_key))
}

/// Returns the hashes by which the address is suppressed. None: the account never suppressed an address.
pub(crate) async fn find_hashes<C: ConnectionTrait>(
    db: &C,
    account: AccountId,
    email: &str,
) -> Result<Option<[Vec<u8>; 2]>, DbErr> {
    Ok(find_key(db, account).await?.map(|key| address_hashes(&key, email)))
}

/// Returns whether the account does not mail this address. No address: it does not have to.
pub(crate) async fn is_suppressed<C: ConnectionTrait>(db: &C, account: AccountId, email: &str) -> Result<bool, DbErr> {
    if email.is_empty() {
        return Ok(false);
    }
    Ok(find_by_address(db, account, email).await?.is_some())
}

/// Returns those of these addresses that their accounts do not mail.
pub(crate) async fn list_suppressed<C: ConnectionTrait>(
    db: &C,
    addresses: &[(AccountId, &str)],
) -> Result<HashSet<(AccountId, String)>, DbErr> {
    let accounts: HashSet<AccountId> = addresses.iter().map(|(account, _)| *account).collect();
    if accounts.is_empty() {
        return Ok(HashSet::new());
    }
    let rows = mail_account::Entity::find()
        .filter(mail_account::Column::AccountId.is_in(accounts.iter().map(|account| account.0)))
        .filter(mail_account::Column::SuppressionKey.is_not_null())
        .all(db)
        .await?;
    let keys: HashMap<Uuid, Vec<u8>> =
        rows.into_iter().filter_map(|row| Some((row.account_id, row.suppression_key?))).collect();
    let mut hashes: HashMap<(AccountId, Vec<u8>), Vec<&str>> = HashMap::new();
    for (account, email) in addresses {
        if let Some(key) = keys.get(&account.0) {
            for hash in address_hashes(key, email) {
                hashes.entry((*account, hash)).or_default().push(email);
            }
        }
    }
    if hashes.is_empty() {
        return Ok(HashSet::new());
    }
    let found: Vec<(AccountId, Vec<u8>)> = Entity::find()
        .select_only()
        .columns([Column::AccountId, Column::AddressHash])
        .filter(Column::AccountId.is_in(accounts))
        .filter(Column::AddressHash.is_in(hashes.keys().map(|(_, hash)| hash.clone())))
        .filter(Column::RemovedAt.is_null())
        .into_tuple()
        .all(db)
        .await?;
    let suppressed = found.into_iter().flat_map(|found| {
        let emails = hashes.get(&found).map_or(&[][..], Vec::as_slice);
        emails.iter().map(move |email| (found.0, (*email).to_owned()))
    });
    Ok(suppressed.collect())
}

pub(crate) async fn insert(tx: &Tx, suppression: &Suppression) -> Result<(), DbErr> {
    Entity::insert(to_row(suppression).into_active_model()).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Writes every column.
pub(crate) async fn save(tx: &Tx, suppression: &Suppression) -> Result<(), DbErr> {
    let row = to_row(suppression).into_active_model().reset_all();
    Entity::update(row).validate()?.filter(Column::AccountId.eq(suppression.account)).exec(tx.conn()).await?;
    Ok(())
}

/// Returns the suppression of the address, the newest if its mailbox has one too.
pub(crate) async fn find_by_address<C: ConnectionTrait>(
    db: &C,
    account: AccountId,
    email: &str,
) -> Result<Option<Suppression>, DbErr> {
    let Some(hashes) = find_hashes(db, account, email).await? else { return Ok(None) };
    Ok(list(db, account, Some(hashes), None, 1).await?.pop())
}

/// Returns the suppression, unless it was removed.
pub(crate) async fn find<C: ConnectionTrait>(
    db: &C,
    account: AccountId,
    id: Uuid,
) -> Result<Option<Suppression>, DbErr> {
    Ok(of_account(account).filter(Column::Id.eq(id)).one(db).await?.map(to_domain))
}

/// Returns the suppression, removed or not, locked until the transaction ends.
pub(crate) async fn find_also_removed_for_update(
    tx: &Tx,
    account: AccountId,
    id: Uuid,
) -> Result<Option<Suppression>, DbErr> {
    let query = Entity::find_by_id(id).filter(Column::AccountId.eq(account));
    Ok(query.lock_exclusive().one(tx.conn()).await?.map(to_domain))
}

/// Returns the suppressions after a cursor, newest first. `hashes`: only of this address.
pub(crate) async fn list<C: ConnectionTrait>(
    db: &C,
    account: AccountId,
    hashes: Option<[Vec<u8>; 2]>,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<Suppression>, DbErr> {
    let mut query = of_account(account);
    if let Some(hashes) = hashes {
        query = query.filter(Column::AddressHash.is_in(hashes));
    }
    if let Some(last) = after {
        query = query.filter(super::after(Column::CreatedAt, Column::Id, last));
    }
    let rows = query.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).limit(limit).all(db).await?;
    Ok(rows.into_iter().map(to_domain).collect())
}

fn of_account(account: AccountId) -> Select<Entity> {
    Entity::find().filter(Column::AccountId.eq(account)).filter(Column::RemovedAt.is_null())
}

fn to_row(suppression: &Suppression) -> Model {
    Model {
        id: suppression.id,
        account_id: suppression.account,
        address_hash: suppression.address_hash.clone(),
        reason: suppression.reason.as_str().to_owned(),
        status_code: suppression.status_code.clone(),
        delivery_id: suppression.delivery,
        created_at: suppression.created_at,
        removed_at: suppression.removed_at,
    }
}

fn to_domain(row: Model) -> Suppression {
    Suppression {
        id: row.id,
        account: row.account_id,
        address_hash: row.address_hash,
        reason: SuppressionReason::parse(&row.reason),
        status_code: row.status_code,
        delivery: row.delivery_id,
        created_at: row.created_at,
        removed_at: row.removed_at,
    }
}
