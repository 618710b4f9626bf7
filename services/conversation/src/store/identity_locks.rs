//! Locks of addresses and visitors: one transaction at a time decides which contact they belong to (rule X1).
//!
//! Their rows may not exist yet, so on PostgreSQL the locks are advisory ones, which end with the transaction. SQLite has one
//! writer and needs none. The order is the same everywhere: addresses, visitors, conversations, contacts, each kind sorted.

use frontdesk_db::{AccountId, Tx};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use sha2::{Digest, Sha256};

/// Locks addresses in their canonical spelling, also those that no contact has.
pub(crate) async fn lock_addresses<'a>(
    tx: &Tx,
    account: AccountId,
    addresses: impl IntoIterator<Item = &'a String>,
) -> Result<(), DbErr> {
    lock(tx, account, "address", addresses.into_iter().map(String::as_str)).await
}

/// Locks visitors, also those who have no contact.
pub(crate) async fn lock_visitors<'a>(
    tx: &Tx,
    account: AccountId,
    visitors: impl IntoIterator<Item = &'a str>,
) -> Result<(), DbErr> {
    lock(tx, account, "visitor", visitors).await
}

async fn lock<'a>(
    tx: &Tx,
    account: AccountId,
    kind: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<(), DbErr> {
    if tx.conn().get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    let mut keys: Vec<i64> = names.into_iter().map(|name| key(account, kind, name)).collect();
    keys.sort_unstable();
    keys.dedup();
    if keys.is_empty() {
        return Ok(());
    }
    // The rows of an array come in its order.
    let lock = "SELECT pg_advisory_xact_lock(key) FROM unnest($1::bigint[]) AS keys (key)";
    tx.conn().query_all_raw(Statement::from_sql_and_values(DbBackend::Postgres, lock, [keys.into()])).await?;
    Ok(())
}

/// Two names with the same key wait for each other and are otherwise right.
fn key(account: AccountId, kind: &str, name: &str) -> i64 {
    let mut digest = Sha256::new();
    digest.update(account.0.as_bytes());
    digest.update(kind);
    digest.update([0]);
    digest.update(name);
    let digest: [u8; 32] = digest.finalize().into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}
