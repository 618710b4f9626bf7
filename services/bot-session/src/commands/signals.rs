//! Wakes the streams of one bot or one session when it changed in this process. Streams of others sleep on.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use frontdesk_db::{AccountId, Tx};
use tokio::sync::watch;
use uuid::Uuid;

/// A bot or a session of an account.
type Key = (AccountId, Uuid);

/// The bots, or the sessions, that have streams in this process. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Signals(Arc<Mutex<HashMap<Key, watch::Sender<()>>>>);

/// The signals of one of them, until it is dropped.
pub(crate) struct Subscription {
    signals: Signals,
    key: Key,
    changes: watch::Receiver<()>,
}

impl Signals {
    /// Subscribes to the changes of one.
    pub(crate) fn subscribe(&self, account: AccountId, id: Uuid) -> Subscription {
        let key = (account, id);
        let changes = self.watched().entry(key).or_insert_with(|| watch::Sender::new(())).subscribe();
        Subscription { signals: self.clone(), key, changes }
    }

    /// Wakes its streams when the transaction has committed.
    pub(crate) fn wake_on_commit(&self, tx: &mut Tx, account: AccountId, id: Uuid) {
        let signals = self.clone();
        tx.on_commit(move || signals.wake(account, id));
    }

    fn wake(&self, account: AccountId, id: Uuid) {
        if let Some(changes) = self.watched().get(&(account, id)) {
            changes.send_replace(());
        }
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<Key, watch::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// Forgets the changes before this call.
    pub(crate) fn mark_unchanged(&mut self) {
        self.changes.mark_unchanged();
    }

    /// Waits for a change after the last call of [`Self::mark_unchanged`] or of this method.
    pub(crate) async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            // The sender is kept while there is a subscription.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut watched = self.signals.watched();
        // Ended under the lock: of two that are dropped at once, the second one finds that none is left.
        self.changes = watch::channel(()).1;
        if watched.get(&self.key).is_some_and(|changes| changes.receiver_count() == 0) {
            watched.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn b7_a_change_wakes_the_streams_of_its_bot_and_of_no_other_bot_or_account() {
        let (signals, here, there) = (Signals::default(), AccountId(Uuid::from_u128(1)), AccountId(Uuid::from_u128(2)));
        let (robo, other) = (Uuid::from_u128(3), Uuid::from_u128(4));
        let mut own = [signals.subscribe(here, robo), signals.subscribe(here, robo)];
        let mut foreign = [signals.subscribe(here, other), signals.subscribe(there, robo)];
        signals.wake(here, robo);
        assert!(own.iter_mut().all(|stream| stream.changed().now_or_never().is_some()));
        assert!(foreign.iter_mut().all(|stream| stream.changed().now_or_never().is_none()));
        // Each change is seen once.
        assert!(own[0].changed().now_or_never().is_none());
        signals.wake(here, robo);
        own[0].mark_unchanged();
        assert!(own[0].changed().now_or_never().is_none() && own[1].changed().now_or_never().is_some());
    }

    #[test]
    fn b7_a_bot_without_streams_is_forgotten() {
        let (signals, account, bot) = (Signals::default(), AccountId(Uuid::from_u128(1)), Uuid::from_u128(3));
        let (one, mut two) = (signals.subscribe(account, bot), signals.subscribe(account, bot));
        drop(one);
        signals.wake(account, bot);
        assert!(two.changed().now_or_never().is_some());
        drop(two);
        assert!(signals.watched().is_empty());
    }
}
