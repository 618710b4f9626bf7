//! Rows of one statement as one parameter, for SQLite: the text of the statement is the same for any number of rows, so it is
//! prepared once. The statement reads them with `json_each`, and bytes and UUIDs with `unhex`.

use sea_orm::{DbBackend, Statement};
use serde_json::Value;

/// A statement of SQLite whose only parameter is an array of rows, each an array of columns.
pub fn json_rows(sql: &str, rows: impl Iterator<Item = Value>) -> Statement {
    Statement::from_sql_and_values(DbBackend::Sqlite, sql, [json_array(rows)])
}

/// An array of rows as a parameter.
pub fn json_array(rows: impl Iterator<Item = Value>) -> sea_orm::Value {
    Value::Array(rows.collect()).to_string().into()
}

/// Bytes as a column of [`json_rows`].
pub fn hex(bytes: &[u8]) -> String {
    hex::encode(bytes)
}
