//! Pages by the position of their last row. Positions are compared as rows, `(a, b) < (x, y)`: PostgreSQL starts the scan of an
//! index there, which it does not for `a < x OR (a = x AND b < y)`.

use sea_orm::{
    ColumnTrait, Value,
    sea_query::{Expr, ExprTrait},
};

/// The rows before this position: the rest of a list in descending order.
pub(super) fn before<C: ColumnTrait>(columns: [C; 2], position: (impl Into<Value>, impl Into<Value>)) -> Expr {
    tuple(columns).lt(values(position))
}

/// The rows after this position: the rest of a list in ascending order.
pub(super) fn after<C: ColumnTrait>(columns: [C; 2], position: (impl Into<Value>, impl Into<Value>)) -> Expr {
    tuple(columns).gt(values(position))
}

fn tuple<C: ColumnTrait>(columns: [C; 2]) -> Expr {
    Expr::tuple(columns.map(|column| Expr::col(column.as_column_ref())))
}

fn values((first, second): (impl Into<Value>, impl Into<Value>)) -> Expr {
    Expr::tuple([Expr::value(first), Expr::value(second)])
}
