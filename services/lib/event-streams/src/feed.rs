//! New events of the accounts that have streams at this replica, read once for all of them.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use frontdesk_bus::ChangeNotifier;
use frontdesk_db::{AccountId, Db, DbErr};
use frontdesk_outbox::{PUBLISHED, PublishedEvents, list_published, settled_to};
use frontdesk_proto::event::v1::Event;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

/// Interval between two looks for events whose notification was lost: it delays an event by at most this.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// How long notifications are collected before the events are read.
const COLLECT_FOR: Duration = Duration::from_millis(20);
/// Delay before the next attempt after events could not be read.
const ERROR_DELAY: Duration = Duration::from_secs(1);
/// Maximum number of batches that wait for a stream, which reads for itself when there are more.
const MAX_WAITING: usize = 16;

/// The accounts that have streams at this replica. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Feed {
    accounts: Arc<Mutex<HashMap<AccountId, Followed>>>,
    /// Notified when an account has its first stream.
    joined: Arc<Notify>,
}

/// An account that has streams.
struct Followed {
    batches: broadcast::Sender<Arc<Batch>>,
    /// The end of the last batch. None: no batch was sent yet.
    sent_to: Option<i64>,
    read_to: Arc<AtomicI64>,
}

/// Events of an account.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The position after which they were read. Those up to it were in earlier batches, or are read by the stream.
    pub(crate) after: i64,
    /// The position up to which they were read.
    pub(crate) to: i64,
    /// With their positions, in order.
    pub(crate) events: Vec<(i64, Event)>,
}

impl Batch {
    /// Events of one account that were read after a position.
    pub(crate) fn new(after: i64, read: PublishedEvents) -> Self {
        let events = read.events.into_iter().map(|one| (one.position, one.event)).collect();
        Self { after, to: read.read_to, events }
    }
}

/// What a stream receives of the feed. Dropping it ends that.
pub(crate) struct Follower {
    /// New events, of which a slow stream misses the oldest.
    pub(crate) batches: broadcast::Receiver<Arc<Batch>>,
    read_to: Arc<AtomicI64>,
}

impl Follower {
    /// The position up to which the feed has read.
    pub(crate) fn read_to(&self) -> i64 {
        self.read_to.load(Ordering::SeqCst)
    }

    /// The position up to which every event was received. None: something waits to be received.
    pub(crate) fn received_to(&self) -> Option<i64> {
        // Read first: the events up to it were sent before it was set.
        let read_to = self.read_to();
        self.batches.is_empty().then_some(read_to)
    }
}

impl Feed {
    /// Follows the new events of an account. Those up to the position of [`settled_to`], if it is asked for afterwards, the stream reads
    /// itself, and those between the end of what it read and the first batch too.
    pub(crate) fn follow(&self, account: AccountId) -> Follower {
        let mut accounts = self.lock();
        let followed = accounts.entry(account).or_insert_with(|| {
            self.joined.notify_one();
            Followed { batches: broadcast::Sender::new(MAX_WAITING), sent_to: None, read_to: Arc::default() }
        });
        Follower { batches: followed.batches.subscribe(), read_to: followed.read_to.clone() }
    }

    /// Reads new events and sends them to the streams, until the shutdown.
    pub(crate) async fn run(self, source: &str, db: Db, notifier: ChangeNotifier, shutdown: CancellationToken) {
        let mut published = notifier.subscribe(PUBLISHED);
        // What was read by a loop that panicked may not have been sent.
        self.lock().values_mut().for_each(|followed| followed.sent_to = None);
        let mut read_to = None;
        while !shutdown.is_cancelled() {
            published.borrow_and_update();
            let (wait, has_failed) = match self.read_new(&db, &mut read_to).await {
                Ok(true) => continue,
                Ok(false) => (LOOK_INTERVAL, false),
                Err(error) => {
                    tracing::warn!(source, %error, "new events were not read for their streams; trying again");
                    (ERROR_DELAY, true)
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
                () = self.joined.notified(), if !has_failed => {}
                // Nothing is read while no account has streams.
                Ok(()) = published.changed(), if !has_failed && read_to.is_some() => tokio::time::sleep(COLLECT_FOR).await,
            }
        }
    }

    /// Reads the next events. `read_to`: those up to this position were read; None: no account had streams. True: more events follow.
    async fn read_new(&self, db: &Db, read_to: &mut Option<i64>) -> Result<bool, DbErr> {
        let accounts = self.accounts();
        if accounts.is_empty() {
            *read_to = None;
            return Ok(false);
        }
        let settled_to = settled_to(db).await?;
        let after = *read_to.get_or_insert(settled_to);
        let read = list_published(db, &accounts, after, settled_to).await?;
        let end = read.read_to;
        self.send(&accounts, after, read);
        *read_to = Some(end);
        Ok(end < settled_to)
    }

    /// Sends the events of these accounts after a position to their streams.
    fn send(&self, accounts: &[AccountId], after: i64, read: PublishedEvents) {
        let mut by_account: HashMap<AccountId, Vec<(i64, Event)>> = HashMap::new();
        for one in read.events {
            by_account.entry(one.account).or_default().push((one.position, one.event));
        }
        let mut followed = self.lock();
        for account in accounts {
            let Some(followed) = followed.get_mut(account) else { continue };
            let events = by_account.remove(account).unwrap_or_default();
            // The first batch says from where on the account is followed, also where it has no event.
            if !events.is_empty() || followed.sent_to.is_none() {
                let batch = Batch { after: followed.sent_to.unwrap_or(after), to: read.read_to, events };
                let _ = followed.batches.send(Arc::new(batch));
                followed.sent_to = Some(read.read_to);
            }
            followed.read_to.store(read.read_to, Ordering::SeqCst);
        }
    }

    /// The accounts that have streams. Others are forgotten.
    fn accounts(&self) -> Vec<AccountId> {
        let mut accounts = self.lock();
        accounts.retain(|_, followed| followed.batches.receiver_count() > 0);
        if accounts.capacity() > 4 * accounts.len() {
            accounts.shrink_to_fit();
        }
        accounts.keys().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AccountId, Followed>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use frontdesk_outbox::Published;
    use uuid::Uuid;

    use super::*;

    const ONE: AccountId = AccountId(Uuid::from_u128(1));
    const OTHER: AccountId = AccountId(Uuid::from_u128(2));

    fn read(events: &[(i64, AccountId)], read_to: i64) -> PublishedEvents {
        let published = |(position, account): &(i64, AccountId)| Published {
            position: *position,
            account: *account,
            event: Event::default(),
        };
        PublishedEvents { events: events.iter().map(published).collect(), read_to }
    }

    fn received(follower: &mut Follower) -> (i64, i64, Vec<i64>) {
        let batch = follower.batches.try_recv().unwrap();
        (batch.after, batch.to, batch.events.iter().map(|(position, _)| *position).collect())
    }

    #[test]
    fn i17_batches_of_an_account_follow_each_other_without_a_hole() {
        let feed = Feed::default();
        let (mut one, mut other) = (feed.follow(ONE), feed.follow(OTHER));
        let both = [ONE, OTHER];
        feed.send(&both, 10, read(&[], 10));
        assert_eq!((one.received_to(), received(&mut one)), (None, (10, 10, vec![])), "from where on it is followed");
        assert_eq!(one.received_to(), Some(10));
        feed.send(&both, 10, read(&[(12, OTHER)], 14));
        feed.send(&both, 14, read(&[(15, ONE), (16, OTHER), (17, ONE)], 20));
        assert_eq!(received(&mut one), (10, 20, vec![15, 17]), "also what was read for others");
        assert_eq!(received(&mut other), (10, 10, vec![]));
        assert_eq!((received(&mut other), received(&mut other)), ((10, 14, vec![12]), (14, 20, vec![16])));
        assert_eq!((one.received_to(), other.received_to()), (Some(20), Some(20)));
    }

    #[test]
    fn i17_an_account_that_joins_during_a_read_is_followed_from_the_next_one_on() {
        let feed = Feed::default();
        let mut one = feed.follow(ONE);
        // These were read for others, before it joined.
        feed.send(&[OTHER], 10, read(&[], 20));
        assert_eq!(one.received_to(), Some(0));
        feed.send(&[ONE, OTHER], 20, read(&[], 20));
        assert_eq!(received(&mut one), (20, 20, vec![]));
    }

    #[test]
    fn c10_an_account_without_streams_is_forgotten() {
        let feed = Feed::default();
        let (one, other) = (feed.follow(ONE), feed.follow(OTHER));
        drop(other);
        assert_eq!(feed.accounts(), [ONE]);
        drop(one);
        assert!(feed.accounts().is_empty());
    }
}
