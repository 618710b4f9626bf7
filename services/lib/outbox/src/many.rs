//! Events of many changes at once: built one by one, written with one statement.

use frontdesk_clock::Time;
use frontdesk_db::Tx;
use frontdesk_proto::event::v1::Event;
use prost::{Message, Name};
use sea_orm::{ActiveValue::NotSet, DbErr, EntityTrait, Set, Value};
use uuid::Uuid;

use crate::{Aggregate, entity};

/// Events that wait to be written, in the order in which they shall be published.
#[derive(Debug)]
pub struct Events {
    now: Time,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    id: Uuid,
    aggregate: Aggregate,
    event: Vec<u8>,
}

impl Events {
    /// None yet. `now`: when they happen, by the database's clock.
    pub fn new(now: Time) -> Self {
        Self { now, rows: Vec::new() }
    }

    /// Adds one, caused by the call that `traceparent` names.
    pub fn push<M: Message + Name>(&mut self, aggregate: Aggregate, message: &M, traceparent: &str) {
        let id = Uuid::now_v7();
        let event = Event {
            id: id.to_string(),
            r#type: M::full_name(),
            source: aggregate.source.into(),
            account_id: aggregate.account.to_string(),
            aggregate_type: aggregate.kind.into(),
            aggregate_id: aggregate.id.to_string(),
            version: aggregate.version,
            create_time: Some(self.now.to_proto()),
            traceparent: traceparent.to_owned(),
            data: Some(prost_types::Any {
                type_url: format!("type.googleapis.com/{}", M::full_name()),
                value: message.encode_to_vec(),
            }),
        };
        self.rows.push(Row { id, aggregate, event: event.encode_to_vec() });
    }

    /// Writes them in the transaction of the change; they are published if and only if that commits.
    pub async fn insert(self, tx: &mut Tx) -> Result<(), DbErr> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let rows = self.rows.into_iter().map(|row| entity::ActiveModel {
            position: NotSet,
            event_id: Set(row.id),
            account_id: Set(row.aggregate.account.0),
            aggregate_id: Set(row.aggregate.id),
            version: Set(row.aggregate.version),
            event: Set(row.event),
            created_at: Set(self.now.0),
            published_at: Set(None),
            stream_sequence: Set(None),
        });
        entity::Entity::insert_many(rows).exec_without_returning(tx.conn()).await?;
        tx.wake_outbox_on_commit();
        Ok(())
    }

    /// For PostgreSQL: the same as a part of a larger statement, whatever their number, with [`Self::PARAMETERS`] parameters
    /// from `$first` on. Positions rise in the order of the events. Whoever uses it also wakes the relay.
    pub fn insert_sql(first: usize) -> String {
        let [ids, accounts, aggregates, versions, events, at] = std::array::from_fn(|n| first + n);
        format!(
            "INSERT INTO outbox_events (event_id, account_id, aggregate_id, version, event, created_at) \
             SELECT event_id, account_id, aggregate_id, version, event, ${at} FROM unnest(\
             ${ids}::uuid[], ${accounts}::uuid[], ${aggregates}::uuid[], ${versions}::bigint[], ${events}::bytea[]) \
             WITH ORDINALITY AS new (event_id, account_id, aggregate_id, version, event, number) ORDER BY number"
        )
    }

    /// How many parameters [`Self::insert_sql`] takes.
    pub const PARAMETERS: usize = 6;

    /// The parameters of [`Self::insert_sql`].
    pub fn into_values(self) -> [Value; Self::PARAMETERS] {
        let ids: Vec<Uuid> = self.rows.iter().map(|row| row.id).collect();
        let accounts: Vec<Uuid> = self.rows.iter().map(|row| row.aggregate.account.0).collect();
        let aggregates: Vec<Uuid> = self.rows.iter().map(|row| row.aggregate.id).collect();
        let versions: Vec<i64> = self.rows.iter().map(|row| row.aggregate.version).collect();
        let events: Vec<Vec<u8>> = self.rows.into_iter().map(|row| row.event).collect();
        [ids.into(), accounts.into(), aggregates.into(), versions.into(), events.into(), self.now.0.into()]
    }
}
