//! Hints for live streams: a hint is only a reason to read, so losing or repeating one cannot be seen.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;
use uuid::Uuid;

/// Tells followers of a thing that it changed. Clones share it.
#[derive(Clone, Default)]
pub struct Hints(Arc<Mutex<HashMap<Uuid, watch::Sender<()>>>>);

impl Hints {
    /// Hints about the thing from now on.
    pub fn follow(&self, id: Uuid) -> watch::Receiver<()> {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.entry(id).or_insert_with(|| watch::Sender::new(())).subscribe()
    }

    /// The thing changed. Forgets a thing that nobody follows any more.
    pub fn changed(&self, id: Uuid) {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if map.get(&id).is_some_and(|sender| sender.send(()).is_err()) {
            map.remove(&id);
        }
    }
}
