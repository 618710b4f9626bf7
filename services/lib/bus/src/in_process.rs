//! The bus within one process: a row per event and consumer that is still to be handled, in a SQLite file.

use std::{
    collections::HashSet,
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
    BusError, Consumer,
    attempt::{Subscription, Verdict},
};

/// What another process put into the file, a replayed dead letter, is seen at least so often.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(5);
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
    consumers: Arc<Mutex<Vec<Subscribed>>>,
    /// Nothing to lose a connection to: it never changes.
    reconnected: watch::Sender<u64>,
}

/// A consumer, and what wakes it.
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
                rows.push(self.waiting(subscription.name(), event));
            }
        }
        self.keep(&rows).await?;
        consumers.iter().for_each(|(_, published)| published.notify_one());
        Ok(())
    }

    /// Brings an event to one consumer again.
    pub(crate) async fn replay(&self, consumer: &str, event: &Event) -> Result<(), BusError> {
        self.keep(&[self.waiting(consumer, event)]).await
    }

    fn waiting(&self, consumer: &str, event: &Event) -> pending::ActiveModel {
        pending::ActiveModel {
            id: NotSet,
            consumer: Set(consumer.to_owned()),
            event_id: Set(event.id.parse().unwrap_or_default()),
            event: Set(event.encode_to_vec()),
            attempts: Set(0),
            due_at: Set(self.clock.now().0),
        }
    }

    async fn keep(&self, rows: &[pending::ActiveModel]) -> Result<(), BusError> {
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
        Ok(tx.commit().await?)
    }

    pub(crate) async fn run(&self, shutdown: CancellationToken) {
        let mut loops = JoinSet::new();
        for (subscription, published) in self.consumers() {
            let (bus, shutdown) = (self.clone(), shutdown.clone());
            loops.spawn(async move { bus.serve(subscription, published, shutdown).await });
        }
        while loops.join_next().await.is_some() {}
    }

    /// Keeps up to [`AT_ONCE`] events of one consumer in hand.
    async fn serve(&self, subscription: Arc<Subscription>, published: Arc<Notify>, shutdown: CancellationToken) {
        let mut running: JoinSet<i64> = JoinSet::new();
        let mut in_hand = HashSet::new();
        while !shutdown.is_cancelled() {
            let next_due = match self.take(&subscription, &mut running, &mut in_hand).await {
                Ok(next_due) => next_due,
                Err(error) => {
                    tracing::error!(consumer = subscription.name(), %error, "the bus cannot read its file");
                    Some(self.clock.now().plus(Duration::from_secs(1)))
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = published.notified(), if in_hand.len() < AT_ONCE => {}
                Some(done) = running.join_next() => {
                    if let Ok(id) = done {
                        in_hand.remove(&id);
                    }
                }
                () = self.until(next_due) => {}
                () = tokio::time::sleep(LOOK_AT_LEAST_EVERY) => {}
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
            .filter(pending::Column::Consumer.eq(subscription.name()))
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
                    tracing::error!(consumer = subscription.name(), %error, "progress was not kept; the event comes again");
                }
                id
            });
        }
        Ok(None)
    }

    async fn deliver(&self, subscription: &Arc<Subscription>, row: pending::Model) -> Result<(), BusError> {
        let attempts = row.attempts + 1;
        let Ok(event) = Event::decode(row.event.as_slice()) else {
            tracing::error!(consumer = subscription.name(), "an event in the bus's own file cannot be read");
            return self.done(row.id).await;
        };
        match subscription.attempt(&event, attempts).await? {
            Verdict::Settled => self.done(row.id).await,
            Verdict::Again(pause) => self.later(row.id, attempts, pause).await,
        }
    }

    async fn done(&self, id: i64) -> Result<(), BusError> {
        let tx = self.db.begin().await?;
        pending::Entity::delete_by_id(id).exec(tx.conn()).await?;
        Ok(tx.commit().await?)
    }

    async fn later(&self, id: i64, attempts: i32, pause: Duration) -> Result<(), BusError> {
        let tx = self.db.begin().await?;
        let due = self.clock.now().plus(pause);
        pending::Entity::update_many()
            .filter(pending::Column::Id.eq(id))
            .col_expr(pending::Column::Attempts, Expr::value(attempts))
            .col_expr(pending::Column::DueAt, Expr::value(due.0))
            .exec(tx.conn())
            .await?;
        Ok(tx.commit().await?)
    }
}
