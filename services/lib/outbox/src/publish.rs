//! Publishing in batches: the holder of the lease sends the waiting events to the bus, and stores how far it came.

use std::time::{Duration, Instant};

use frontdesk_bus::{Bus, BusError, ChangeNotifier};
use frontdesk_db::{Db, DbErr};

use crate::{
    lease::Lease,
    positions::Positions,
    progress::{Progress, load_published},
    published::{PUBLISHED, published_notifier},
    send::{Numbers, send},
    stream::report_loss,
    waiting::{Waiting, read_waiting},
};

/// On SQLite: shortest time between two transactions that store what is published. What is not stored yet is published again after a kill.
pub(crate) const SAVE_INTERVAL: Duration = Duration::from_millis(100);
/// Shortest time between two checkpoints. Of a lost stream, the events since the last one before the loss are published again.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(5);

/// How a batch ended.
pub(crate) enum BatchEnd {
    /// This number of events was published, and no more were waiting.
    Events(usize),
    /// More events may be waiting. That those of a full batch were published is stored with the next one.
    Full,
    /// The events were published, and showed that the broker had lost earlier ones.
    LossFound,
    /// Another replica holds the lease now.
    LeaseLost,
}

/// Publishes the waiting events of one service in batches. While events of a full batch are sent, it is stored that those of the batch
/// before were, and the next ones are read.
pub(crate) struct Publisher<'a> {
    db: &'a Db,
    bus: &'a Bus,
    source: &'a str,
    /// Notifies the readers of published events.
    readers: ChangeNotifier,
    /// The position up to which they were notified.
    notified_to: i64,
    pub(crate) numbers: Numbers,
    published: Positions,
    /// Whether `published` is stored.
    is_saved: bool,
    saved: Instant,
    /// When the last checkpoint was stored. None: not by this leader.
    checkpoint: Option<Instant>,
    /// The events that follow a full batch, read while it was sent.
    next: Option<Waiting>,
}

impl<'a> Publisher<'a> {
    /// One that goes on where the last one stopped.
    pub(crate) async fn load(db: &'a Db, bus: &'a Bus, source: &'a str) -> Result<Self, DbErr> {
        let published = load_published(db).await?;
        Ok(Self {
            db,
            bus,
            source,
            readers: published_notifier(bus, source),
            notified_to: published.settled_to(),
            numbers: Numbers::default(),
            published,
            is_saved: true,
            saved: Instant::now(),
            checkpoint: None,
            next: None,
        })
    }

    /// Publishes the first waiting events. Fails when the bus did not take all of them; those that it took are not sent again.
    pub(crate) async fn publish_batch(&mut self, lease: &mut Lease) -> Result<BatchEnd, BusError> {
        let (waiting, is_continued) = match self.next.take() {
            Some(waiting) => (waiting, true),
            None => (read_waiting(self.db, &self.published).await?, false),
        };
        let Waiting { rows, is_full, after } = waiting;
        if rows.is_empty() {
            // Gaps may be over.
            self.is_saved &= self.published.settled_to() == after.settled_to();
            self.published = after;
            return Ok(if self.save_if_due(lease).await? { BatchEnd::Events(0) } else { BatchEnd::LeaseLost });
        }
        // After the lease may have ended nothing is sent: another replica may send later events of the same aggregates.
        if !lease.is_held() && !lease.renew().await? {
            return Ok(BatchEnd::LeaseLost);
        }
        let (asked, unsaved) = (Instant::now(), (is_continued && self.is_save_due()).then(|| self.progress()));
        let save = async {
            match &unsaved {
                Some(progress) => progress.save(self.db, &lease.key).await,
                None => Ok(true),
            }
        };
        let next = async { if is_full { read_waiting(self.db, &after).await.map(Some) } else { Ok(None) } };
        let (sent, is_held, next) =
            tokio::join!(send(self.bus, &mut self.numbers, &rows, || lease.is_held()), save, next);
        if !is_held? {
            return Ok(BatchEnd::LeaseLost);
        }
        if let Some(progress) = unsaved {
            lease.renewed_at(asked);
            self.record_saved(asked, &progress);
        }
        let unpublished = rows.iter().map(|row| row.position).filter(|position| !sent.positions.contains(position));
        self.published = after.without(unpublished);
        self.is_saved = false;
        let lost_after = self.numbers.lost_after;
        if is_full && sent.is_complete && lost_after.is_none() {
            self.next = next?;
            return Ok(BatchEnd::Full);
        }
        if !self.save_if_due(lease).await? {
            return Ok(BatchEnd::LeaseLost);
        }
        if let Some(lost_after) = lost_after {
            report_loss(&lease.key.name, lost_after);
        }
        match sent.failed {
            Some(error) => Err(error),
            None if lost_after.is_some() => Ok(BatchEnd::LossFound),
            // Others may wait since the rows were read.
            None if is_continued || !sent.is_complete => Ok(BatchEnd::Full),
            None => Ok(BatchEnd::Events(sent.positions.len())),
        }
    }

    /// Whether all that is published is stored, and no gap is left.
    pub(crate) fn is_settled(&self) -> bool {
        self.is_saved && self.published.settled_to() == self.published.published_to
    }

    /// Stores what is published. False: another replica holds the lease now.
    pub(crate) async fn save(&mut self, lease: &mut Lease) -> Result<bool, BusError> {
        if self.is_saved {
            return Ok(true);
        }
        if let Some(lost_after) = self.numbers.lost_after {
            // Before the loss is stored: when this fails, the next attempt does it.
            self.bus.restart_consumers(self.source, lost_after).await?;
        }
        let (asked, progress) = (Instant::now(), self.progress());
        let is_held = progress.save(self.db, &lease.key).await?;
        if is_held {
            self.numbers.lost_after = None;
            lease.renewed_at(asked);
            self.record_saved(asked, &progress);
        }
        Ok(is_held)
    }

    async fn save_if_due(&mut self, lease: &mut Lease) -> Result<bool, BusError> {
        if self.is_save_due() { self.save(lease).await } else { Ok(true) }
    }

    /// On SQLite a transaction takes the turn of others, and waits for the disk.
    fn is_save_due(&self) -> bool {
        !self.is_saved && (!self.db.is_sqlite() || self.saved.elapsed() >= SAVE_INTERVAL)
    }

    /// Records that a transaction, begun after `asked`, stored the progress.
    fn record_saved(&mut self, asked: Instant, progress: &Progress) {
        (self.is_saved, self.saved) = (true, asked);
        let settled_to = progress.published.settled_to();
        if self.notified_to < settled_to {
            self.notified_to = settled_to;
            self.readers.notify(PUBLISHED);
        }
        if progress.is_checkpoint {
            self.checkpoint = Some(asked);
        }
    }

    fn progress(&self) -> Progress {
        let is_due = self.checkpoint.is_none_or(|at| at.elapsed() >= CHECKPOINT_INTERVAL);
        Progress {
            published: self.published.clone(),
            last_sequence: self.numbers.last,
            lost_after: self.numbers.lost_after,
            is_checkpoint: is_due && self.numbers.last.is_some() && self.numbers.lost_after.is_none(),
        }
    }

    /// Forgets the events that were read ahead: they are read again.
    pub(crate) fn forget_next(&mut self) {
        self.next = None;
    }

    /// Goes on where the database says: one that was away may have lost what was stored last.
    pub(crate) async fn reload(&mut self) -> Result<(), DbErr> {
        let loaded = Self::load(self.db, self.bus, self.source).await?;
        let numbers = std::mem::take(&mut self.numbers);
        *self = Self { is_saved: numbers.lost_after.is_none(), numbers, ..loaded };
        Ok(())
    }
}
