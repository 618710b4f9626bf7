//! Reads the rows of an account, page by page, as JSON objects: for an export of all that a service stores.

use std::{
    collections::{HashMap, hash_map::Entry},
    str::FromStr,
};

use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement, Value as SqlValue, prelude::Uuid};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::AccountTable;
use crate::{AccountId, hex};

/// Maximum number of rows that one query returns.
const MAX_ROWS: usize = 100;
/// Size at which a page ends (bytes).
const PAGE_BYTES: usize = 1 << 20;
/// Maximum number of queries for a page that has a row.
const MAX_QUERIES: usize = 100;

/// A page of rows.
#[derive(Debug, Default)]
pub struct AccountRows {
    /// JSON objects with the columns that are neither null nor hidden. `record` is the name of the table.
    pub records: Vec<String>,
    /// Where the next page begins. Empty: this is the last page.
    pub next_cursor: String,
}

/// Where a page begins: in a table after a row, and in one of its children after a row. By default with the first row.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct AccountRowCursor {
    /// Name of the table. Empty: the first one.
    table: String,
    after: Vec<Value>,
    /// Name of the child of the row `after`. Empty: none.
    child: String,
    child_after: Vec<Value>,
}

impl FromStr for AccountRowCursor {
    type Err = serde_json::Error;

    /// From [`AccountRows::next_cursor`]. Empty: the first page.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() { Ok(Self::default()) } else { serde_json::from_str(text) }
    }
}

/// A page of the account's rows in the tables that are exported, in their order.
pub async fn list_account_rows<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    tables: &[AccountTable],
    mut cursor: AccountRowCursor,
) -> Result<AccountRows, DbErr> {
    let tables: Vec<&AccountTable> = tables.iter().filter(|table| table.is_exported).collect();
    let (mut page, mut bytes) = (AccountRows::default(), 0);
    let mut queries = 0;
    // Asked once for each table of a page: each conversation has a query of its own, and of each of its children.
    let mut columns_of: HashMap<String, Vec<Column>> = HashMap::new();
    while bytes < PAGE_BYTES && (queries < MAX_QUERIES || page.records.is_empty()) {
        let Some(table) = find_table(&tables, &cursor.table)? else { return Ok(page) };
        queries += 1;
        let part = match cursor.child.as_str() {
            "" => Part::of_table(table, account, &cursor.after),
            child => Part::of_child(table, child, &cursor)?,
        };
        let columns = match columns_of.entry(part.table.to_owned()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(part.columns(conn).await?),
        };
        let (rows, is_last) = part.read(conn, columns, PAGE_BYTES - bytes).await?;
        bytes += rows.iter().map(|(record, _)| record.len()).sum::<usize>();
        let last_key = rows.last().map(|(_, key)| key.clone());
        page.records.extend(rows.into_iter().map(|(record, _)| record));
        cursor.advance(&tables, table, last_key, is_last);
        if cursor.table == END {
            return Ok(page);
        }
    }
    page.next_cursor = serde_json::to_string(&cursor).map_err(|error| DbErr::Type(error.to_string()))?;
    Ok(page)
}

/// The place of the table in a cursor after the last one.
const END: &str = "end";

fn find_table<'a>(tables: &[&'a AccountTable], name: &str) -> Result<Option<&'a AccountTable>, DbErr> {
    if name.is_empty() {
        return Ok(tables.first().copied());
    }
    let found = tables.iter().copied().find(|table| table.name == name);
    found.map(Some).ok_or_else(|| DbErr::Type(format!("no table {name} is exported")))
}

impl AccountRowCursor {
    /// Moves on after a query of the table, or of its child. `is_last`: the query has no further rows.
    fn advance(&mut self, tables: &[&AccountTable], table: &AccountTable, key: Option<Vec<Value>>, is_last: bool) {
        self.table = table.name.to_owned();
        let children: Vec<&str> =
            table.children.iter().filter(|child| child.is_exported).map(|child| child.name).collect();
        if self.child.is_empty() {
            match key {
                Some(key) => {
                    self.after = key;
                    if let Some(first) = children.first() {
                        (self.child, self.child_after) = ((*first).to_owned(), Vec::new());
                    } else if is_last {
                        self.next_table(tables);
                    }
                }
                None => self.next_table(tables),
            }
            return;
        }
        if !is_last {
            self.child_after = key.unwrap_or_default();
            return;
        }
        let next = children.iter().skip_while(|name| **name != self.child).nth(1);
        (self.child, self.child_after) = (next.map_or_else(String::new, |name| (*name).to_owned()), Vec::new());
    }

    fn next_table(&mut self, tables: &[&AccountTable]) {
        let next = tables.iter().skip_while(|table| table.name != self.table).nth(1);
        *self = Self { table: next.map_or(END, |table| table.name).to_owned(), ..Self::default() };
    }
}

/// The rows of one query.
struct Part<'a> {
    table: &'a str,
    /// The column whose value all rows have, and the value.
    column: &'a str,
    id: Uuid,
    order: &'a [&'a str],
    hidden: &'a [&'a str],
    after: &'a [Value],
    limit: usize,
}

impl<'a> Part<'a> {
    /// One row of a table with children, which follow it.
    fn of_table(table: &'a AccountTable, account: AccountId, after: &'a [Value]) -> Self {
        let has_children = table.children.iter().any(|child| child.is_exported);
        let limit = if has_children { 1 } else { MAX_ROWS };
        let AccountTable { name, order, hidden, .. } = *table;
        Self { table: name, column: "account_id", id: account.0, order, hidden, after, limit }
    }

    fn of_child(table: &'a AccountTable, child: &str, cursor: &'a AccountRowCursor) -> Result<Self, DbErr> {
        let wrong = || DbErr::Type("the cursor names no row of a table".into());
        let child = table.children.iter().find(|known| known.name == child).ok_or_else(wrong)?;
        let id = table.order.iter().position(|column| *column == "id").and_then(|at| cursor.after.get(at));
        let id = id.and_then(|id| id.as_str()?.parse().ok()).ok_or_else(wrong)?;
        let after = &cursor.child_after;
        let (table, column, order) = (child.name, child.parent, child.order);
        Ok(Self { table, column, id, order, hidden: &[], after, limit: MAX_ROWS })
    }

    /// The columns that an export has.
    async fn columns<C: ConnectionTrait>(&self, conn: &C) -> Result<Vec<Column>, DbErr> {
        let mut columns = columns(conn, self.table).await?;
        columns.retain(|column| !self.hidden.contains(&column.name.as_str()));
        Ok(columns)
    }

    /// The rows with their keys, up to about this number of bytes, and whether no further ones follow.
    async fn read<C: ConnectionTrait>(
        &self,
        conn: &C,
        columns: &[Column],
        max_bytes: usize,
    ) -> Result<(Vec<(String, Vec<Value>)>, bool), DbErr> {
        // Its only row was returned.
        if self.order.is_empty() && !self.after.is_empty() {
            return Ok((Vec::new(), true));
        }
        let statement = self.select(conn.get_database_backend(), columns)?;
        let found = conn.query_all_raw(statement).await?;
        let mut is_last = found.len() < self.limit || self.order.is_empty();
        let (mut rows, mut bytes) = (Vec::new(), 0);
        for row in &found {
            if bytes >= max_bytes {
                is_last = false;
                break;
            }
            let record = record(self.table, columns, row)?;
            let key = match self.order {
                [] => vec![Value::Null],
                order => order.iter().map(|column| record.get(*column).cloned().unwrap_or_default()).collect(),
            };
            let record = Value::Object(record).to_string();
            bytes += record.len();
            rows.push((record, key));
        }
        Ok((rows, is_last))
    }

    fn select(&self, backend: DbBackend, columns: &[Column]) -> Result<Statement, DbErr> {
        let parameter = |number: usize| match backend {
            DbBackend::Postgres => format!("${number}"),
            _ => format!("?{number}"),
        };
        let selected = columns.iter().map(|column| match (backend, column.kind) {
            (DbBackend::Postgres, Kind::Integer) => format!("\"{0}\"::bigint AS \"{0}\"", column.name),
            _ => format!("\"{}\"", column.name),
        });
        let selected = selected.collect::<Vec<_>>().join(", ");
        let mut sql = format!("SELECT {selected} FROM {} WHERE {} = {}", self.table, self.column, parameter(1));
        let mut values: Vec<SqlValue> = vec![self.id.into()];
        if !self.order.is_empty() {
            let order = self.order.join(", ");
            if !self.after.is_empty() {
                let parameters: Vec<String> = (0..self.order.len()).map(|number| parameter(number + 2)).collect();
                sql += &format!(" AND ({order}) > ({})", parameters.join(", "));
                values.extend(self.key_values(columns)?);
            }
            sql += &format!(" ORDER BY {order} LIMIT {}", self.limit);
        }
        Ok(Statement::from_sql_and_values(backend, sql, values))
    }

    /// The key after which the rows begin, in the types of its columns.
    fn key_values(&self, columns: &[Column]) -> Result<Vec<SqlValue>, DbErr> {
        let wrong = || DbErr::Type("the cursor is no key of the table".into());
        if self.after.len() != self.order.len() {
            return Err(wrong());
        }
        let value = |(name, value): (&&str, &Value)| -> Option<SqlValue> {
            let column = columns.iter().find(|column| column.name == **name)?;
            match column.kind {
                Kind::Uuid => Some(value.as_str()?.parse::<Uuid>().ok()?.into()),
                Kind::Integer => Some(value.as_i64()?.into()),
                Kind::Text => Some(value.as_str()?.to_owned().into()),
                Kind::Boolean | Kind::Bytes => None,
            }
        };
        self.order.iter().zip(self.after).map(|pair| value(pair).ok_or_else(wrong)).collect()
    }
}

/// A column of a table.
struct Column {
    name: String,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Uuid,
    Integer,
    Boolean,
    Bytes,
    Text,
}

async fn columns<C: ConnectionTrait>(conn: &C, table: &str) -> Result<Vec<Column>, DbErr> {
    let backend = conn.get_database_backend();
    let sql = match backend {
        DbBackend::Postgres => format!(
            "SELECT column_name::text AS name, upper(data_type::text) AS kind FROM information_schema.columns \
             WHERE table_schema = current_schema() AND table_name = '{table}' ORDER BY ordinal_position"
        ),
        _ => format!("SELECT name, upper(type) AS kind FROM pragma_table_info('{table}') ORDER BY cid"),
    };
    let rows = conn.query_all_raw(Statement::from_string(backend, sql)).await?;
    let column = |row: &QueryResult| {
        let kind = match row.try_get::<String>("", "kind")?.as_str() {
            "UUID" => Kind::Uuid,
            "BIGINT" | "INTEGER" => Kind::Integer,
            "BOOLEAN" => Kind::Boolean,
            "BYTEA" | "BLOB" => Kind::Bytes,
            "TEXT" => Kind::Text,
            other => return Err(DbErr::Type(format!("{table} has a column of the type {other}"))),
        };
        Ok(Column { name: row.try_get("", "name")?, kind })
    };
    rows.iter().map(column).collect()
}

fn record(table: &str, columns: &[Column], row: &QueryResult) -> Result<Map<String, Value>, DbErr> {
    let mut record = Map::from_iter([("record".to_owned(), json!(table))]);
    for Column { name, kind } in columns {
        let value = match kind {
            Kind::Uuid => row.try_get::<Option<Uuid>>("", name)?.map(|id| json!(id)),
            Kind::Integer => row.try_get::<Option<i64>>("", name)?.map(|number| json!(number)),
            Kind::Boolean => row.try_get::<Option<bool>>("", name)?.map(|flag| json!(flag)),
            Kind::Bytes => row.try_get::<Option<Vec<u8>>>("", name)?.map(|bytes| json!(hex(&bytes))),
            Kind::Text => row.try_get::<Option<String>>("", name)?.map(|text| json!(text)),
        };
        if let Some(value) = value {
            record.insert(name.clone(), value);
        }
    }
    Ok(record)
}
