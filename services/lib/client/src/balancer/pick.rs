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

#[cfg(test)]
mod tests {
    use super::*;

    /// A picker over replicas without a connection, at the ports from 1.
    fn picker(replicas: u16) -> Picker<()> {
        let picker = Picker::default();
        picker.replace((1..=replicas).map(|port| Arc::new(Replica::new(address(port), ()))).collect());
        picker
    }

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn picked(picker: &Picker<()>, excluded: &[SocketAddr]) -> Option<u16> {
        picker.pick(excluded).map(|replica| replica.address.port())
    }

    #[test]
    fn replicas_with_equal_load_are_picked_in_turn() {
        let picker = picker(3);
        let ports: Vec<_> = (0..6).map(|_| picked(&picker, &[]).unwrap()).collect();
        assert_eq!(ports, [1, 2, 3, 1, 2, 3]);
        assert_eq!(picked(&picker, &[address(1), address(2)]), Some(3), "others are excluded");
        assert_eq!(picked(&picker, &[address(1), address(2), address(3)]), None);
        assert_eq!(picked(&Picker::default(), &[]), None, "there is no replica");
    }

    #[test]
    fn the_replica_with_the_fewest_calls_in_progress_is_picked() {
        let picker = picker(3);
        let replicas: Vec<_> = (1..=3).map(|port| picker.find(address(port)).unwrap()).collect();
        let busy = [replicas[0].health.begin_call(), replicas[0].health.begin_call(), replicas[1].health.begin_call()];
        assert!((0..6).all(|_| picked(&picker, &[]) == Some(3)));
        let [.., one_of_two] = busy;
        drop(one_of_two);
        assert!((0..6).all(|_| picked(&picker, &[]) != Some(1)));
    }

    #[test]
    fn r16_an_ejected_replica_is_not_picked_and_tested_by_one_call_afterwards() {
        let picker = picker(2);
        let replica = picker.find(address(1)).unwrap();
        let now = Instant::now();
        assert_eq!(replica.health.failed(now), 1);
        assert!((0..4).all(|_| picked(&picker, &[]) == Some(2)));
        assert_eq!(picked(&picker, &[address(2)]), None, "an ejected replica is not picked even if it is the last one");
        let later = now + MIN_EJECTION;
        assert!(!replica.health.is_available(later - Duration::from_nanos(1)) && replica.health.is_available(later));
        let test = replica.health.begin_call();
        assert!(!replica.health.is_available(later), "one call tests it, and others wait for its end");
        drop(test);
        replica.health.succeeded();
        assert!(replica.health.is_available(now), "a success ends the ejection");
    }

    #[test]
    fn r16_each_failure_in_a_row_doubles_the_ejection_up_to_a_second() {
        let (health, now) = (Health::default(), Instant::now());
        let ejected_for = |health: &Health| {
            let ejections = (0..).map(Duration::from_millis);
            ejections.map(|after| now + after).find(|at| health.is_available(*at)).unwrap() - now
        };
        let mut ejections = Vec::new();
        for _ in 0..6 {
            health.failed(now);
            ejections.push(ejected_for(&health).as_millis());
        }
        assert_eq!(ejections, [100, 200, 400, 800, 1_000, 1_000]);
        for _ in 0..100 {
            health.failed(now);
        }
        assert_eq!(ejected_for(&health), MAX_EJECTION);
        health.succeeded();
        assert_eq!(health.failed(now), 1, "failures are counted anew");
    }
}
