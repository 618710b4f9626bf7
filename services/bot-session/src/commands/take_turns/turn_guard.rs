//! Lets one task of this process take a session's turns at a time. Two tasks would take the same turns without harm,
//! but each would read the thread and repeat the calls of the other.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use uuid::Uuid;

/// The sessions whose turns a task of this process is taking. Clones share the set.
#[derive(Clone, Default)]
pub(crate) struct TurnGuards(Arc<Sessions>);

#[derive(Default)]
struct Sessions {
    taken: Mutex<HashSet<Uuid>>,
    /// Notified when a guard is given back.
    released: Notify,
}

/// The right to take a session's turns, given back on drop.
pub(crate) struct TurnGuard {
    guards: TurnGuards,
    session: Uuid,
}

impl TurnGuards {
    /// Returns the guard of a session, when no other task holds it or the last one gives it back within `wait`. None: another task
    /// holds it still.
    pub(crate) async fn start(&self, session: Uuid, wait: Duration) -> Option<TurnGuard> {
        let started = async {
            loop {
                let mut released = std::pin::pin!(self.0.released.notified());
                // A guard that is given back after this line is not missed.
                released.as_mut().enable();
                if let Some(guard) = self.try_start(session) {
                    return guard;
                }
                released.await;
            }
        };
        tokio::time::timeout(wait, started).await.ok()
    }

    fn try_start(&self, session: Uuid) -> Option<TurnGuard> {
        self.taken().insert(session).then(|| TurnGuard { guards: self.clone(), session })
    }

    fn taken(&self) -> MutexGuard<'_, HashSet<Uuid>> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for TurnGuard {
    fn drop(&mut self) {
        self.guards.taken().remove(&self.session);
        self.guards.0.released.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_WAIT: Duration = Duration::ZERO;

    #[tokio::test]
    async fn b6_one_task_at_a_time_takes_the_turns_of_a_session() {
        let (guards, session) = (TurnGuards::default(), Uuid::from_u128(1));
        let guard = guards.start(session, NO_WAIT).await;
        assert!(guard.is_some() && guards.clone().start(session, NO_WAIT).await.is_none());
        assert!(guards.start(Uuid::from_u128(2), NO_WAIT).await.is_some());
        drop(guard);
        assert!(guards.start(session, NO_WAIT).await.is_some());
    }

    #[tokio::test]
    async fn b6_a_task_waits_a_moment_for_the_turns_of_another() {
        let (guards, session) = (TurnGuards::default(), Uuid::from_u128(1));
        let guard = guards.start(session, NO_WAIT).await;
        let waiting = tokio::spawn({
            let guards = guards.clone();
            async move { guards.start(session, Duration::from_secs(60)).await.is_some() }
        });
        tokio::task::yield_now().await;
        drop(guard);
        assert!(waiting.await.unwrap());
    }
}
