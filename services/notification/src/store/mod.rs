//! The statements. Each one that a caller's request reaches names the account; those of workers and consumers serve all accounts.

mod account_tables;
pub(crate) mod address_codes;
pub(crate) mod agent_mails;
pub(crate) mod deliveries;
pub(crate) mod due_deliveries;
pub(crate) mod entity;
pub(crate) mod erased_ids;
pub(crate) mod event_orders;
pub(crate) mod events;
pub(crate) mod mail_counts;
pub(crate) mod notification_preferences;
pub(crate) mod senders;
pub(crate) mod suppressions;
pub(crate) mod transcript_decisions;
pub(crate) mod transcript_templates;
pub(crate) mod webhook_deliveries;
pub(crate) mod webhook_endpoints;

pub(crate) use account_tables::ACCOUNT_TABLES;

use frontdesk_clock::Time;
use sea_orm::{ColumnTrait, Condition, DbErr};
use uuid::Uuid;

/// Returns the condition for rows after a cursor, newest first. The first part bounds the range of the index that is read.
fn after<C: ColumnTrait>(created_at: C, id: C, (at, last): (Time, Uuid)) -> Condition {
    Condition::all().add(created_at.lte(at)).add(Condition::any().add(created_at.lt(at)).add(id.lt(last)))
}

/// Returns the sequence that a column holds.
fn sequence(column: &str, number: i64) -> Result<i32, DbErr> {
    i32::try_from(number).map_err(|_| DbErr::Type(format!("{column} holds {number}, which is no sequence")))
}

/// Returns the value that a text column names.
fn parse<T>(column: &str, name: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, DbErr> {
    parse(name).ok_or_else(|| DbErr::Type(format!("{column} holds {name:?}, which this version does not know")))
}
