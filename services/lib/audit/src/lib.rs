//! The audit log: the caller, the method, the time, the resources and the outcome of every administrative call.
//!
//! A record is written before the call ([`AuditLog::begin`]): without a record there is no call. The outcome is added after the
//! call ([`PendingRecord::finish`]); a record without an outcome belongs to a call that is running, or whose outcome is unknown
//! because its process was killed. Refused calls are counted ([`AuditLog::record_refused`]). Nothing else changes a record, and after 400 days it is deleted ([`RETENTION`]).
//!
//! A record contains ids, names of methods and reasons: never a text, a name or an address. [`Resources`] has no room for one.

mod entity;
mod log;
mod record;
mod refusals;

use std::time::Duration;

use frontdesk_db::{Retention, Sql};

pub use log::{AuditLog, Call, PendingRecord};
pub use record::{Record, Resources, list};

/// The table, for each service's migrations.
pub const RECORDS: Sql = Sql {
    name: "audit_001_records",
    text: "CREATE TABLE audit_records (
            id UUID NOT NULL,
            account_id UUID NOT NULL,
            at BIGINT NOT NULL,
            actor TEXT NOT NULL,
            method TEXT NOT NULL,
            resources TEXT NOT NULL,
            trace_id TEXT NOT NULL,
            outcome TEXT,
            CONSTRAINT audit_records_pk PRIMARY KEY (id)
        );
        CREATE INDEX audit_records_of_account ON audit_records (account_id, at);
        CREATE INDEX audit_records_age ON audit_records (at);
        {row_level_security audit_records}",
};

/// Records are kept for 400 days: a year, and a month to look back on it.
pub const RETENTION: Retention = Retention {
    table: "audit_records",
    time_column: "at",
    order_column: "at",
    keep: Duration::from_secs(400 * 24 * 3600),
    batch: 500,
};

#[cfg(test)]
mod tests;
