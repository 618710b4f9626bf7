//! Statements for [`Db::read_planned_for`](crate::Db::read_planned_for), which PostgreSQL plans once for each connection.

use std::fmt::{self, Display, Write};

use sea_orm::{
    DbBackend, Statement, Value,
    sea_query::{
        PostgresQueryBuilder, QueryBuilder, SelectStatement, SqlWriter, SqlWriterValues, SqliteQueryBuilder, Values,
    },
};

/// The statement with its limits in its text, and everything else as parameters. A plan is made once for all values of the parameters,
/// and without a known limit it would read and sort all rows of an account for the first ones.
pub fn planned(backend: DbBackend, select: &SelectStatement) -> Statement {
    match backend {
        DbBackend::Postgres => build(backend, select, PostgresQueryBuilder),
        _ => build(backend, select, SqliteQueryBuilder),
    }
}

fn build(backend: DbBackend, select: &SelectStatement, builder: impl QueryBuilder) -> Statement {
    let (placeholder, numbered) = builder.placeholder();
    let mut text = Text(SqlWriterValues::new(placeholder, numbered));
    select.build_collect_into(builder, &mut text);
    let (sql, Values(values)) = text.0.into_parts();
    Statement::from_sql_and_values(backend, sql, values)
}

struct Text(SqlWriterValues);

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_str(text)
    }
}

impl Display for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl SqlWriter for Text {
    fn push_param<T: QueryBuilder>(&mut self, value: Value, builder: &T) {
        match value {
            // No column is unsigned: it is a limit.
            Value::BigUnsigned(Some(limit)) => self.0.write_str(&limit.to_string()).unwrap_or_default(),
            value => self.0.push_param(value, builder),
        }
    }

    fn as_writer(&mut self) -> &mut dyn Write {
        self
    }
}

/// A text as a UUID, for a statement: it finds rows by an index of UUIDs. NULL if the text is none. `text`: SQL of the text.
pub fn uuid_of_text(backend: DbBackend, text: &str) -> String {
    match backend {
        DbBackend::Postgres => format!(
            "CASE WHEN {text} ~ '^[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}$' THEN CAST({text} AS uuid) END"
        ),
        _ => format!("unhex(replace({text}, '-', ''))"),
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::sea_query::{Expr, ExprTrait, Query};

    use super::*;

    #[test]
    fn limits_are_in_the_text_and_other_values_are_parameters() {
        let some = Query::select().column("id").from("things").and_where(Expr::col("kind").eq(7_i64)).limit(5).take();
        let first = Query::select().column("id").from_subquery(some, "some").limit(3).take();
        for (backend, parameter) in [(DbBackend::Postgres, "$1"), (DbBackend::Sqlite, "?")] {
            let statement = planned(backend, &first);
            let inner = format!(r#"SELECT "id" FROM "things" WHERE "kind" = {parameter} LIMIT 5"#);
            assert_eq!(statement.sql, format!(r#"SELECT "id" FROM ({inner}) AS "some" LIMIT 3"#));
            assert_eq!(statement.values, Some(Values(vec![7_i64.into()])));
        }
    }
}
