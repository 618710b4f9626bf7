//! The relay: publishes the events of the outbox, in order for each aggregate. One replica of several does it, by a lease.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use frontdesk_bus::{Bus, BusError, ChangeNotifier};
use frontdesk_db::{Db, DbErr};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    lease::{ACQUIRE_INTERVAL, Lease, LeaseKey, RENEW_INTERVAL},
    publish::{BatchEnd, Publisher, SAVE_INTERVAL},
    republish::{Part, republish_part},
    stream::check_stream,
};

/// Shortest time between two batches while events keep coming, so that they are published together. An event that comes after a pause
/// of twice this time is published without delay.
const BATCH_INTERVAL: Duration = Duration::from_millis(10);
/// Interval between two comparisons of the broker's stream with what it acknowledged; a new connection causes one too.
const CHECK_STREAM_INTERVAL: Duration = Duration::from_secs(30);
/// Delay before the next attempt after a part of the lost events could not be published again.
const REPUBLISH_DELAY: Duration = Duration::from_secs(1);
/// The id of the outbox for the change notifier.
const OUTBOX: Uuid = Uuid::nil();

/// Publishes the events of the service `source` until `shutdown`, as the leader or as its stand-by. An event that was
/// published when the process was killed, before that was stored, is published again; consumers recognise it by its id.
pub fn relay(source: &'static str, db: Db, bus: Bus, shutdown: CancellationToken) -> impl Future<Output = ()> + Send {
    let notifier = bus.change_notifier(source);
    let holder = db.new_id();
    let (lost, drained) = (watch::Sender::new(false), watch::Sender::new(false));
    let relay = Relay { source, db, bus, notifier, shutdown, lost, drained };
    async move {
        while !relay.shutdown.is_cancelled() {
            match Lease::acquire(&relay.db, lease_name(source), holder).await {
                Ok(Some(mut lease)) => {
                    tracing::info!(source, "this replica publishes the events");
                    let key = lease.key.clone();
                    let ended = tokio::select! {
                        ended = relay.lead(&mut lease) => ended,
                        () = relay.republish(&key) => Ok(()),
                    };
                    if let Err(error) = lease.release().await {
                        tracing::debug!(%error, "the relay's lease was not released; it expires");
                    }
                    if let Err(error) = ended {
                        tracing::warn!(%error, "the relay could not read its progress; trying again");
                        relay.stand_by().await;
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

/// Publishes the events of the service `source` that wait now, as one turn of the [`relay`]. Returns their number; 0 when
/// another replica holds the lease. For simulations.
pub async fn publish_waiting(source: &str, db: &Db, bus: &Bus) -> Result<usize, BusError> {
    let Some(mut lease) = Lease::acquire(db, lease_name(source), db.new_id()).await? else { return Ok(0) };
    let mut publisher = Publisher::load(db, bus, source).await?;
    let end = publisher.publish_batch(&mut lease).await?;
    publisher.save(&mut lease).await?;
    match end {
        BatchEnd::Events(number) => Ok(number),
        BatchEnd::Full | BatchEnd::LossFound | BatchEnd::LeaseLost => Ok(0),
    }
}

/// Not `relay.<source>`: a replica of an earlier release holds that one, and publishes only the events that such replicas append.
fn lease_name(source: &str) -> String {
    format!("publisher.{source}")
}

struct Relay {
    source: &'static str,
    db: Db,
    bus: Bus,
    notifier: ChangeNotifier,
    shutdown: CancellationToken,
    /// Whether lost events are to be published again.
    lost: watch::Sender<bool>,
    /// Whether no event was waiting at the last look.
    drained: watch::Sender<bool>,
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
    async fn lead(&self, lease: &mut Lease) -> Result<(), DbErr> {
        let mut written = self.notifier.subscribe(OUTBOX);
        let mut reconnected = self.bus.reconnected();
        let mut publisher = Publisher::load(&self.db, &self.bus, self.source).await?;
        let mut is_stale = false;
        // When the stream was checked last. None: it must be checked before the next event is published.
        let mut checked = None;
        let mut failures = 0_u32;
        let mut published_at = None;
        while !self.shutdown.is_cancelled() {
            written.borrow_and_update();
            let began = tokio::time::Instant::now();
            if is_stale && let Err(error) = publisher.reload().await {
                tracing::warn!(%error, "the relay could not read its progress; trying again");
                tokio::time::sleep(delay_after(MAX_FAILURES)).await;
                continue;
            }
            is_stale = false;
            let wait = match self.tick(lease, &mut publisher, &mut checked, &mut reconnected).await {
                Ok(BatchEnd::LeaseLost) => {
                    tracing::warn!(source = self.source, "another replica publishes the events now");
                    return Ok(());
                }
                Ok(BatchEnd::Full) => {
                    failures = 0;
                    continue;
                }
                Ok(BatchEnd::LossFound) => {
                    failures = 0;
                    // The stream may be another one: its state is stored before the first part.
                    checked = None;
                    continue;
                }
                Ok(BatchEnd::Events(published)) => {
                    failures = 0;
                    self.drained.send_replace(true);
                    if published > 0 {
                        let earlier = published_at.replace(began);
                        if published > 1 || earlier.is_some_and(|earlier| began - earlier < 2 * BATCH_INTERVAL) {
                            tokio::time::sleep_until(began + BATCH_INTERVAL).await;
                        }
                    }
                    if publisher.is_settled() { RENEW_INTERVAL } else { SAVE_INTERVAL }
                }
                Err(error) => {
                    failures += 1;
                    publisher.forget_next();
                    self.drained.send_replace(false);
                    is_stale = matches!(error, BusError::Store(_));
                    // The broker may have lost events, or its stream, and be back before the next attempt.
                    checked = None;
                    tracing::warn!(%error, failures, "the relay could not publish; trying again");
                    delay_after(failures)
                }
            };
            tokio::select! {
                () = self.shutdown.cancelled() => {}
                () = self.db.outbox_written().notified(), if failures == 0 => {}
                _ = written.changed(), if failures == 0 => {}
                // After a new connection the stream is checked and publishing is tried at once.
                _ = reconnected.changed() => checked = None,
                () = tokio::time::sleep(wait) => {}
            }
        }
        if let Err(error) = publisher.save(lease).await {
            tracing::debug!(%error, "what was published is not stored; it is published again");
        }
        Ok(())
    }

    /// Renews the lease and checks the stream when they are due, and publishes one batch.
    async fn tick(
        &self,
        lease: &mut Lease,
        publisher: &mut Publisher<'_>,
        checked: &mut Option<Instant>,
        reconnected: &mut watch::Receiver<u64>,
    ) -> Result<BatchEnd, BusError> {
        if lease.is_renewal_due() && !lease.renew().await? {
            return Ok(BatchEnd::LeaseLost);
        }
        // Also between two full batches: a broker that is back may have lost the batch before.
        let is_reconnected = reconnected.has_changed().unwrap_or(false);
        if is_reconnected || checked.is_none_or(|checked| checked.elapsed() >= CHECK_STREAM_INTERVAL) {
            reconnected.borrow_and_update();
            // The check compares the stream with what is stored.
            if !publisher.save(lease).await? {
                return Ok(BatchEnd::LeaseLost);
            }
            publisher.forget_next();
            if let Some(last_sequence) = self.check(lease, reconnected).await? {
                publisher.numbers.last = Some(last_sequence);
            }
            *checked = Some(Instant::now());
        }
        publisher.publish_batch(lease).await
    }

    /// Checks the stream, and returns the number of its last event if there is a broker. When events were lost, the first part of
    /// them waits afterwards.
    async fn check(&self, lease: &Lease, reconnected: &mut watch::Receiver<u64>) -> Result<Option<i64>, BusError> {
        let found = tokio::select! {
            found = check_stream(&self.db, &self.bus, self.source, &lease.key.name) => found?,
            // The answer may be lost with the connection: ask again instead of waiting for it.
            _ = reconnected.changed() => return Err(BusError::Broker("the connection was lost or is new".into())),
        };
        let Some(found) = found else { return Ok(None) };
        let is_new = found.has_lost_events
            && self.lost.send_if_modified(|lost| {
                let was_lost = std::mem::replace(lost, true);
                !was_lost
            });
        if is_new {
            self.drained.send_replace(false);
            // As far as one part goes, lost events precede the new ones of their aggregates.
            let first = republish_part(&self.db, &self.bus, &lease.key);
            if let Ok(Err(error)) = tokio::time::timeout(RENEW_INTERVAL, first).await {
                tracing::warn!(source = self.source, %error, "lost events could not be published again; trying again");
            }
        }
        Ok(Some(found.last_sequence))
    }

    /// Publishes lost events again while this replica leads: part by part, each when no event waits. A failure delays the next part, never
    /// publishing.
    async fn republish(&self, lease: &LeaseKey) {
        let (mut lost, mut drained) = (self.lost.subscribe(), self.drained.subscribe());
        while lost.wait_for(|lost| *lost).await.is_ok() && drained.wait_for(|drained| *drained).await.is_ok() {
            self.lost.send_replace(false);
            match republish_part(&self.db, &self.bus, lease).await {
                Ok(Part::Done) => continue,
                Ok(Part::More) => {}
                Err(error) => {
                    tracing::warn!(source = self.source, %error, "lost events could not be published again; trying again");
                    tokio::time::sleep(REPUBLISH_DELAY).await;
                }
            }
            self.lost.send_replace(true);
        }
    }
}

/// Number of failures in a row after which the delay grows no more.
const MAX_FAILURES: u32 = 3;

/// The delay after this number of failures in a row: 100 ms, 200 ms, then 400 ms.
fn delay_after(failures: u32) -> Duration {
    Duration::from_millis(50 << failures.min(MAX_FAILURES))
}
