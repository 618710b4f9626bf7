//! The columns of a row by their positions.

use sea_orm::{
    DbErr, Iterable, QueryResult, RuntimeErr, TryGetable,
    sqlx::{Row, ValueRef},
};

/// The columns of a row of a result, from the first to the last, for results of many rows with many columns. By names it would take longer:
/// each is looked up, and sea-orm makes an error with the name of each NULL before it returns None.
#[derive(Debug)]
pub struct Columns<'row> {
    row: &'row QueryResult,
    next: usize,
}

impl<'row> Columns<'row> {
    /// The columns of this row.
    pub fn new(row: &'row QueryResult) -> Self {
        Self { row, next: 0 }
    }

    /// The next column, which is not NULL.
    pub fn read<T: TryGetable>(&mut self) -> Result<T, DbErr> {
        let value = self.row.try_get_by_index(self.next)?;
        self.next += 1;
        Ok(value)
    }

    /// The next column, which may be NULL.
    pub fn read_optional<T: TryGetable>(&mut self) -> Result<Option<T>, DbErr> {
        if self.is_null()? {
            self.next += 1;
            return Ok(None);
        }
        self.read().map(Some)
    }

    /// The next columns, which are those of a joined table with these columns. None: the first is NULL, since no row of it was joined.
    pub fn read_joined<C: Iterable, T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, DbErr>,
    ) -> Result<Option<T>, DbErr> {
        if self.is_null()? {
            self.next += C::iter().count();
            return Ok(None);
        }
        read(self).map(Some)
    }

    /// Whether the next column is NULL.
    fn is_null(&self) -> Result<bool, DbErr> {
        let is_null = match (self.row.try_as_pg_row(), self.row.try_as_sqlite_row()) {
            (Some(row), _) => row.try_get_raw(self.next).map(|value| value.is_null()),
            (None, Some(row)) => row.try_get_raw(self.next).map(|value| value.is_null()),
            (None, None) => return Err(DbErr::Type("a row of an unknown database".into())),
        };
        is_null.map_err(|error| DbErr::Query(RuntimeErr::SqlxError(error.into())))
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectionTrait, Database, DbBackend, EnumIter, Statement};

    use super::*;

    #[derive(Clone, Copy, Debug, EnumIter)]
    enum Joined {
        First,
        Second,
    }

    fn pair(columns: &mut Columns<'_>) -> Result<(i64, i64), DbErr> {
        Ok((columns.read()?, columns.read()?))
    }

    #[tokio::test]
    async fn columns_are_read_in_their_order_and_null_is_none() {
        let db = Database::connect("sqlite::memory:").await.unwrap();
        let select = "SELECT 1, NULL, 'third', NULL, NULL, 6, 7, 8";
        let row = db.query_one_raw(Statement::from_string(DbBackend::Sqlite, select)).await.unwrap().unwrap();
        let mut columns = Columns::new(&row);
        assert_eq!(columns.read::<i64>().unwrap(), 1);
        assert_eq!(columns.read_optional::<i64>().unwrap(), None);
        assert_eq!(columns.read_optional::<String>().unwrap().as_deref(), Some("third"));
        assert_eq!(columns.read_joined::<Joined, _>(pair).unwrap(), None);
        assert_eq!(columns.read_joined::<Joined, _>(pair).unwrap(), Some((6, 7)));
        assert_eq!(columns.read::<i64>().unwrap(), 8);
        assert!(columns.read_optional::<i64>().is_err(), "there is no ninth");
    }
}
