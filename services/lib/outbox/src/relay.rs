//! The relay: publishes the events of the outbox, in order for each aggregate. One replica of several does it, by a lease.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use frontdesk_bus::{Bus, BusError, ChangeNotifier};
use frontdesk_db::Db;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    lease::{ACQUIRE_INTERVAL, Lease, RENEW_INTERVAL},
    publish::{Published, publish_batch},
    republish::check_stream,
};

/// Shortest time between two batches while events keep coming, so that they are published together. A single event is
/// published without delay.
const BATCH_INTERVAL: Duration = Duration::from_millis(10);
/// Interval between two comparisons of the broker's stream with what it acknowledged; a new connection causes one too.
const CHECK_STREAM_INTERVAL: Duration = Duration::from_secs(30);
/// The id of the outbox for the change notifier.
const OUTBOX: Uuid = Uuid::nil();

/// Publishes the events of the service `source` until `shutdown`, as the leader or as its stand-by. An event that was
/// published and not marked when the process was killed is published again; consumers recognise it by its id.
pub fn relay(source: &'static str, db: Db, bus: Bus, shutdown: CancellationToken) -> impl Future<Output = ()> + Send {
    let notifier = bus.change_notifier(source);
    let holder = db.new_id();
    let relay = Relay { source, db, bus, notifier, shutdown };
    async move {
        while !relay.shutdown.is_cancelled() {
            match Lease::acquire(&relay.db, format!("relay.{source}"), holder).await {
                Ok(Some(mut lease)) => {
                    tracing::info!(source, "this replica publishes the events");
                    relay.lead(&mut lease).await;
                    if let Err(error) = lease.release().await {
                        tracing::debug!(%error, "the relay's lease was not released; it expires");
                    }
                }
                Ok(None) => relay.stand_by().await,
                Err(error) => {
                    tracing::warn!(%error, "the relay could not ask for its lease; trying again");
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
    notifier: ChangeNotifier,
    shutdown: CancellationToken,
}

impl Relay {
    /// Notifies the leader of events that are written here, until it is time to ask for the lease again.
    async fn stand_by(&self) {
        let acquire_again = tokio::time::sleep(ACQUIRE_INTERVAL);
        tokio::pin!(acquire_again);
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = &mut acquire_again => return,
                () = self.db.outbox_written().notified() => self.notifier.notify(OUTBOX),
            }
        }
    }

    /// Publishes until the shutdown or until another replica leads.
    async fn lead(&self, lease: &mut Lease) {
        let mut written = self.notifier.subscribe(OUTBOX);
        let mut reconnected = self.bus.reconnected();
        let mut stream_checked = None;
        let mut failures = 0_u32;
        while !self.shutdown.is_cancelled() {
            written.borrow_and_update();
            let began = tokio::time::Instant::now();
            let wait = match self.tick(lease, &mut stream_checked, &mut reconnected).await {
                Ok(Published::LeaseLost) => {
                    tracing::warn!(source = self.source, "another replica publishes the events now");
                    return;
                }
                Ok(Published::Full) => {
                    failures = 0;
                    continue;
                }
                Ok(Published::Events(published)) => {
                    failures = 0;
                    if published > 1 {
                        tokio::time::sleep_until(began + BATCH_INTERVAL).await;
                    }
                    RENEW_INTERVAL
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(%error, failures, "the relay could not publish; trying again");
                    delay_after(failures)
                }
            };
            tokio::select! {
                () = self.shutdown.cancelled() => {}
                () = self.db.outbox_written().notified(), if failures == 0 => {}
                _ = written.changed(), if failures == 0 => {}
                // After a new connection the stream is checked and publishing is tried at once.
                _ = reconnected.changed() => stream_checked = None,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Renews the lease and checks the stream when they are due, and publishes one batch. `stream_checked`: when the stream was
    /// checked last.
    async fn tick(
        &self,
        lease: &mut Lease,
        stream_checked: &mut Option<Instant>,
        reconnected: &mut watch::Receiver<u64>,
    ) -> Result<Published, BusError> {
        if lease.is_renewal_due() && !lease.renew().await? {
            return Ok(Published::LeaseLost);
        }
        if stream_checked.is_none_or(|checked| checked.elapsed() >= CHECK_STREAM_INTERVAL) {
            reconnected.borrow_and_update();
            check_stream(&self.db, &self.bus, self.source).await?;
            *stream_checked = Some(Instant::now());
        }
        publish_batch(&self.db, &self.bus, self.source, lease).await
    }
}

/// The delay after this number of failures in a row: 100 ms, 200 ms, then 400 ms.
fn delay_after(failures: u32) -> Duration {
    Duration::from_millis(50 << failures.min(3))
}
