//! Picks a replica for a call: the one with the fewest calls in progress, round-robin among equals, without those that are ejected
//! after a failure.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::replica::Replica;

/// How long a replica is ejected after its first failure; doubled with each further failure in a row.
const MIN_EJECTION: Duration = Duration::from_millis(100);
/// Maximum duration of an ejection.
const MAX_EJECTION: Duration = Duration::from_secs(1);

/// The replicas of a service.
pub(super) struct Picker<C> {
    replicas: RwLock<Vec<Arc<Replica<C>>>>,
    /// Where the next pick begins.
    next: AtomicUsize,
}

impl<C> Default for Picker<C> {
    fn default() -> Self {
        Self { replicas: RwLock::default(), next: AtomicUsize::new(0) }
    }
}

impl<C> Picker<C> {
    pub(super) fn is_empty(&self) -> bool {
        self.replicas.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    pub(super) fn find(&self, address: SocketAddr) -> Option<Arc<Replica<C>>> {
        let replicas = self.replicas.read().unwrap_or_else(PoisonError::into_inner);
        replicas.iter().find(|replica| replica.address == address).cloned()
    }

    pub(super) fn replace(&self, replicas: Vec<Arc<Replica<C>>>) {
        *self.replicas.write().unwrap_or_else(PoisonError::into_inner) = replicas;
    }

    /// A replica at none of the `excluded` addresses. None: no other one is available.
    pub(super) fn pick(&self, excluded: &[SocketAddr]) -> Option<Arc<Replica<C>>> {
        let replicas = self.replicas.read().unwrap_or_else(PoisonError::into_inner);
        let (start, now) = (self.next.fetch_add(1, Ordering::Relaxed), Instant::now());
        let in_turn = (0..replicas.len()).map(|offset| &replicas[start.wrapping_add(offset) % replicas.len()]);
        let available =
            in_turn.filter(|replica| !excluded.contains(&replica.address) && replica.health.is_available(now));
        available.min_by_key(|replica| replica.health.calls()).cloned()
    }
}

/// The calls in progress at a replica, and its ejection.
#[derive(Default)]
pub(super) struct Health {
    calls: AtomicUsize,
    ejection: Mutex<Ejection>,
}

#[derive(Default)]
struct Ejection {
    /// Number of failures since the last success.
    failures: u32,
    until: Option<Instant>,
}

/// A call in progress; it ends when the guard is dropped.
pub(super) struct CallGuard<'a>(&'a Health);

impl Drop for CallGuard<'_> {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Health {
    pub(super) fn begin_call(&self) -> CallGuard<'_> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        CallGuard(self)
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Ends the ejection.
    pub(super) fn succeeded(&self) {
        *self.ejection.lock().unwrap_or_else(PoisonError::into_inner) = Ejection::default();
    }

    /// Ejects the replica for a while; returns the number of failures in a row.
    pub(super) fn failed(&self, now: Instant) -> u32 {
        let mut ejection = self.ejection.lock().unwrap_or_else(PoisonError::into_inner);
        let duration = MIN_EJECTION.saturating_mul(1 << ejection.failures.min(10)).min(MAX_EJECTION);
        ejection.failures = ejection.failures.saturating_add(1);
        ejection.until = Some(now + duration);
        ejection.failures
    }

    /// Whether the replica may be picked. After an ejection one call at a time tests whether it has recovered.
    fn is_available(&self, now: Instant) -> bool {
        match self.ejection.lock().unwrap_or_else(PoisonError::into_inner).until {
            None => true,
            Some(until) => now >= until && self.calls() == 0,
        }
    }
}
