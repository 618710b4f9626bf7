//! Hints for live streams: a hint is only a reason to read, so losing or repeating one cannot be seen.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::{mpsc, watch};
use uuid::Uuid;

/// So many hints wait for their way to other replicas at most; more are lost, which a reader notices by a later read.
const WAITING_AT_MOST: usize = 8_192;

/// Numbers that rise, for the whole process: a thing that is forgotten and followed again shows no number twice.
static NUMBERS: AtomicU64 = AtomicU64::new(0);

fn next_number() -> u64 {
    NUMBERS.fetch_add(1, Ordering::Relaxed)
}

/// Tells followers of a thing that it changed, at this replica and, where the bus has several, at the others. Clones share
/// it.
#[derive(Clone, Default)]
pub struct Hints {
    followed: Arc<Mutex<HashMap<Uuid, watch::Sender<u64>>>>,
    others: Option<mpsc::Sender<Uuid>>,
}

impl Hints {
    /// Hints that are also told to others: by whoever empties the receiver.
    pub(crate) fn shared() -> (Self, mpsc::Receiver<Uuid>) {
        let (others, waiting) = mpsc::channel(WAITING_AT_MOST);
        (Self { followed: Arc::default(), others: Some(others) }, waiting)
    }

    /// Hints about the thing from now on: a number that rises. Who reads after seeing a number finds at least what had changed
    /// when it was given, so that what one reader found serves all who saw the same.
    pub fn follow(&self, id: Uuid) -> watch::Receiver<u64> {
        let mut map = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        map.entry(id).or_insert_with(|| watch::Sender::new(next_number())).subscribe()
    }

    /// The thing changed.
    pub fn changed(&self, id: Uuid) {
        self.heard(id);
        if let Some(others) = &self.others {
            let _ = others.try_send(id);
        }
    }

    /// The thing changed, here or elsewhere. Forgets a thing that nobody follows any more.
    pub(crate) fn heard(&self, id: Uuid) {
        let mut map = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if map.get(&id).is_some_and(|sender| sender.send(next_number()).is_err()) {
            map.remove(&id);
        }
    }

    /// Something may have changed unheard: everybody reads again.
    pub(crate) fn all(&self) {
        let mut map = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        map.retain(|_, sender| sender.send(next_number()).is_ok());
    }
}
