//! The bus within one process: a SQLite file with a row for each pending delivery of an event to a consumer.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use frontdesk_clock::{Clock, Time};
use frontdesk_db::{Db, Sql};
use frontdesk_proto::event::v1::Event;
use prost::Message as _;
use sea_orm::{ActiveValue::NotSet, EntityTrait, QueryOrder, QuerySelect, Set, entity::prelude::*};
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    BusError,
    attempt::{MAX_CONCURRENT, MAX_CONCURRENT_RETRIES, Subscription, Verdict},
    consumer::Consumer,
};

/// Interval between two looks at the file, for rows that another process wrote: replayed dead letters.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// Maximum number of rows in one INSERT: SQLite takes 32,766 parameters, and a row has six.
const MAX_ROWS: usize = 1_000;
/// Delay before the next attempt after the file could not be read, or progress could not be stored.
const ERROR_DELAY: Duration = Duration::from_secs(1);

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
    /// Never changes: there is no connection that could be lost.
    reconnected: watch::Sender<u64>,
}

/// A consumer, notified when events for it were stored.
type Subscribed = (Arc<Subscription>, Arc<Notify>);

impl InProcess {
    pub(crate) async fn start(db: Db, clock: Clock) -> Result<Self, BusError> {
        frontdesk_db::migrate::<Migrator>(&db).await?;
        Ok(Self { db, clock, consumers: Arc::default(), reconnected: watch::Sender::new(0) })
    }

    pub(crate) fn subscribe(&self, consumer: impl Consumer, dead_letters: Db) {
        let subscribed = (Subscription::new(consumer, dead_letters), Arc::default());
        self.consumers.lock().unwrap_or_else(PoisonError::into_inner).push(subscribed);
    }

    pub(crate) fn reconnected(&self) -> watch::Receiver<u64> {
        self.reconnected.subscribe()
    }

    fn consumers(&self) -> Vec<Subscribed> {
        self.consumers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) async fn publish(&self, events: &[Event]) -> Result<(), BusError> {
        let consumers = self.consumers();
        let mut rows = Vec::new();
        for event in events {
            for (subscription, _) in consumers.iter().filter(|(consumer, _)| consumer.types.contains(&event.r#type)) {
                rows.push(self.pending(subscription.name(), event));
            }
        }
        self.insert(&rows).await?;
        consumers.iter().for_each(|(_, published)| published.notify_one());
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

    async fn insert(&self, rows: &[pending::ActiveModel]) -> Result<(), BusError> {
        if rows.is_empty() {
            return Ok(());
        }
        let tx = self.db.begin().await?;
        for rows in rows.chunks(MAX_ROWS) {
            let once = sea_orm::sea_query::OnConflict::columns([pending::Column::Consumer, pending::Column::EventId]);
            pending::Entity::insert_many(rows.iter().cloned())
                .on_conflict(once.clone().do_nothing().to_owned())
                .exec_without_returning(tx.conn())
                .await?;
        }
        Ok(tx.commit().await?)
    }

    pub(crate) async fn run(&self, shutdown: CancellationToken) {
        let mut loops = JoinSet::new();
        for (subscription, published) in self.consumers() {
            let (bus, shutdown) = (self.clone(), shutdown.clone());
            loops.spawn(async move { bus.serve(subscription, published, shutdown).await });
        }
        crate::ended(loops).await;
    }

    /// Handles the events of one consumer, up to [`MAX_CONCURRENT`] at once.
    async fn serve(&self, subscription: Arc<Subscription>, published: Arc<Notify>, shutdown: CancellationToken) {
        let mut running: JoinSet<i64> = JoinSet::new();
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
                () = published.notified(), if in_progress.len() < MAX_CONCURRENT => {}
                Some(done) = running.join_next() => {
                    if let Ok(id) = done {
                        in_progress.remove(&id);
                    }
                }
                () = self.sleep_until(next_due) => {}
                () = tokio::time::sleep(POLL_INTERVAL) => {}
            }
        }
        while running.join_next().await.is_some() {}
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
        running: &mut JoinSet<i64>,
        in_progress: &mut HashMap<i64, bool>,
    ) -> Result<Option<Time>, BusError> {
        let retries = in_progress.values().filter(|is_retry| **is_retry).count();
        let mut next_due = None;
        for (is_retry, free) in [(true, MAX_CONCURRENT_RETRIES.saturating_sub(retries)), (false, MAX_CONCURRENT)] {
            let free = free.min(MAX_CONCURRENT - in_progress.len());
            let due = self.start_some(subscription, running, in_progress, is_retry, free).await?;
            next_due = next_due.into_iter().chain(due).min();
        }
        Ok(next_due)
    }

    /// Starts up to `free` handlers, for deliveries that were tried before or for new ones.
    async fn start_some(
        &self,
        subscription: &Arc<Subscription>,
        running: &mut JoinSet<i64>,
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
                let id = row.id;
                if let Err(error) = bus.deliver(&subscription, row).await {
                    tracing::error!(consumer = subscription.name(), %error, "progress was not stored; the event will be delivered again");
                    // The event is due again at once.
                    tokio::time::sleep(ERROR_DELAY).await;
                }
                id
            });
        }
        Ok(None)
    }

    async fn deliver(&self, subscription: &Arc<Subscription>, row: pending::Model) -> Result<(), BusError> {
        let delivery = row.attempts + 1;
        let Ok(event) = Event::decode(row.event.as_slice()) else {
            tracing::error!(
                consumer = subscription.name(),
                "an event in the file of the bus cannot be decoded; it is dropped"
            );
            return self.delete(&row).await;
        };
        match subscription.attempt(&event, delivery).await? {
            Verdict::Ack => self.delete(&row).await,
            Verdict::Nack(delay) => self.postpone(row.id, delivery, delay).await,
        }
    }

    /// Deletes a delivery, unless the event was replayed since.
    async fn delete(&self, row: &pending::Model) -> Result<(), BusError> {
        let tx = self.db.begin().await?;
        pending::Entity::delete_by_id(row.id).filter(pending::Column::DueAt.eq(row.due_at)).exec(tx.conn()).await?;
        Ok(tx.commit().await?)
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
