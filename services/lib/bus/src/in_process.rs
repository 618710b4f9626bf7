//! The bus within one process: a row per event and consumer that is still to be handled, in a SQLite file.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use frontdesk_clock::{Clock, Time};
use frontdesk_db::{Db, Sql};
use frontdesk_proto::event::v1::Event;
use frontdesk_telemetry::continue_trace;
use prost::Message as _;
use sea_orm::{ActiveValue::NotSet, EntityTrait, QueryOrder, QuerySelect, Set, entity::prelude::*};
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::{BusError, Consumer, HANDLER_DEADLINE, MAX_ATTEMPTS, Outcome, dead_letters};

/// So many events of one consumer are handled at once: one that is stuck does not hold the others.
const AT_ONCE: usize = 16;

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(Sql {
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
        })]
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

/// See [`crate::Bus::in_process`].
#[derive(Clone)]
pub struct InProcess {
    db: Db,
    clock: Clock,
    consumers: Arc<Mutex<Vec<Arc<Subscription>>>>,
}

struct Subscription {
    consumer: Box<dyn Consumer>,
    types: Vec<String>,
    dead_letters: Db,
    published: Notify,
}

impl InProcess {
    pub(crate) async fn start(db: Db, clock: Clock) -> Result<Self, BusError> {
        frontdesk_db::migrate::<Migrator>(&db).await?;
        Ok(Self { db, clock, consumers: Arc::default() })
    }

    pub(crate) fn subscribe(&self, consumer: impl Consumer, dead_letters: Db) {
        let types = consumer.types();
        let subscription = Subscription { consumer: Box::new(consumer), types, dead_letters, published: Notify::new() };
        self.consumers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(subscription));
    }

    fn consumers(&self) -> Vec<Arc<Subscription>> {
        self.consumers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) async fn publish(&self, events: &[Event]) -> Result<(), BusError> {
        let now = self.clock.now();
        let consumers = self.consumers();
        let mut rows = Vec::new();
        for event in events {
            for subscription in consumers.iter().filter(|subscription| subscription.types.contains(&event.r#type)) {
                rows.push(pending::ActiveModel {
                    id: NotSet,
                    consumer: Set(subscription.consumer.name().to_owned()),
                    event_id: Set(event.id.parse().unwrap_or_default()),
                    event: Set(event.encode_to_vec()),
                    attempts: Set(0),
                    due_at: Set(now.0),
                });
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        let tx = self.db.begin().await?;
        // SQLite takes 32,766 parameters a statement; six a row.
        for rows in rows.chunks(1_000) {
            let once = sea_orm::sea_query::OnConflict::columns([pending::Column::Consumer, pending::Column::EventId]);
            pending::Entity::insert_many(rows.iter().cloned())
                .on_conflict(once.clone().do_nothing().to_owned())
                .exec_without_returning(tx.conn())
                .await?;
        }
        tx.commit().await?;
        consumers.iter().for_each(|subscription| subscription.published.notify_one());
        Ok(())
    }

    pub(crate) async fn run(&self, shutdown: CancellationToken) {
        let mut loops = JoinSet::new();
        for subscription in self.consumers() {
            let (bus, shutdown) = (self.clone(), shutdown.clone());
            loops.spawn(async move { bus.serve(subscription, shutdown).await });
        }
        while loops.join_next().await.is_some() {}
    }

    /// Keeps up to [`AT_ONCE`] events of one consumer in hand.
    async fn serve(&self, subscription: Arc<Subscription>, shutdown: CancellationToken) {
        let mut running: JoinSet<i64> = JoinSet::new();
        let mut in_hand = HashSet::new();
        while !shutdown.is_cancelled() {
            let next_due = match self.take(&subscription, &mut running, &mut in_hand).await {
                Ok(next_due) => next_due,
                Err(error) => {
                    tracing::error!(consumer = subscription.consumer.name(), %error, "the bus cannot read its file");
                    Some(self.clock.now().plus(Duration::from_secs(1)))
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = subscription.published.notified(), if in_hand.len() < AT_ONCE => {}
                Some(done) = running.join_next() => {
                    if let Ok(id) = done {
                        in_hand.remove(&id);
                    }
                }
                () = self.until(next_due) => {}
            }
        }
        while running.join_next().await.is_some() {}
    }

    async fn until(&self, moment: Option<Time>) {
        match moment {
            Some(moment) => self.clock.sleep_until(moment).await,
            None => std::future::pending().await,
        }
    }

    /// Starts handlers for what is due; returns when something will be due that is not yet.
    async fn take(
        &self,
        subscription: &Arc<Subscription>,
        running: &mut JoinSet<i64>,
        in_hand: &mut HashSet<i64>,
    ) -> Result<Option<Time>, BusError> {
        let free = AT_ONCE - in_hand.len();
        if free == 0 {
            return Ok(None);
        }
        let rows = pending::Entity::find()
            .filter(pending::Column::Consumer.eq(subscription.consumer.name()))
            .filter(pending::Column::Id.is_not_in(in_hand.iter().copied()))
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
            in_hand.insert(row.id);
            let (bus, subscription) = (self.clone(), subscription.clone());
            running.spawn(async move {
                let id = row.id;
                if let Err(error) = bus.deliver(&subscription, row).await {
                    tracing::error!(consumer = subscription.consumer.name(), %error, "progress was not kept; the event comes again");
                }
                id
            });
        }
        Ok(None)
    }

    async fn deliver(&self, subscription: &Arc<Subscription>, row: pending::Model) -> Result<(), BusError> {
        let consumer = subscription.consumer.name();
        let attempts = row.attempts + 1;
        let Ok(event) = Event::decode(row.event.as_slice()) else {
            tracing::error!(consumer, "an event in the bus's own file cannot be read");
            return self.done(row.id).await;
        };
        let span = tracing::info_span!("event.handle", consumer, event_type = event.r#type, event_id = event.id);
        continue_trace(&span, &event.traceparent);
        // In a task of its own: a bug that panics is one failed try, with its pause, like any other.
        let (handler, handled) = (subscription.clone(), event.clone());
        let mut handling = tokio::spawn(async move { handler.consumer.handle(&handled).await }.instrument(span));
        let outcome = match tokio::time::timeout(HANDLER_DEADLINE, &mut handling).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => Outcome::Later(format!("the handler ended badly: {panic}")),
            Err(_) => {
                handling.abort();
                Outcome::Later("it took longer than a handler may".into())
            }
        };
        match outcome {
            Outcome::Done => self.done(row.id).await,
            Outcome::Later(reason) if attempts < MAX_ATTEMPTS => {
                tracing::debug!(consumer, event_type = event.r#type, attempts, reason, "later");
                self.later(row.id, attempts).await
            }
            Outcome::Later(reason) | Outcome::Hopeless(reason) => {
                tracing::error!(
                    consumer,
                    event_type = event.r#type,
                    event_id = event.id,
                    attempts,
                    reason,
                    "dead letter"
                );
                let now = self.clock.now();
                dead_letters::keep(&subscription.dead_letters, consumer, &event, reason, attempts, now).await?;
                self.done(row.id).await
            }
        }
    }

    async fn done(&self, id: i64) -> Result<(), BusError> {
        let tx = self.db.begin().await?;
        pending::Entity::delete_by_id(id).exec(tx.conn()).await?;
        Ok(tx.commit().await?)
    }

    async fn later(&self, id: i64, attempts: i32) -> Result<(), BusError> {
        let tx = self.db.begin().await?;
        let due = self.clock.now().plus(pause(attempts));
        pending::Entity::update_many()
            .filter(pending::Column::Id.eq(id))
            .col_expr(pending::Column::Attempts, Expr::value(attempts))
            .col_expr(pending::Column::DueAt, Expr::value(due.0))
            .exec(tx.conn())
            .await?;
        Ok(tx.commit().await?)
    }
}

/// 50 ms, doubled each time, up to half a minute.
fn pause(attempts: i32) -> Duration {
    Duration::from_millis(50 << attempts.clamp(1, 10)).min(Duration::from_secs(30))
}
