//! The broker's stream as its acknowledgements describe it, and what of it was lost. The database is the system of record:
//! lost events are published again.

use frontdesk_bus::{Bus, BusError};
use frontdesk_clock::Time;
use frontdesk_db::{Db, DbErr, Tx};
use sea_orm::{
    ActiveValue::NotSet, ConnectionTrait, DbBackend, EntityTrait, Set, Statement, Value, sea_query::OnConflict,
};

pub(crate) use entity::{Column, Entity, Model};

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "outbox_streams")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub source: String,
        /// When the stream was created.
        pub created_at: i64,
        /// Number of the last event that the broker acknowledged.
        pub last_sequence: i64,
        /// Events with a later number in the stream were lost. NULL, like the two below: nothing is to be published again.
        pub lost_after: Option<i64>,
        /// Events up to this position were not lost, or are published again.
        pub republish_from: Option<i64>,
        /// The position up to which events are published again.
        pub republish_to: Option<i64>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Maximum number of events that a stream that came back shorter takes before the first one whose number is seen, by an
/// acknowledgement or in the stream's state: events that were sent before the connection was lost and arrive after it. They have
/// numbers of lost events.
const MAX_UNSEEN: i64 = 10_000;

/// The number after which events were lost, when the stream came back shorter and its last event is, or was, `last`.
pub(crate) fn lost_after(last: i64) -> i64 {
    (last - MAX_UNSEEN).max(0)
}

/// What a check of the stream found.
pub(crate) struct Checked {
    /// Number of the last event in the stream.
    pub(crate) last_sequence: i64,
    /// Whether lost events are to be published again, since this check or an earlier one.
    pub(crate) has_lost_events: bool,
}

/// Compares the broker's stream with the events that it acknowledged, which the row `key` has, and requests that those it no longer has
/// are published again. None: there is no broker.
pub(crate) async fn check_stream(db: &Db, bus: &Bus, source: &str, key: &str) -> Result<Option<Checked>, BusError> {
    // Before the state, which would otherwise be older than an acknowledgement.
    let known = Entity::find_by_id(key).one(db.read()).await?;
    let Some(state) = bus.stream_state(source).await? else { return Ok(None) };
    let lost = match &known {
        None => Some(0),
        Some(known) if Time(known.created_at) != state.created_at => Some(0),
        Some(known) if known.last_sequence > state.last_sequence => Some(lost_after(state.last_sequence)),
        Some(_) => None,
    };
    let mut has_lost_events = known.as_ref().is_some_and(|known| known.republish_to.is_some());
    if let Some(lost_after) = lost {
        // Before the request is stored: if this fails, the next check finds the loss again.
        if known.is_some() {
            bus.restart_consumers(source, lost_after).await?;
        }
        let tx = db.begin().await?;
        let row = entity::ActiveModel {
            source: Set(key.to_owned()),
            created_at: Set(state.created_at.0),
            last_sequence: Set(state.last_sequence),
            lost_after: NotSet,
            republish_from: NotSet,
            republish_to: NotSet,
        };
        let update =
            OnConflict::column(Column::Source).update_columns([Column::CreatedAt, Column::LastSequence]).to_owned();
        Entity::insert(row).on_conflict(update).exec_without_returning(tx.conn()).await?;
        has_lost_events |= publish_again(&tx, key, lost_after).await?;
        tx.commit().await?;
    }
    Ok(Some(Checked { last_sequence: state.last_sequence, has_lost_events }))
}

/// Requests that the events whose number in the stream is greater than `lost_after` are published again. The leading relay does so, in
/// parts. False: no event was published.
async fn publish_again(tx: &Tx, key: &str, lost_after: i64) -> Result<bool, DbErr> {
    request_again(tx, key, lost_after, None).await?;
    let requested = Entity::find_by_id(key).one(tx.conn()).await?.and_then(|stream| stream.republish_to);
    if requested.is_some() {
        report_loss(key, lost_after);
    }
    Ok(requested.is_some())
}

/// Requests that events are published again: those after the last checkpoint whose number is at most `lost_after`. The numbers of later
/// checkpoints are given again by the broker. A request that is not completed yet is widened and begins anew, because the events that it
/// published may be lost too. `last_sequence`: the number of the last event now. None: it is stored already.
pub(crate) async fn request_again(
    tx: &Tx,
    key: &str,
    lost_after: i64,
    last_sequence: Option<i64>,
) -> Result<(), DbErr> {
    let sql =
        "UPDATE outbox_streams SET lost_after = least(CASE WHEN republish_to IS NOT NULL THEN lost_after END, $1),
             last_sequence = coalesce($3, last_sequence),
             republish_to = (SELECT nullif(published_to, 0) FROM outbox_progress)
         WHERE source = $2 RETURNING lost_after";
    let values: [Value; 3] = [lost_after.into(), key.to_owned().into(), last_sequence.into()];
    let row = tx.conn().query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
    let Some(row) = row else { return Ok(()) };
    let lost_after: i64 = row.try_get("", "lost_after")?;
    let execute = async |sql: &str, value: Value| {
        tx.conn().execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, [value])).await
    };
    execute("DELETE FROM outbox_checkpoints WHERE stream_sequence > $1", lost_after.into()).await?;
    let from =
        "UPDATE outbox_streams SET republish_from = coalesce((SELECT max(settled_to) FROM outbox_checkpoints), 0)
         WHERE source = $1";
    execute(from, key.to_owned().into()).await?;
    Ok(())
}

pub(crate) fn report_loss(relay: &str, lost_after: i64) {
    tracing::error!(relay, lost_after, "the broker lost events; they are published again");
}
