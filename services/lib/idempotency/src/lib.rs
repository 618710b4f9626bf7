//! Request ids (rule C12): a repeated write gets the result of the first one; the same id with other content is refused.
//!
//! A command claims the [`Key`] in its transaction, after locking its row, and stores a reference to what it made with the key:
//! an id or a number, never content. A [`RequestBatch`] does so for many requests with two statements.

mod batch;
mod entity;
mod key;

use std::time::Duration;

use frontdesk_db::{AccountTable, Retention, Sql};

pub use batch::{RequestBatch, is_id_taken};
pub use key::{ClaimError, Key};

/// The table, for each service's migrations.
pub const REQUESTS: Sql = Sql {
    name: "idempotency_001_requests",
    text: "CREATE TABLE requests (
            account_id UUID NOT NULL,
            actor TEXT NOT NULL,
            request_id TEXT NOT NULL,
            fingerprint {bytes} NOT NULL,
            result TEXT,
            created_at BIGINT NOT NULL,
            CONSTRAINT requests_pk PRIMARY KEY (account_id, actor, request_id)
        );
        CREATE INDEX requests_age ON requests (created_at)",
};

/// Request ids are kept for 7 days, far longer than a caller repeats a request.
pub const RETENTION: Retention = Retention {
    table: "requests",
    time_column: "created_at",
    order_column: "created_at",
    keep: Duration::from_secs(7 * 24 * 3600),
    batch: 5_000,
};

/// The table, for the erasure of an account.
pub const ACCOUNT_TABLE: AccountTable = AccountTable::new("requests", &["actor", "request_id"]).not_exported();
