//! How long events and marks are kept.

use std::time::Duration;

use frontdesk_db::{AccountId, AccountTable, Db, DbErr, Retention};
use sea_orm::entity::prelude::*;

use crate::entity;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Published events are kept for 7 days, so that a broker that lost them can be given them again. The time column has no
/// index, which each event would have to write; positions rise with it.
///
/// The time is that of the next event: a reader that stopped at an event can go on after it for as long as the next one is kept, however
/// long ago its own was, and the time of the next one tells it whether any was deleted (`published.rs`). The last event is always kept.
pub(crate) const EVENTS: Retention = Retention {
    table: "outbox_events",
    time_column: "CASE WHEN position <= (SELECT settled_to FROM outbox_progress) THEN (
        SELECT next.created_at FROM outbox_events AS next WHERE next.position > outbox_events.position
        ORDER BY next.position LIMIT 1) END",
    order_column: "position",
    keep: DAY.saturating_mul(7),
    batch: 5_000,
};

/// Marks are kept for 14 days, longer than events, so that an event that is published again is still recognised.
pub(crate) const HANDLED: Retention = Retention {
    table: "handled_events",
    time_column: "handled_at",
    order_column: "handled_at",
    keep: DAY.saturating_mul(14),
    batch: 5_000,
};

/// Checkpoints are kept as long as events, which begin after the first of them.
const CHECKPOINTS: Retention = Retention {
    table: "outbox_checkpoints",
    time_column: "created_at",
    order_column: "settled_to",
    keep: DAY.saturating_mul(7),
    batch: 5_000,
};

/// How long the tables of [`OUTBOX`](crate::OUTBOX) keep their rows.
pub const RETENTIONS: [Retention; 3] = [EVENTS, CHECKPOINTS, HANDLED];

/// The events, for the erasure of an account. Those about the account itself stay until the retention deletes them: a broker that lost
/// them must get them again. So do those that wait to be published ([`has_waiting_event_of`]).
pub const ACCOUNT_TABLE: AccountTable = AccountTable::new("outbox_events", &["position"])
    .not_exported()
    .erased_if("aggregate_id <> account_id AND position <= (SELECT settled_to FROM outbox_progress)");

/// Whether an event of the account, and not about the account itself, waits to be published.
pub async fn has_waiting_event_of(db: &Db, account: AccountId) -> Result<bool, DbErr> {
    let waiting = entity::Entity::find()
        .filter(entity::Column::AccountId.eq(account.0))
        .filter(entity::Column::AggregateId.ne(account.0))
        .filter(Expr::cust("position > (SELECT settled_to FROM outbox_progress)"));
    Ok(waiting.one(db.read()).await?.is_some())
}
