//! Deletes the rows of an account, some at a time.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, prelude::Uuid};

use super::{AccountTable, ChildTable};
use crate::{AccountId, Tx};

/// Maximum number of rows that one statement deletes.
const BATCH: u64 = 1_000;
/// Maximum number of rows with rows in other tables that are deleted at once.
const PARENTS: u64 = 50;

/// Deletes a part of the account's rows of these tables, at most about a thousand for each table of a family. Returns how many it
/// deleted; 0: none are left.
pub async fn erase_account_rows(tx: &Tx, account: AccountId, tables: &[AccountTable]) -> Result<u64, DbErr> {
    for table in tables {
        let deleted = match table.children {
            [] => delete_rows(tx, account, table).await?,
            children => delete_family(tx, account, table, children).await?,
        };
        if deleted > 0 {
            return Ok(deleted);
        }
    }
    Ok(0)
}

async fn delete_rows(tx: &Tx, account: AccountId, table: &AccountTable) -> Result<u64, DbErr> {
    let of_account = format!("account_id = {}", literal(tx, account.0));
    let condition = match table.erased_if {
        "" => of_account,
        erased_if => format!("{of_account} AND {erased_if}"),
    };
    delete_some(tx, table.name, &condition, table.order).await
}

/// Deletes rows of the children of some rows, and these rows when none are left.
async fn delete_family(
    tx: &Tx,
    account: AccountId,
    table: &AccountTable,
    children: &[ChildTable],
) -> Result<u64, DbErr> {
    let backend = tx.conn().get_database_backend();
    let account = literal(tx, account.0);
    let ids = format!("SELECT id FROM {} WHERE account_id = {account} LIMIT {PARENTS}", table.name);
    let rows = tx.conn().query_all_raw(Statement::from_string(backend, ids)).await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.try_get("", "id")).collect::<Result<_, DbErr>>()?;
    if ids.is_empty() {
        return Ok(0);
    }
    let ids = ids.into_iter().map(|id| literal(tx, id)).collect::<Vec<_>>().join(", ");
    for child in children {
        let condition = format!("{} IN ({ids})", child.parent);
        let key: Vec<&str> = std::iter::once(child.parent).chain(child.order.iter().copied()).collect();
        let deleted = delete_some(tx, child.name, &condition, &key).await?;
        if deleted > 0 {
            return Ok(deleted);
        }
    }
    let rows = format!("DELETE FROM {} WHERE account_id = {account} AND id IN ({ids})", table.name);
    Ok(tx.conn().execute_unprepared(&rows).await?.rows_affected())
}

/// Deletes up to [`BATCH`] rows for which the condition holds; `key`: columns that are unique among them.
async fn delete_some(tx: &Tx, table: &str, condition: &str, key: &[&str]) -> Result<u64, DbErr> {
    let sql = match (tx.conn().get_database_backend(), key) {
        (DbBackend::Postgres, _) => format!(
            "DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE {condition} LIMIT {BATCH}))"
        ),
        (_, []) => format!("DELETE FROM {table} WHERE {condition}"),
        // Tables that are stored in their key have no rowid.
        (_, key) => {
            let key = key.join(", ");
            format!(
                "DELETE FROM {table} WHERE {condition} AND ({key}) IN (SELECT {key} FROM {table} WHERE {condition} LIMIT {BATCH})"
            )
        }
    };
    Ok(tx.conn().execute_unprepared(&sql).await?.rows_affected())
}

/// An id in SQL.
fn literal(tx: &Tx, id: Uuid) -> String {
    match tx.conn().get_database_backend() {
        DbBackend::Postgres => format!("'{id}'::uuid"),
        _ => format!("x'{}'", id.simple()),
    }
}
