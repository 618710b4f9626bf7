//! Wakes the streams of one bot when its turns, or the bot itself, changed in this process. Streams of other bots sleep on.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use frontdesk_db::{AccountId, Tx};
use tokio::sync::watch;
use uuid::Uuid;

/// A bot of an account.
type BotKey = (AccountId, Uuid);

/// The bots that have streams in this process. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct TurnSignals(Arc<Mutex<HashMap<BotKey, watch::Sender<()>>>>);

/// The signals of one bot, until it is dropped.
pub(crate) struct TurnSubscription {
    signals: TurnSignals,
    bot: BotKey,
    changes: watch::Receiver<()>,
}

impl TurnSignals {
    /// Subscribes to the changes of a bot and its turns.
    pub(crate) fn subscribe(&self, account: AccountId, bot: Uuid) -> TurnSubscription {
        let bot = (account, bot);
        let changes = self.bots().entry(bot).or_insert_with(|| watch::Sender::new(())).subscribe();
        TurnSubscription { signals: self.clone(), bot, changes }
    }

    /// Wakes the streams of the bot when the transaction has committed.
    pub(crate) fn wake_on_commit(&self, tx: &mut Tx, account: AccountId, bot: Uuid) {
        let signals = self.clone();
        tx.on_commit(move || signals.wake(account, bot));
    }

    fn wake(&self, account: AccountId, bot: Uuid) {
        if let Some(changes) = self.bots().get(&(account, bot)) {
            changes.send_replace(());
        }
    }

    fn bots(&self) -> MutexGuard<'_, HashMap<BotKey, watch::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TurnSubscription {
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

impl Drop for TurnSubscription {
    fn drop(&mut self) {
        let mut bots = self.signals.bots();
        // This one still counts.
        if bots.get(&self.bot).is_some_and(|changes| changes.receiver_count() <= 1) {
            bots.remove(&self.bot);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn b7_a_change_wakes_the_streams_of_its_bot_and_of_no_other_bot_or_account() {
        let (signals, here, there) =
            (TurnSignals::default(), AccountId(Uuid::from_u128(1)), AccountId(Uuid::from_u128(2)));
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
        let (signals, account, bot) = (TurnSignals::default(), AccountId(Uuid::from_u128(1)), Uuid::from_u128(3));
        let (one, mut two) = (signals.subscribe(account, bot), signals.subscribe(account, bot));
        drop(one);
        signals.wake(account, bot);
        assert!(two.changed().now_or_never().is_some());
        drop(two);
        assert!(signals.bots().is_empty());
    }
}
