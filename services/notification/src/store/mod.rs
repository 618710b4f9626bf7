//! Statements on the tables, and the mapping between rows and domain types. Every statement is limited to one account, except
//! those of the delivery worker, which serves all accounts.

pub(crate) mod deliveries;
pub(crate) mod entity;
pub(crate) mod events;
pub(crate) mod mail_counts;
pub(crate) mod senders;
pub(crate) mod transcript_decisions;

use frontdesk_clock::Time;
use sea_orm::{ColumnTrait, Condition, DbErr};
use uuid::Uuid;

/// Rows after a cursor, newest first.
fn after<C: ColumnTrait>(created_at: C, id: C, (at, last): (Time, Uuid)) -> Condition {
    Condition::any().add(created_at.lt(at)).add(Condition::all().add(created_at.eq(at)).add(id.lt(last)))
}

/// The value that a text column names.
fn parse<T>(column: &str, name: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, DbErr> {
    parse(name).ok_or_else(|| DbErr::Type(format!("{column} holds {name:?}, which this version does not know")))
}
