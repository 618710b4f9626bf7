//! How long events and marks are kept.

use std::time::Duration;

use frontdesk_db::Retention;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Published events are kept for 7 days, so that a broker that lost them can be given them again. The time column has no
/// index, which each event would have to write; positions rise with it.
const EVENTS: Retention = Retention {
    table: "outbox_events",
    time_column: "published_at",
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

/// How long the tables of [`OUTBOX`](crate::OUTBOX) keep their rows.
pub const RETENTIONS: [Retention; 2] = [EVENTS, HANDLED];
