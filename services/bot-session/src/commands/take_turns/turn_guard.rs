//! Lets one task of this process take a session's turns at a time. Two tasks would take the same turns without harm,
//! but each would read the thread and repeat the calls of the other.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use uuid::Uuid;

/// The sessions whose turns a task of this process is taking. Clones share the set.
#[derive(Clone, Default)]
pub(crate) struct TurnGuards(Arc<Mutex<HashSet<Uuid>>>);

/// The right to take a session's turns, given back on drop.
pub(crate) struct TurnGuard {
    guards: TurnGuards,
    session: Uuid,
}

impl TurnGuards {
    /// Returns the guard of a session. None: another task holds it.
    pub(crate) fn try_start(&self, session: Uuid) -> Option<TurnGuard> {
        self.sessions().insert(session).then(|| TurnGuard { guards: self.clone(), session })
    }

    fn sessions(&self) -> MutexGuard<'_, HashSet<Uuid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for TurnGuard {
    fn drop(&mut self) {
        self.guards.sessions().remove(&self.session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b6_one_task_at_a_time_takes_the_turns_of_a_session() {
        let (guards, session) = (TurnGuards::default(), Uuid::from_u128(1));
        let guard = guards.try_start(session);
        assert!(guard.is_some() && guards.clone().try_start(session).is_none());
        assert!(guards.try_start(Uuid::from_u128(2)).is_some());
        drop(guard);
        assert!(guards.try_start(session).is_some());
    }
}
