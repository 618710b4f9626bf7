//! All rows of the SQLite databases in a data folder, and what became of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, QueryResult, Statement};

use super::Failure;

/// A table, with its values as SQL literals.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Table {
    columns: Vec<String>,
    /// Columns of the primary key.
    key: Vec<String>,
    /// The rows, sorted.
    rows: Vec<Vec<String>>,
}

/// The tables of all databases by `database.table`.
pub(super) type Tables = BTreeMap<String, Table>;

/// Reads all tables. No process may use the folder.
pub(super) async fn read(folder: &Path) -> Result<Tables, Failure> {
    let mut tables = Tables::new();
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        if path.extension().is_none_or(|ending| ending != "db") {
            continue;
        }
        let database = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let db = open(&path).await?;
        let names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite#_%' ESCAPE '#'";
        for row in rows(&db, names).await? {
            let name: String = row.try_get_by_index(0)?;
            let table = read_table(&db, &name).await?;
            tables.insert(format!("{database}.{name}"), table);
        }
        db.close().await?;
    }
    Ok(tables)
}

/// Opens the database in a file.
pub(super) async fn open(file: &Path) -> Result<DatabaseConnection, DbErr> {
    Database::connect(format!("sqlite://{}?mode=rw", file.display())).await
}

/// The rows of a query.
pub(super) async fn rows(db: &DatabaseConnection, sql: &str) -> Result<Vec<QueryResult>, DbErr> {
    db.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await
}

async fn read_table(db: &DatabaseConnection, name: &str) -> Result<Table, DbErr> {
    let (mut columns, mut key): (Vec<String>, Vec<String>) = Default::default();
    let sql = format!("SELECT name, CAST(pk AS TEXT) FROM pragma_table_info('{name}') ORDER BY cid");
    for row in rows(db, &sql).await? {
        let column: String = row.try_get_by_index(0)?;
        // When a migration was applied differs from one upgrade to the next.
        if column == "applied_at" && name == "seaql_migrations" {
            continue;
        }
        if row.try_get_by_index::<String>(1)? != "0" {
            key.push(column.clone());
        }
        columns.push(column);
    }
    let quoted: Vec<String> = columns.iter().map(|column| format!("quote(\"{column}\")")).collect();
    let mut all = Vec::new();
    for row in rows(db, &format!("SELECT {} FROM \"{name}\"", quoted.join(", "))).await? {
        let values: Result<Vec<String>, DbErr> = (0..columns.len()).map(|index| row.try_get_by_index(index)).collect();
        all.push(values?);
    }
    all.sort();
    Ok(Table { columns, key, rows: all })
}

impl Table {
    /// The values of some columns in each row. None: it lacks one of them.
    fn values_of(&self, columns: &[String]) -> Option<BTreeSet<Vec<&str>>> {
        let places = columns.iter().map(|column| self.columns.iter().position(|own| own == column));
        let places: Vec<usize> = places.collect::<Option<_>>()?;
        let values = self.rows.iter().map(|row| places.iter().map(|place| row[*place].as_str()).collect::<Vec<_>>());
        Some(values.collect())
    }

    /// Number of rows whose values of these columns are in no row of another table. None: one of the tables lacks a column.
    fn missing_in(&self, other: &Self, columns: &[String]) -> Option<usize> {
        let (own, others) = (self.values_of(columns)?, other.values_of(columns)?);
        Some(own.difference(&others).count())
    }
}

/// Number of rows in all tables.
pub(super) fn count(tables: &Tables) -> usize {
    tables.values().map(|table| table.rows.len()).sum()
}

/// Number of rows that an upgrade removed, by table: those whose primary key is in no row any more. A table that is gone lost all.
pub(super) fn removed(before: &Tables, after: &Tables) -> BTreeMap<String, usize> {
    count_missing(before, after, |table, other| {
        let by_key = (!table.key.is_empty()).then(|| table.missing_in(other, &table.key)).flatten();
        by_key.unwrap_or_else(|| table.rows.len().saturating_sub(other.rows.len()))
    })
}

/// Number of rows that an upgrade changed or removed, by table: those whose values of the columns that both schemas have are in no row
/// any more.
pub(super) fn changed(before: &Tables, after: &Tables) -> BTreeMap<String, usize> {
    count_missing(before, after, |table, other| {
        let shared: Vec<String> =
            table.columns.iter().filter(|column| other.columns.contains(column)).cloned().collect();
        table.missing_in(other, &shared).unwrap_or(0)
    })
}

fn count_missing(
    before: &Tables,
    after: &Tables,
    missing: impl Fn(&Table, &Table) -> usize,
) -> BTreeMap<String, usize> {
    let counted = before.iter().map(|(name, table)| {
        let missing = after.get(name).map_or(table.rows.len(), |other| missing(table, other));
        (name.clone(), missing)
    });
    counted.filter(|(_, missing)| *missing > 0).collect()
}

/// Names of the tables that are not the same in both.
pub(super) fn differing(one: &Tables, other: &Tables) -> Vec<String> {
    let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    names.into_iter().filter(|name| one.get(*name) != other.get(*name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn folder_with(sql: &str) -> (tempfile::TempDir, Tables) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("things.db").display());
        let db = Database::connect(url).await.unwrap();
        db.execute_unprepared(sql).await.unwrap();
        db.close().await.unwrap();
        let tables = read(folder.path()).await.unwrap();
        (folder, tables)
    }

    #[tokio::test]
    async fn rows_that_are_gone_and_values_that_changed_are_found() {
        let create = "CREATE TABLE things (id BLOB PRIMARY KEY, name TEXT);";
        let (_folder, before) =
            folder_with(&format!("{create} INSERT INTO things VALUES (x'01', 'a'), (x'02', 'b'), (x'03', NULL)")).await;
        let create = "CREATE TABLE things (id BLOB PRIMARY KEY, name TEXT, size INTEGER);";
        let (_folder, after) = folder_with(&format!(
            "{create} INSERT INTO things VALUES (x'01', 'a', 1), (x'02', 'c', 2); CREATE TABLE others (id INTEGER)"
        ))
        .await;
        assert_eq!((count(&before), count(&after)), (3, 2));
        assert_eq!(removed(&before, &after), BTreeMap::from([("things.things".to_owned(), 1)]));
        assert_eq!(changed(&before, &after), BTreeMap::from([("things.things".to_owned(), 2)]));
        assert_eq!(differing(&before, &after), ["things.others", "things.things"]);
        assert_eq!(differing(&after, &after), [] as [String; 0]);
    }
}
