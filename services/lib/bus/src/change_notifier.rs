//! Change notifications for live streams. A notification is only a reason to read, so that a lost or repeated one does no
//! harm. Signals, such as that somebody types, take the same way: they are stored nowhere, and a lost one is not sent again.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use tokio::sync::{broadcast, mpsc, watch};
use uuid::Uuid;

/// Maximum number of notifications and signals that wait to be sent to the other replicas. More are dropped; the readers of a
/// dropped notification find the change by their next read.
const MAX_QUEUED: usize = 8_192;
/// Maximum number of changes that wait for a subscriber of all things, which misses the oldest when there are more.
const MAX_WAITING_CHANGES: usize = 1_024;
/// Maximum number of signals of a thing that wait for a subscriber, which misses the oldest when there are more.
const MAX_WAITING_SIGNALS: usize = 8;

/// The next number of a change, increasing for the whole process: a thing that is removed and subscribed to again never
/// shows the same number twice.
static NEXT_NUMBER: AtomicU64 = AtomicU64::new(0);

fn next_number() -> u64 {
    NEXT_NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// What is sent to the other replicas.
#[derive(Debug)]
pub(crate) enum ForOtherReplicas {
    Changed(Uuid),
    Signal(Uuid, Bytes),
}

/// Notifies the subscribers of a thing that it changed, at this replica and, where the bus has several, at the others. Clones
/// share the subscribers.
#[derive(Clone)]
pub struct ChangeNotifier {
    subscribers: Arc<Mutex<HashMap<Uuid, watch::Sender<u64>>>>,
    /// For the subscribers of all things.
    all: broadcast::Sender<Option<Uuid>>,
    signals: Arc<Mutex<HashMap<Uuid, broadcast::Sender<Bytes>>>>,
    other_replicas: Option<mpsc::Sender<ForOtherReplicas>>,
}

impl Default for ChangeNotifier {
    fn default() -> Self {
        Self {
            subscribers: Arc::default(),
            all: broadcast::Sender::new(MAX_WAITING_CHANGES),
            signals: Arc::default(),
            other_replicas: None,
        }
    }
}

impl ChangeNotifier {
    /// A notifier, and the queue for the other replicas.
    pub(crate) fn with_queue() -> (Self, mpsc::Receiver<ForOtherReplicas>) {
        let (other_replicas, queue) = mpsc::channel(MAX_QUEUED);
        (Self { other_replicas: Some(other_replicas), ..Self::default() }, queue)
    }

    /// Signals about the thing from now on.
    pub fn subscribe_signals(&self, id: Uuid) -> broadcast::Receiver<Bytes> {
        let mut signals = self.signals.lock().unwrap_or_else(PoisonError::into_inner);
        signals.entry(id).or_insert_with(|| broadcast::Sender::new(MAX_WAITING_SIGNALS)).subscribe()
    }

    /// Sends a signal to the subscribers of the thing at every replica, each of which may miss it.
    pub fn signal(&self, id: Uuid, signal: Bytes) {
        self.signal_local(id, signal.clone());
        if let Some(other_replicas) = &self.other_replicas {
            let _ = other_replicas.try_send(ForOtherReplicas::Signal(id, signal));
        }
    }

    /// Sends a signal to the subscribers at this replica.
    pub(crate) fn signal_local(&self, id: Uuid, signal: Bytes) {
        let signals = self.signals.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = signals.get(&id) {
            let _ = sender.send(signal);
        }
    }

    /// Notifications about the thing from now on: a number that increases. A read made after a number was received finds all
    /// changes up to that number, so its result serves all subscribers that received the same number.
    pub fn subscribe(&self, id: Uuid) -> watch::Receiver<u64> {
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        subscribers.entry(id).or_insert_with(|| watch::Sender::new(next_number())).subscribe()
    }

    /// The ids of all things that change from now on. None: some may have been missed.
    pub fn subscribe_all(&self) -> broadcast::Receiver<Option<Uuid>> {
        self.all.subscribe()
    }

    /// Notifies the subscribers of the thing at every replica.
    pub fn notify(&self, id: Uuid) {
        self.notify_local(id);
        if let Some(other_replicas) = &self.other_replicas {
            let _ = other_replicas.try_send(ForOtherReplicas::Changed(id));
        }
    }

    /// The things that have subscribers at this replica. Those that have none any more are forgotten.
    pub fn subscribed(&self) -> Vec<Uuid> {
        let mut signals = self.signals.lock().unwrap_or_else(PoisonError::into_inner);
        signals.retain(|_, sender| sender.receiver_count() > 0);
        if signals.capacity() > 4 * signals.len() {
            signals.shrink_to_fit();
        }
        drop(signals);
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        subscribers.retain(|_, sender| sender.receiver_count() > 0);
        // What a peak of subscribers needed.
        if subscribers.capacity() > 4 * subscribers.len() {
            subscribers.shrink_to_fit();
        }
        subscribers.keys().copied().collect()
    }

    /// Notifies the subscribers at this replica, and removes a thing without subscribers.
    pub fn notify_local(&self, id: Uuid) {
        let _ = self.all.send(Some(id));
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        if subscribers.get(&id).is_some_and(|sender| sender.send(next_number()).is_err()) {
            subscribers.remove(&id);
        }
    }

    /// Notifies all subscribers at this replica: notifications may have been lost.
    pub(crate) fn notify_all_local(&self) {
        let _ = self.all.send(None);
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        subscribers.retain(|_, sender| sender.send(next_number()).is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn subscribers_of_a_thing_are_notified_and_others_are_not() {
        let notifier = ChangeNotifier::default();
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let (mut first, mut second) = (notifier.subscribe(one), notifier.subscribe(two));
        let before = *first.borrow_and_update();
        let mut all = notifier.subscribe_all();
        notifier.clone().notify(one);
        assert!(first.has_changed().unwrap() && !second.has_changed().unwrap());
        assert!(*first.borrow_and_update() > before, "numbers increase");
        notifier.notify_all_local();
        assert!(first.has_changed().unwrap() && second.has_changed().unwrap());
        assert_eq!((all.recv().await, all.recv().await), (Ok(Some(one)), Ok(None)));
        second.borrow_and_update();
    }

    #[test]
    fn a_thing_without_subscribers_is_removed_and_its_numbers_still_increase() {
        let notifier = ChangeNotifier::default();
        let id = Uuid::from_u128(1);
        let before = *notifier.subscribe(id).borrow();
        notifier.notify(id);
        assert!(notifier.subscribers.lock().unwrap().is_empty());
        assert!(*notifier.subscribe(id).borrow() > before);
    }

    #[test]
    fn c10_things_without_subscribers_take_no_memory() {
        let notifier = ChangeNotifier::default();
        let followed = Uuid::from_u128(0);
        let subscription = notifier.subscribe(followed);
        for number in 1..100_000 {
            drop(notifier.subscribe(Uuid::from_u128(number)));
            drop(notifier.subscribe_signals(Uuid::from_u128(number)));
        }
        assert_eq!(notifier.subscribed(), [followed]);
        assert!(notifier.subscribers.lock().unwrap().capacity() < 100);
        assert!(notifier.signals.lock().unwrap().capacity() < 100);
        notifier.notify(followed);
        assert!(subscription.has_changed().unwrap());
    }

    #[tokio::test]
    async fn c13_signals_reach_the_subscribers_of_their_thing_and_no_others() {
        let notifier = ChangeNotifier::default();
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let (mut first, mut second) = (notifier.subscribe_signals(one), notifier.subscribe_signals(two));
        notifier.signal(one, Bytes::from_static(b"typing"));
        assert_eq!(first.recv().await.unwrap(), "typing");
        assert!(second.try_recv().is_err());
    }

    #[test]
    fn notifications_for_other_replicas_are_dropped_when_their_queue_is_full() {
        let (notifier, mut queue) = ChangeNotifier::with_queue();
        for number in 0..MAX_QUEUED as u128 + 5 {
            notifier.notify(Uuid::from_u128(number));
        }
        let queued = std::iter::from_fn(|| queue.try_recv().ok()).count();
        assert_eq!(queued, MAX_QUEUED);
    }
}
