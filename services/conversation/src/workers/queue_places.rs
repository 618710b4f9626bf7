//! The places in queues that visitors are shown while they watch their chats at this replica (rule A6). They are asked for together: one
//! statement says which of the watched chats wait, and one call for each account which places they have.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use frontdesk_db::AccountId;
use futures::{StreamExt, stream};
use sea_orm::DbErr;
use tokio::{
    sync::{
        Notify,
        broadcast::error::{RecvError, TryRecvError},
        watch,
    },
    time::Instant,
};
use uuid::Uuid;

use crate::{App, assignment, domain::AboutPlace, store::queued_conversations};

/// Interval between two looks at all watched chats (seconds), and the minimum interval between two questions for the place of a chat.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long changes of watched chats are collected before they are looked at (milliseconds).
const COLLECT_FOR: Duration = Duration::from_millis(200);
/// Maximum number of conversations in one statement.
const MAX_IDS: usize = 5_000;
/// Maximum number of conversations in one call.
const MAX_ASKED: usize = 500;
/// Maximum number of calls under way.
const MAX_CALLS: usize = 8;

/// The chats that visitors watch at this replica. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct WatchedPlaces {
    chats: Arc<Mutex<HashMap<Uuid, WatchedChat>>>,
    added: Arc<Notify>,
}

struct WatchedChat {
    /// None: nothing was shown yet.
    place: watch::Sender<Option<AboutPlace>>,
    /// When its place was last asked for. None: never.
    asked_at: Option<Instant>,
    /// Whether it is to be looked at before the next look at all.
    due: bool,
}

impl WatchedPlaces {
    /// What the visitor of the chat is shown from now on. The first value is what is known.
    pub(crate) fn watch(&self, chat: Uuid) -> watch::Receiver<Option<AboutPlace>> {
        let mut chats = self.lock();
        let new = || WatchedChat { place: watch::Sender::new(None), asked_at: None, due: true };
        let mut places = chats.entry(chat).or_insert_with(new).place.subscribe();
        places.mark_changed();
        self.added.notify_one();
        places
    }

    /// The chats to look at: all, or those that are due. Those that nobody watches any more are forgotten.
    fn take(&self, all: bool) -> Vec<Uuid> {
        let mut chats = self.lock();
        if all {
            chats.retain(|_, chat| chat.place.receiver_count() > 0);
        }
        let due = chats.iter_mut().filter_map(|(id, chat)| (std::mem::take(&mut chat.due) || all).then_some(*id));
        due.collect()
    }

    /// These chats changed.
    fn set_due(&self, changed: &HashSet<Uuid>) {
        let mut chats = self.lock();
        for id in changed {
            if let Some(chat) = chats.get_mut(id) {
                chat.due = true;
            }
        }
    }

    /// Shows the visitors whose chats do not wait any more that they do not, and returns the chats whose places may be asked for now.
    fn sort(&self, looked_at: &[Uuid], waiting: Vec<(AccountId, Uuid)>) -> HashMap<AccountId, Vec<Uuid>> {
        let mut chats = self.lock();
        let waits: HashSet<Uuid> = waiting.iter().map(|(_, id)| *id).collect();
        for id in looked_at.iter().filter(|id| !waits.contains(*id)) {
            if let Some(chat) = chats.get(id) {
                let was_shown = chat.place.borrow().is_some();
                show(chat, was_shown.then(AboutPlace::default));
            }
        }
        let (now, mut asked): (_, HashMap<AccountId, Vec<Uuid>>) = (Instant::now(), HashMap::new());
        for (account, id) in waiting {
            let Some(chat) = chats.get_mut(&id) else { continue };
            if chat.asked_at.is_none_or(|asked_at| now.duration_since(asked_at) >= INTERVAL) {
                chat.asked_at = Some(now);
                asked.entry(account).or_default().push(id);
            }
        }
        asked
    }

    /// Shows the visitors of these chats their places.
    fn show(&self, places: &HashMap<Uuid, AboutPlace>) {
        let chats = self.lock();
        for (id, place) in places {
            if let Some(chat) = chats.get(id) {
                show(chat, Some(*place));
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, WatchedChat>> {
        self.chats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn show(chat: &WatchedChat, place: Option<AboutPlace>) {
    chat.place.send_if_modified(|shown| std::mem::replace(shown, place) != place);
}

/// Looks until the shutdown.
pub(super) async fn run(app: App) {
    let mut changes = app.notifier.subscribe_all();
    let mut next_look = Instant::now() + INTERVAL;
    while !app.shutdown.is_cancelled() {
        let mut changed = HashSet::new();
        if app.watched_places.is_empty() {
            tokio::select! {
                () = app.shutdown.cancelled() => return,
                () = app.watched_places.added.notified() => {}
            }
            // What changed while nothing was watched.
            changes = changes.resubscribe();
        } else {
            tokio::select! {
                () = app.shutdown.cancelled() => return,
                () = tokio::time::sleep_until(next_look) => {}
                () = app.watched_places.added.notified() => {}
                change = changes.recv() => match change {
                    Ok(id) => changed.extend(id),
                    // The next look at all finds what was missed.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                },
            }
        }
        let all = Instant::now() >= next_look;
        if all {
            next_look = Instant::now() + INTERVAL;
        } else {
            tokio::time::sleep(COLLECT_FOR).await;
            loop {
                match changes.try_recv() {
                    Ok(id) => changed.extend(id),
                    Err(TryRecvError::Lagged(_)) => {}
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                }
            }
            app.watched_places.set_due(&changed);
        }
        let looked_at = app.watched_places.take(all);
        if let Err(error) = look(&app, &looked_at).await {
            tracing::warn!(%error, "the places of watched chats were not looked at; retrying");
        }
    }
}

async fn look(app: &App, chats: &[Uuid]) -> Result<(), DbErr> {
    for some in chats.chunks(MAX_IDS) {
        let waiting = queued_conversations::list_waiting(app.db.read(), some).await?;
        let asked = app.watched_places.sort(some, waiting);
        let calls = asked.iter().flat_map(|(account, ids)| ids.chunks(MAX_ASKED).map(move |ids| (*account, ids)));
        let calls: Vec<_> = calls.map(|(account, ids)| ask(app, account, ids)).collect();
        stream::iter(calls).for_each_concurrent(MAX_CALLS, |call| call).await;
    }
    Ok(())
}

/// A chat of which the assignment service says nothing is about to get an agent: its visitor is shown the same until its row changes.
async fn ask(app: &App, account: AccountId, chats: &[Uuid]) {
    match assignment::get_queue_places(app, account, chats).await {
        Ok(places) => app.watched_places.show(&places),
        Err(status) => {
            tracing::warn!(code = ?status.code(), message = status.message(), "the places of chats are not known now; retrying");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: AccountId = AccountId(Uuid::from_u128(1));

    fn shown(places: &mut watch::Receiver<Option<AboutPlace>>) -> Option<AboutPlace> {
        places.has_changed().unwrap().then(|| *places.borrow_and_update()).flatten()
    }

    #[tokio::test(start_paused = true)]
    async fn a6_a_chat_is_asked_for_at_most_every_5_seconds_and_its_end_is_shown_at_once() {
        let (watched, chat) = (WatchedPlaces::default(), Uuid::from_u128(2));
        let mut places = watched.watch(chat);
        assert_eq!((watched.take(false), shown(&mut places)), (vec![chat], None));
        assert_eq!(watched.sort(&[chat], Vec::new()), HashMap::new());
        assert_eq!(shown(&mut places), None, "nothing is shown of a chat that never waited");
        let waits = || vec![(HERE, chat)];
        assert_eq!(watched.sort(&[chat], waits()), HashMap::from([(HERE, vec![chat])]));
        let place = AboutPlace::new(3, None);
        watched.show(&HashMap::from([(chat, place)]));
        assert_eq!(shown(&mut places), Some(place));
        watched.show(&HashMap::from([(chat, place)]));
        assert_eq!(shown(&mut places), None, "nothing changed");
        assert_eq!(watched.sort(&[chat], waits()), HashMap::new());
        tokio::time::advance(INTERVAL).await;
        assert_eq!(watched.sort(&[chat], waits()), HashMap::from([(HERE, vec![chat])]));
        let mut another = watched.watch(chat);
        assert_eq!(shown(&mut another), Some(place), "a further watch begins with it");
        assert_eq!(watched.sort(&[chat], Vec::new()), HashMap::new());
        assert_eq!(
            (shown(&mut places), shown(&mut another)),
            (Some(AboutPlace::default()), Some(AboutPlace::default()))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a6_changed_chats_are_due_and_those_that_nobody_watches_are_forgotten() {
        let (watched, chat) = (WatchedPlaces::default(), Uuid::from_u128(2));
        let places = watched.watch(chat);
        assert_eq!(watched.take(false), [chat]);
        assert!(watched.take(false).is_empty());
        watched.set_due(&HashSet::from([chat, Uuid::from_u128(3)]));
        assert_eq!((watched.take(false), watched.take(true)), (vec![chat], vec![chat]));
        drop(places);
        assert!(watched.take(true).is_empty() && watched.is_empty());
    }
}
