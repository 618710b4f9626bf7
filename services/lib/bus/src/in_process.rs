//! The bus within one process: a SQLite file with a row for each pending delivery of an event to a consumer.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use frontdesk_clock::{Clock, Time};
use frontdesk_db::{Db, Sql, hex, json_rows};
use frontdesk_proto::event::v1::Event;
use frontdesk_telemetry::MeasuredGauge;
use futures::FutureExt;
use opentelemetry::KeyValue;
use prost::Message as _;
use sea_orm::{
    ActiveValue::NotSet, ConnectionTrait, EntityTrait, QueryOrder, QuerySelect, Set, Statement, entity::prelude::*,
};
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use serde_json::json;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    BusError,
    attempt::{Subscription, Verdict},
    change_notifier::ChangeNotifier,
    consumer::Consumer,
    unhandled::unhandled_gauge,
};

/// Interval between two looks at the file, for rows that another process wrote: replayed dead letters.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// Delay before the next attempt after the file could not be read, or progress could not be stored.
const ERROR_DELAY: Duration = Duration::from_secs(1);
/// Interval between two measurements of the events that consumers have not handled.
const MEASURE_INTERVAL: Duration = Duration::from_secs(15);

/// Stores events: rows of id, event, time, and names of the consumers.
const INSERT: &str = "INSERT INTO pending (consumer, event_id, event, attempts, due_at)
    SELECT consumer.value, unhex(event.value->>0), unhex(event.value->>1), 0, event.value->>2
    FROM json_each(?1) AS event, json_each(event.value, '$[3]') AS consumer WHERE true ORDER BY event.key
    ON CONFLICT (consumer, event_id) DO NOTHING";
/// Deletes deliveries, unless the event was replayed since: rows of id and time.
const DELETE: &str = "DELETE FROM pending WHERE (id, due_at) IN (SELECT value->>0, value->>1 FROM json_each(?1))";

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let pending = Sql {
            name: "bus_001_pending",
            text: "CREATE TABLE pending (
                    id {identity},
                    consumer TEXT NOT NULL,
                    event_id UUID NOT NULL,
                    event {bytes} NOT NULL,
                    attempts INTEGER NOT NULL,
                    due_at BIGINT NOT NULL,
                    CONSTRAINT pending_once UNIQUE (consumer, event_id)
                );
                CREATE INDEX pending_due ON pending (consumer, due_at)",
        };
        // One index for each of the two searches: with one for both, each passes over all deliveries of the other.
        let pending_by_attempts = Sql {
            name: "bus_002_pending_by_attempts",
            text: "CREATE INDEX pending_first ON pending (consumer, due_at, id) WHERE attempts = 0;
                CREATE INDEX pending_again ON pending (consumer, due_at, id) WHERE attempts > 0;
                DROP INDEX pending_due",
        };
        vec![Box::new(pending), Box::new(pending_by_attempts)]
    }
}

mod pending {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "pending")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub consumer: String,
        pub event_id: Uuid,
        pub event: Vec<u8>,
        pub attempts: i32,
        pub due_at: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The bus within this process, made by [`Bus::in_process`](crate::Bus::in_process).
#[derive(Clone)]
pub struct InProcess {
    db: Db,
    clock: Clock,
    consumers: Arc<Mutex<Vec<Subscribed>>>,
    notifiers: Arc<Mutex<HashMap<String, ChangeNotifier>>>,
    /// Never changes: there is no connection that could be lost.
    reconnected: watch::Sender<u64>,
    unhandled: MeasuredGauge,
}

/// A delivery whose attempt has ended.
struct Ended {
    id: i64,
    /// When the delivery was due, if the event is handled.
    handled: Option<i64>,
}

/// A consumer, notified when events for it were stored.
type Subscribed = (Arc<Subscription>, Arc<Notify>);

impl InProcess {
    pub(crate) async fn start(db: Db, clock: Clock) -> Result<Self, BusError> {
        frontdesk_db::migrate::<Migrator>(&db).await?;
        let (consumers, notifiers) = (Arc::default(), Arc::default());
        let (reconnected, unhandled) = (watch::Sender::new(0), unhandled_gauge());
        Ok(Self { db, clock, consumers, notifiers, reconnected, unhandled })
    }

    pub(crate) fn subscribe(&self, consumer: impl Consumer, dead_letters: Db) {
        let subscribed = (Subscription::new(consumer, dead_letters), Arc::default());
        self.consumers.lock().unwrap_or_else(PoisonError::into_inner).push(subscribed);
    }

    pub(crate) fn reconnected(&self) -> watch::Receiver<u64> {
        self.reconnected.subscribe()
    }

    pub(crate) fn change_notifier(&self, name: &str) -> ChangeNotifier {
        let mut notifiers = self.notifiers.lock().unwrap_or_else(PoisonError::into_inner);
        notifiers.entry(name.to_owned()).or_default().clone()
    }

    fn consumers(&self) -> Vec<Subscribed> {
        self.consumers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) async fn publish(&self, events: &[Event]) -> Result<(), BusError> {
        let (consumers, now) = (self.consumers(), self.clock.now().0);
        let rows: Vec<_> = events
            .iter()
            .filter_map(|event| {
                let concerned = consumers.iter().filter(|(consumer, _)| consumer.concerns(event));
                let names: Vec<_> = concerned.map(|(consumer, _)| consumer.name()).collect();
                let id = event.id.parse::<Uuid>().unwrap_or_default();
                (!names.is_empty()).then(|| json!([hex(id.as_bytes()), hex(&event.encode_to_vec()), now, names]))
            })
            .collect();
        if !rows.is_empty() {
            self.write(json_rows(INSERT, rows.into_iter())).await?;
            consumers.iter().for_each(|(_, published)| published.notify_one());
        }
        Ok(())
    }

    /// Delivers an event to one consumer again. A delivery of it that is about to end as a dead letter again may still be stored:
    /// then it becomes later, so that its end does not delete it.
    pub(crate) async fn replay(&self, consumer: &str, event: &Event) -> Result<(), BusError> {
        let tx = self.db.begin().await?;
        let later = "CASE WHEN excluded.due_at > pending.due_at THEN excluded.due_at ELSE pending.due_at + 1 END";
        let again = sea_orm::sea_query::OnConflict::columns([pending::Column::Consumer, pending::Column::EventId])
            .value(pending::Column::DueAt, Expr::cust(later))
            .to_owned();
        pending::Entity::insert(self.pending(consumer, event))
            .on_conflict(again)
            .exec_without_returning(tx.conn())
            .await?;
        Ok(tx.commit().await?)
    }

    fn pending(&self, consumer: &str, event: &Event) -> pending::ActiveModel {
        pending::ActiveModel {
            id: NotSet,
            consumer: Set(consumer.to_owned()),
            event_id: Set(event.id.parse().unwrap_or_default()),
            event: Set(event.encode_to_vec()),
            attempts: Set(0),
            due_at: Set(self.clock.now().0),
        }
    }

    /// Executes a statement in a transaction of its own.
    async fn write(&self, statement: Statement) -> Result<(), BusError> {
        let tx = self.db.begin().await?;
        tx.conn().execute_raw(statement).await?;
        Ok(tx.commit().await?)
    }

    /// Makes one attempt to handle an event at the consumer of this name, and stores no progress. True: it is handled, or a dead letter.
    /// For simulations, which choose the next delivery themselves.
    pub async fn attempt(&self, consumer: &str, event: &Event) -> Result<bool, BusError> {
        let consumers = self.consumers();
        match consumers.iter().find(|(subscription, _)| subscription.name() == consumer) {
            Some((subscription, _)) => Ok(matches!(subscription.attempt(event, 1).await?, Verdict::Ack)),
            None => Ok(false),
        }
    }

    pub(crate) async fn run(&self, shutdown: CancellationToken) {
        let mut loops = JoinSet::new();
        for (subscription, published) in self.consumers() {
            let (bus, shutdown) = (self.clone(), shutdown.clone());
            loops.spawn(async move { bus.serve(subscription, published, shutdown).await });
        }
        let bus = self.clone();
        loops.spawn(async move {
            let _ = shutdown.run_until_cancelled(bus.measure_unhandled()).await;
        });
        crate::ended(loops).await;
    }

    /// Measures the events that consumers have not handled; never returns.
    async fn measure_unhandled(&self) {
        loop {
            match self.count_unhandled().await {
                Ok(counts) => {
                    for (subscription, _) in self.consumers() {
                        let unhandled = counts.get(subscription.name()).copied().unwrap_or(0);
                        let consumer = KeyValue::new("consumer", subscription.name().replace('.', "_"));
                        self.unhandled.set(unhandled as f64, &[consumer]);
                    }
                }
                Err(error) => tracing::debug!(%error, "the events that are not handled were not counted"),
            }
            tokio::time::sleep(MEASURE_INTERVAL).await;
        }
    }

    async fn count_unhandled(&self) -> Result<HashMap<String, i64>, DbErr> {
        let counts: Vec<(String, i64)> = pending::Entity::find()
            .select_only()
            .column(pending::Column::Consumer)
            .column_as(pending::Column::Id.count(), "events")
            .group_by(pending::Column::Consumer)
            .into_tuple()
            .all(self.db.read())
            .await?;
        Ok(counts.into_iter().collect())
    }

    /// Handles the events of one consumer, as many at once as it may.
    async fn serve(&self, subscription: Arc<Subscription>, published: Arc<Notify>, shutdown: CancellationToken) {
        let mut running: JoinSet<Ended> = JoinSet::new();
        let mut in_progress = HashMap::new();
        while !shutdown.is_cancelled() {
            let next_due = match self.start_due(&subscription, &mut running, &mut in_progress).await {
                Ok(next_due) => next_due,
                Err(error) => {
                    tracing::error!(consumer = subscription.name(), %error, "the bus cannot read its file");
                    Some(self.clock.now().plus(ERROR_DELAY))
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = published.notified(), if in_progress.len() < subscription.max_concurrent() => {}
                Some(first) = running.join_next() => {
                    let others = std::iter::from_fn(|| running.try_join_next());
                    let ended: Vec<Ended> = std::iter::once(first).chain(others).filter_map(Result::ok).collect();
                    self.delete_handled(&subscription, &ended).await;
                    for one in ended {
                        in_progress.remove(&one.id);
                    }
                }
                () = self.sleep_until(next_due) => {}
                () = tokio::time::sleep(POLL_INTERVAL) => {}
            }
        }
        let mut ended = Vec::new();
        while let Some(one) = running.join_next().await {
            ended.extend(one);
        }
        self.delete_handled(&subscription, &ended).await;
    }

    /// Deletes those of the deliveries that were handled. If that fails they are due again at once.
    async fn delete_handled(&self, subscription: &Subscription, ended: &[Ended]) {
        let handled: Vec<_> = ended.iter().filter_map(|one| Some(json!([one.id, one.handled?]))).collect();
        if !handled.is_empty()
            && let Err(error) = self.write(json_rows(DELETE, handled.into_iter())).await
        {
            not_stored(subscription, &error).await;
        }
    }

    async fn sleep_until(&self, moment: Option<Time>) {
        match moment {
            Some(moment) => self.clock.sleep_until(moment).await,
            None => std::future::pending().await,
        }
    }

    /// Starts handlers for the deliveries that are due. Returns when the next one will be due; None when none waits or no
    /// handler is free.
    async fn start_due(
        &self,
        subscription: &Arc<Subscription>,
        running: &mut JoinSet<Ended>,
        in_progress: &mut HashMap<i64, bool>,
    ) -> Result<Option<Time>, BusError> {
        let retries = in_progress.values().filter(|is_retry| **is_retry).count();
        let (max_concurrent, max_retries) = (subscription.max_concurrent(), subscription.max_concurrent_retries());
        let mut next_due = None;
        for (is_retry, free) in [(true, max_retries.saturating_sub(retries)), (false, max_concurrent)] {
            let free = free.min(max_concurrent - in_progress.len());
            let due = self.start_some(subscription, running, in_progress, is_retry, free).await?;
            next_due = next_due.into_iter().chain(due).min();
        }
        Ok(next_due)
    }

    /// Starts up to `free` handlers, for deliveries that were tried before or for new ones.
    async fn start_some(
        &self,
        subscription: &Arc<Subscription>,
        running: &mut JoinSet<Ended>,
        in_progress: &mut HashMap<i64, bool>,
        is_retry: bool,
        free: usize,
    ) -> Result<Option<Time>, BusError> {
        if free == 0 {
            return Ok(None);
        }
        // Literals: an index of some rows serves no condition with a parameter.
        let attempts = if is_retry { "attempts > 0" } else { "attempts = 0" };
        let rows = pending::Entity::find()
            .filter(pending::Column::Consumer.eq(subscription.name()))
            .filter(pending::Column::Id.is_not_in(in_progress.keys().copied()))
            .filter(Expr::cust(attempts))
            .order_by_asc(pending::Column::DueAt)
            .order_by_asc(pending::Column::Id)
            .limit(free as u64)
            .all(self.db.read())
            .await?;
        let now = self.clock.now();
        for row in rows {
            if row.due_at > now.0 {
                return Ok(Some(Time(row.due_at)));
            }
            in_progress.insert(row.id, is_retry);
            let (bus, subscription) = (self.clone(), subscription.clone());
            running.spawn(async move {
                // A bug that one delivery meets must not keep its place.
                let delivered = AssertUnwindSafe(bus.deliver(&subscription, &row)).catch_unwind().await;
                let delivered = delivered.unwrap_or_else(|_| Err(DbErr::Custom("the delivery panicked".into()).into()));
                if let Err(error) = &delivered {
                    not_stored(&subscription, error).await;
                }
                Ended { id: row.id, handled: delivered.unwrap_or(false).then_some(row.due_at) }
            });
        }
        Ok(None)
    }

    /// Makes an attempt. True: the event is handled, and its delivery is to be deleted.
    async fn deliver(&self, subscription: &Arc<Subscription>, row: &pending::Model) -> Result<bool, BusError> {
        let delivery = row.attempts + 1;
        let Ok(event) = Event::decode(row.event.as_slice()) else {
            tracing::error!(
                consumer = subscription.name(),
                "an event in the file of the bus cannot be decoded; it is dropped"
            );
            return Ok(true);
        };
        match subscription.attempt(&event, delivery).await? {
            Verdict::Ack => Ok(true),
            Verdict::Nack(delay) => self.postpone(row.id, delivery, delay).await.map(|()| false),
        }
    }

    async fn postpone(&self, id: i64, attempts: i32, delay: Duration) -> Result<(), BusError> {
        let tx = self.db.begin().await?;
        let due = self.clock.now().plus(delay);
        pending::Entity::update_many()
            .filter(pending::Column::Id.eq(id))
            .col_expr(pending::Column::Attempts, Expr::value(attempts))
            .col_expr(pending::Column::DueAt, Expr::value(due.0))
            .exec(tx.conn())
            .await?;
        Ok(tx.commit().await?)
    }
}

/// Reports that progress was not stored, and pauses: the deliveries are due again at once.
async fn not_stored(subscription: &Subscription, error: &BusError) {
    tracing::error!(consumer = subscription.name(), %error, "progress was not stored; the event will be delivered again");
    tokio::time::sleep(ERROR_DELAY).await;
}
