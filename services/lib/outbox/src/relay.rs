//! The relay: publishes what the outbox holds, in order for each aggregate, and forgets it days later. Of several replicas
//! one does it, by a lease.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use frontdesk_bus::{Bus, BusError, Hints};
use frontdesk_db::{Db, DbErr};
use sea_orm::{EntityTrait, entity::prelude::*, sea_query::Query};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    entity, handled,
    lease::{ASK_EVERY, Lease, RENEW_EVERY},
    publish::{BATCH, Batch, publish_waiting},
    regress::check_stream,
};

/// Published rows stay so long: a bus that lost events can be given them again.
const KEEP_PUBLISHED: Duration = Duration::from_secs(7 * 24 * 3600);
/// Marks stay longer than rows, so that a row published again is still known.
const KEEP_HANDLED: Duration = Duration::from_secs(14 * 24 * 3600);
const CLEAN_EVERY: Duration = Duration::from_secs(3600);
/// So many rows are removed in one transaction.
const CLEAN_AT_ONCE: u64 = 5_000;
/// While events keep coming they are taken together, so often; one that comes alone waits for nothing.
const TURN_EVERY: Duration = Duration::from_millis(10);
/// What the broker holds is compared with what it acknowledged so often, and after each new connection.
const CHECK_STREAM_EVERY: Duration = Duration::from_secs(30);
/// The outbox itself, among the things that hints are about.
const OUTBOX: Uuid = Uuid::nil();

/// Publishes the events of the service `source` until `shutdown`, as leader or standing by. A kill between publishing and
/// marking publishes again, which consumers notice by the id.
pub fn relay(source: &'static str, db: Db, bus: Bus, shutdown: CancellationToken) -> impl Future<Output = ()> + Send {
    let hints = bus.hints(source);
    let relay = Relay { source, db, bus, hints, shutdown, me: Uuid::now_v7() };
    async move {
        while !relay.shutdown.is_cancelled() {
            match Lease::acquire(&relay.db, format!("relay.{source}"), relay.me).await {
                Ok(Some(mut lease)) => {
                    tracing::info!(source, "this replica publishes the events");
                    relay.lead(&mut lease).await;
                    if let Err(error) = lease.release().await {
                        tracing::debug!(%error, "the lead was not given away; it ends by itself");
                    }
                }
                Ok(None) => relay.stand_by().await,
                Err(error) => {
                    tracing::warn!(%error, "the relay cannot ask who leads; trying again");
                    relay.stand_by().await;
                }
            }
        }
    }
}

struct Relay {
    source: &'static str,
    db: Db,
    bus: Bus,
    hints: Hints,
    shutdown: CancellationToken,
    me: Uuid,
}

/// Since when what is done now and then was not done.
struct Since {
    checked: Option<Instant>,
    cleaned: Option<Instant>,
}

impl Relay {
    /// Tells the leader of what is written here, until it is time to ask again who leads.
    async fn stand_by(&self) {
        let ask_again = tokio::time::sleep(ASK_EVERY);
        tokio::pin!(ask_again);
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = &mut ask_again => return,
                () = self.db.outbox_written().notified() => self.hints.changed(OUTBOX),
            }
        }
    }

    async fn lead(&self, lease: &mut Lease) {
        let mut written = self.hints.follow(OUTBOX);
        let mut reconnected = self.bus.reconnected();
        let mut since = Since { checked: None, cleaned: None };
        let mut failures = 0_u32;
        while !self.shutdown.is_cancelled() {
            written.borrow_and_update();
            let began = tokio::time::Instant::now();
            let pause = match self.turn(lease, &mut since, &mut reconnected).await {
                Ok(Batch::LostLead) => {
                    tracing::warn!(source = self.source, "another replica publishes the events now");
                    return;
                }
                Ok(Batch::Published(BATCH)) => {
                    failures = 0;
                    continue;
                }
                Ok(Batch::Published(published)) => {
                    failures = 0;
                    if published > 1 {
                        tokio::time::sleep_until(began + TURN_EVERY).await;
                    }
                    RENEW_EVERY
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(%error, failures, "the relay could not publish; trying again");
                    Duration::from_millis(50 << failures.min(3))
                }
            };
            tokio::select! {
                () = self.shutdown.cancelled() => {}
                () = self.db.outbox_written().notified(), if failures == 0 => {}
                _ = written.changed(), if failures == 0 => {}
                // A new connection is worth a try at once.
                _ = reconnected.changed() => since.checked = None,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn turn(
        &self,
        lease: &mut Lease,
        since: &mut Since,
        reconnected: &mut watch::Receiver<u64>,
    ) -> Result<Batch, BusError> {
        if lease.wants_renewal() && !lease.renew().await? {
            return Ok(Batch::LostLead);
        }
        if since.checked.is_none_or(|checked| checked.elapsed() >= CHECK_STREAM_EVERY) {
            reconnected.borrow_and_update();
            check_stream(&self.db, &self.bus, self.source).await?;
            since.checked = Some(Instant::now());
        }
        if since.cleaned.is_none_or(|cleaned| cleaned.elapsed() >= CLEAN_EVERY) {
            clean(&self.db).await?;
            since.cleaned = Some(Instant::now());
        }
        publish_waiting(&self.db, &self.bus, self.source, lease).await
    }
}

/// Forgets what is old, a part at a time.
async fn clean(db: &Db) -> Result<(), DbErr> {
    let now = db.now().await?;
    loop {
        let tx = db.begin().await?;
        // Old rows have low positions: the first ones are looked at, and none beyond them.
        let first = Query::select()
            .column(entity::Column::Position)
            .from(entity::Entity)
            .order_by(entity::Column::Position, sea_orm::Order::Asc)
            .limit(CLEAN_AT_ONCE)
            .to_owned();
        let removed = entity::Entity::delete_many()
            .filter(entity::Column::Position.in_subquery(first))
            .filter(entity::Column::PublishedAt.lt(now.minus(KEEP_PUBLISHED).0))
            .exec(tx.conn())
            .await?;
        tx.commit().await?;
        if removed.rows_affected < CLEAN_AT_ONCE {
            break;
        }
    }
    let tx = db.begin().await?;
    handled::entity::Entity::delete_many()
        .filter(handled::entity::Column::HandledAt.lt(now.minus(KEEP_HANDLED).0))
        .exec(tx.conn())
        .await?;
    tx.commit().await
}
