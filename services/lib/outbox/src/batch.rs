//! The events of many changes, built one by one and written with one statement.

use frontdesk_clock::Time;
use frontdesk_db::{Tx, hex, is_in, json_array};
use frontdesk_proto::event::v1::Event;
use prost::{Message, Name};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, Value};
use serde_json::json;
use uuid::Uuid;

use crate::Aggregate;

/// Events to be written, in the order in which they are to be published.
#[derive(Debug)]
pub struct Events {
    now: Time,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    aggregate: Aggregate,
    /// Without its id, which the transaction gives.
    event: Event,
}

impl Aggregate {
    /// Returns an event about it, without an id. `now`: when it happens. It is caused by the call that `traceparent` names.
    pub fn event<M: Message + Name>(&self, message: &M, now: Time, traceparent: &str) -> Event {
        Event {
            id: String::new(),
            r#type: M::full_name(),
            source: self.source.into(),
            account_id: self.account.to_string(),
            aggregate_type: self.kind.into(),
            aggregate_id: self.id.to_string(),
            version: i32::try_from(self.version).unwrap_or(i32::MAX),
            create_time: Some(now.to_proto()),
            traceparent: traceparent.to_owned(),
            data: Some(prost_types::Any {
                type_url: format!("type.googleapis.com/{}", M::full_name()),
                value: message.encode_to_vec(),
            }),
        }
    }
}

impl Events {
    /// No events yet. `now`: when they happen, by the database's clock.
    pub fn new(now: Time) -> Self {
        Self { now, rows: Vec::new() }
    }

    /// Adds an event, caused by the call that `traceparent` names.
    pub fn push<M: Message + Name>(&mut self, aggregate: Aggregate, message: &M, traceparent: &str) {
        let event = aggregate.event(message, self.now, traceparent);
        self.rows.push(Row { aggregate, event });
    }

    /// Writes the events in the transaction of the change; they are published if and only if it commits.
    pub async fn insert(self, tx: &mut Tx) -> Result<(), DbErr> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let backend = tx.conn().get_database_backend();
        let insert = if backend == DbBackend::Sqlite {
            Statement::from_sql_and_values(backend, Self::insert_on_sqlite_sql(None), [self.into_json(tx)])
        } else {
            Statement::from_sql_and_values(backend, Self::insert_sql(1, None), self.into_values(tx))
        };
        tx.conn().execute_raw(insert).await?;
        tx.wake_outbox_on_commit();
        Ok(())
    }

    /// For SQLite: the statement of [`Self::insert`], with the parameter [`Self::into_json`]. If there is a query `changed`, only events
    /// whose aggregate it returns are written. The caller also calls [`Tx::wake_outbox_on_commit`].
    pub fn insert_on_sqlite_sql(changed: Option<&str>) -> String {
        let is_changed = changed.map_or("true".to_owned(), |changed| format!("unhex(new.value->>2) IN ({changed})"));
        format!(
            "INSERT INTO outbox_events (event_id, account_id, aggregate_id, version, event, created_at, published_at)
             SELECT unhex(new.value->>0), unhex(new.value->>1), unhex(new.value->>2), new.value->>3, unhex(new.value->>4),
               new.value->>5, new.value->>5
             FROM json_each(?) AS new WHERE {is_changed} ORDER BY new.key"
        )
    }

    /// The parameter of [`Self::insert_on_sqlite_sql`], for this transaction.
    pub fn into_json(self, tx: &Tx) -> Value {
        let at = self.now.0;
        json_array(self.rows.into_iter().map(|row| {
            let (aggregate, id, event) = row.encode(tx);
            let [account, aggregate_id] = [aggregate.account.0, aggregate.id].map(|id| hex(id.as_bytes()));
            json!([hex(id.as_bytes()), account, aggregate_id, aggregate.version, hex(&event), at])
        }))
    }

    /// For PostgreSQL: [`Self::insert`] as a part of a larger statement, the same text for any number of events, with
    /// [`Self::PARAMETERS`] parameters from `$first` on. If there is a query `changed`, only events whose aggregate it returns are
    /// written. Positions rise in the order of the events; the transaction gets its number before them, as the relay expects. The caller
    /// also calls [`Tx::wake_outbox_on_commit`].
    pub fn insert_sql(first: usize, changed: Option<&str>) -> String {
        let [ids, accounts, aggregates, versions, events, at] = std::array::from_fn(|n| first + n);
        format!(
            "INSERT INTO outbox_events (event_id, account_id, aggregate_id, version, event, created_at, published_at) \
             SELECT event_id, account_id, aggregate_id, version, event, ${at}, ${at} FROM unnest(\
             ${ids}::uuid[], ${accounts}::uuid[], ${aggregates}::uuid[], ${versions}::bigint[], ${events}::bytea[]) \
             WITH ORDINALITY AS new (event_id, account_id, aggregate_id, version, event, number) \
             WHERE pg_current_xact_id() IS NOT NULL AND {} ORDER BY number",
            changed.map_or("true".to_owned(), |changed| is_in("aggregate_id", changed))
        )
    }

    /// Number of parameters of [`Self::insert_sql`].
    pub const PARAMETERS: usize = 6;

    /// The parameters of [`Self::insert_sql`], for this transaction.
    pub fn into_values(self, tx: &Tx) -> [Value; Self::PARAMETERS] {
        let (mut ids, mut accounts, mut aggregates) = (Vec::new(), Vec::new(), Vec::new());
        let (mut versions, mut events) = (Vec::new(), Vec::new());
        for row in self.rows {
            let (aggregate, id, event) = row.encode(tx);
            ids.push(id);
            accounts.push(aggregate.account.0);
            aggregates.push(aggregate.id);
            versions.push(aggregate.version);
            events.push(event);
        }
        [ids.into(), accounts.into(), aggregates.into(), versions.into(), events.into(), self.now.0.into()]
    }
}

impl Row {
    fn encode(self, tx: &Tx) -> (Aggregate, Uuid, Vec<u8>) {
        let id = tx.new_id();
        (self.aggregate, id, Event { id: id.to_string(), ..self.event }.encode_to_vec())
    }
}
