//! The transactional outbox, and the marks of handled events on the side of the consumers.
//!
//! [`append`] writes an event in the transaction of the change, so that it is published if and only if the change commits. The
//! [`relay`] publishes it afterwards, at least once; [`mark_handled`] lets a consumer recognise an event that comes again.
//! [`list_published`] reads what is published, in order, from where a reader stopped.

mod batch;
mod entity;
mod handled;
mod lease;
mod positions;
mod progress;
mod publish;
mod published;
mod relay;
mod republish;
mod retention;
mod send;
mod stream;
mod unpublished;
mod waiting;

use frontdesk_db::{AccountId, Sql, Tx};
use prost::{Message, Name};
use sea_orm::DbErr;
use uuid::Uuid;

pub use batch::Events;
pub use handled::{mark_all_handled, mark_handled};
pub use published::{
    PUBLISHED, Published, PublishedEvents, earliest_position, is_kept_after, list_published, list_published_of,
    published_notifier, settled_to,
};
pub use relay::{publish_waiting, relay};
pub use retention::{ACCOUNT_TABLE, RETENTIONS, has_waiting_event_of};
pub use unpublished::{Unpublished, measure_unpublished};

/// The tables, for each service's migrations.
pub const OUTBOX: Sql = Sql {
    name: "outbox_001_events_and_handled",
    text: "CREATE TABLE outbox_events (
            position {identity},
            event_id UUID NOT NULL,
            account_id UUID NOT NULL,
            aggregate_id UUID NOT NULL,
            version BIGINT NOT NULL,
            event {bytes} NOT NULL,
            created_at BIGINT NOT NULL,
            published_at BIGINT,
            CONSTRAINT outbox_events_version UNIQUE (account_id, aggregate_id, version)
        );
        CREATE INDEX outbox_events_waiting ON outbox_events (position) WHERE published_at IS NULL;
        CREATE INDEX outbox_events_published ON outbox_events (published_at) WHERE published_at IS NOT NULL;
        CREATE TABLE handled_events (
            consumer TEXT NOT NULL,
            event_id UUID NOT NULL,
            handled_at BIGINT NOT NULL,
            CONSTRAINT handled_events_pk PRIMARY KEY (consumer, event_id)
        );
        CREATE INDEX handled_events_age ON handled_events (handled_at)",
};

/// The tables for several replicas and a broker; the older binary still runs. Expired rows are found by their position: an
/// index of the time of publishing would be written for every event and read once an hour.
pub const OUTBOX_LEADER_AND_STREAM: Sql = Sql {
    name: "outbox_002_leader_and_stream",
    text: "ALTER TABLE outbox_events ADD COLUMN stream_sequence BIGINT;
        DROP INDEX outbox_events_published;
        CREATE TABLE outbox_streams (
            source TEXT NOT NULL CONSTRAINT outbox_streams_pk PRIMARY KEY,
            created_at BIGINT NOT NULL,
            last_sequence BIGINT NOT NULL
        );
        CREATE TABLE leases (
            name TEXT NOT NULL CONSTRAINT leases_pk PRIMARY KEY,
            holder UUID NOT NULL,
            term BIGINT NOT NULL,
            ends_at BIGINT NOT NULL
        )",
};

/// What is being published again, and its progress.
pub const OUTBOX_REPUBLISHING: Sql = Sql {
    name: "outbox_003_republishing",
    text: "ALTER TABLE outbox_streams ADD COLUMN lost_after BIGINT;
        ALTER TABLE outbox_streams ADD COLUMN republish_from BIGINT;
        ALTER TABLE outbox_streams ADD COLUMN republish_to BIGINT",
};

/// What is published, as positions instead of a mark for each event. An older binary still runs: it publishes the events whose
/// `published_at` is NULL, which are only those that older binaries append, and has a row of `outbox_streams` of its own. Events that wait
/// at the time of the change are published by both.
pub const OUTBOX_PROGRESS: Sql = Sql {
    name: "outbox_004_progress",
    text: "CREATE TABLE outbox_progress (
            settled_to BIGINT NOT NULL,
            published_to BIGINT NOT NULL,
            gaps TEXT NOT NULL
        );
        INSERT INTO outbox_progress (settled_to, published_to, gaps)
            SELECT position, position, '[]' FROM (
                SELECT coalesce(min(CASE WHEN published_at IS NULL THEN position END) - 1, max(position), 0) AS position
                FROM outbox_events) AS last;
        INSERT INTO outbox_streams (source, created_at, last_sequence)
            SELECT 'publisher.' || source, created_at, last_sequence FROM outbox_streams;
        CREATE TABLE outbox_checkpoints (
            settled_to BIGINT NOT NULL CONSTRAINT outbox_checkpoints_pk PRIMARY KEY,
            stream_sequence BIGINT NOT NULL,
            created_at BIGINT NOT NULL
        )",
};

/// The thing that an event is about, at the version that the change made.
#[derive(Clone, Copy, Debug)]
pub struct Aggregate {
    /// The service that owns it.
    pub source: &'static str,
    /// Its account.
    pub account: AccountId,
    /// Its type, such as `conversation`.
    pub kind: &'static str,
    /// Its id, unique within the account.
    pub id: Uuid,
    /// The number of this event among those of the aggregate: 1, 2, 3 and so on, assigned while its row is locked.
    pub version: i64,
}

/// Writes an event in the transaction of the change; it is published if and only if that commits.
pub async fn append<M: Message + Name>(tx: &mut Tx, aggregate: Aggregate, message: &M) -> Result<(), DbErr> {
    let mut events = Events::new(tx.now().await?);
    events.push(aggregate, message, &frontdesk_telemetry::traceparent());
    events.insert(tx).await
}

#[cfg(test)]
mod tests;
