//! Which sessions' turns this process is taking. Two at once would do no harm, but each act twice as work: a flood of
//! messages would be as many readers of one thread.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use uuid::Uuid;

/// The sessions in hand. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Busy(Arc<Mutex<HashSet<Uuid>>>);

/// A session in hand, until it is dropped.
pub(crate) struct InHand {
    busy: Busy,
    session: Uuid,
}

impl Busy {
    /// Takes the session in hand; None: it is.
    pub(crate) fn enter(&self, session: Uuid) -> Option<InHand> {
        self.sessions().insert(session).then(|| InHand { busy: self.clone(), session })
    }

    fn sessions(&self) -> MutexGuard<'_, HashSet<Uuid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.busy.sessions().remove(&self.session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_in_one_hand_at_a_time() {
        let (busy, session) = (Busy::default(), Uuid::from_u128(1));
        let in_hand = busy.enter(session);
        assert!(in_hand.is_some() && busy.clone().enter(session).is_none());
        assert!(busy.enter(Uuid::from_u128(2)).is_some());
        drop(in_hand);
        assert!(busy.enter(session).is_some());
    }
}
