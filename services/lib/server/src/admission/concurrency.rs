//! Concurrency limits: permits for the calls in progress and for the openings of streams.
//!
//! The openings are a tokio semaphore. Calls in progress are a counter, which a semaphore cannot replace: calls between our services
//! are counted but never refused, so the count may exceed the limit.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Number of calls in progress that are allowed for each stream that may be opening at the same time.
const CALLS_PER_OPENING: usize = 8;

/// The calls in progress and the openings of streams, with their limits.
pub(super) struct ConcurrencyLimits {
    calls: Arc<AtomicUsize>,
    max_calls: usize,
    /// Those of visitors, which also count among the calls.
    visitor_calls: Arc<AtomicUsize>,
    max_visitor_calls: usize,
    /// Number of calls that have arrived and whose tasks have not run yet.
    arriving: Arc<AtomicUsize>,
    /// Permits for the openings of streams.
    openings: Arc<Semaphore>,
}

/// A call in progress, or the opening of a stream; it ends when the permit is dropped.
#[derive(Debug)]
pub(super) struct CallPermit(PermitKind);

#[derive(Debug)]
enum PermitKind {
    /// Counted among the calls in progress.
    Call(Arc<AtomicUsize>),
    /// Counted among those of visitors too.
    VisitorCall { calls: Arc<AtomicUsize>, visitor_calls: Arc<AtomicUsize> },
    /// The opening of a stream.
    Opening { _permit: Option<OwnedSemaphorePermit> },
}

impl Drop for CallPermit {
    fn drop(&mut self) {
        match &self.0 {
            PermitKind::Call(calls) => {
                calls.fetch_sub(1, Ordering::Relaxed);
            }
            PermitKind::VisitorCall { calls, visitor_calls } => {
                calls.fetch_sub(1, Ordering::Relaxed);
                visitor_calls.fetch_sub(1, Ordering::Relaxed);
            }
            PermitKind::Opening { .. } => {}
        }
    }
}

impl ConcurrencyLimits {
    pub(super) fn new(max_calls: usize, max_visitor_calls: usize) -> Self {
        Self {
            calls: Arc::default(),
            max_calls,
            visitor_calls: Arc::default(),
            max_visitor_calls,
            arriving: Arc::default(),
            openings: Arc::new(Semaphore::new((max_calls / CALLS_PER_OPENING).clamp(1, Semaphore::MAX_PERMITS))),
        }
    }

    /// Numbers of calls in progress, and of those of visitors, as they change.
    pub(super) fn in_progress(&self) -> [Arc<AtomicUsize>; 2] {
        [self.calls.clone(), self.visitor_calls.clone()]
    }

    /// Whether the next call would be refused.
    pub(super) fn is_exhausted(&self) -> bool {
        let (calls, arriving) = (self.calls.load(Ordering::Relaxed), self.arriving.load(Ordering::Relaxed));
        // Arriving calls may still be refused: their tokens and rates are not checked. They count only where admitted calls hold half of
        // the permits, so that a burst of calls that will be refused has no effect below that load.
        calls >= self.max_calls || (calls >= self.max_calls.div_ceil(2) && calls + arriving >= self.max_calls)
    }

    /// Counts a call that has arrived until its task runs.
    pub(super) fn count_arriving_call(&self) -> CallPermit {
        self.arriving.fetch_add(1, Ordering::Relaxed);
        CallPermit(PermitKind::Call(self.arriving.clone()))
    }

    /// A permit for a call. None: the limit is reached.
    pub(super) fn try_acquire_call(&self) -> Option<CallPermit> {
        let permit = CallPermit(PermitKind::Call(self.calls.clone()));
        (self.calls.fetch_add(1, Ordering::Relaxed) < self.max_calls).then_some(permit)
    }

    /// A permit for a call of a visitor. None: the limit of visitors, or that of all, is reached.
    pub(super) fn try_acquire_visitor_call(&self) -> Option<CallPermit> {
        let (calls, visitor_calls) = (self.calls.clone(), self.visitor_calls.clone());
        let counts = [self.calls.fetch_add(1, Ordering::Relaxed), self.visitor_calls.fetch_add(1, Ordering::Relaxed)];
        let permit = CallPermit(PermitKind::VisitorCall { calls, visitor_calls });
        (counts[0] < self.max_calls && counts[1] < self.max_visitor_calls).then_some(permit)
    }

    /// A permit for a call on behalf of another call in progress: it counts, and is never refused.
    pub(super) fn acquire_nested_call(&self) -> CallPermit {
        self.calls.fetch_add(1, Ordering::Relaxed);
        CallPermit(PermitKind::Call(self.calls.clone()))
    }

    /// A permit for the opening of a stream, in the order of the requests.
    pub(super) async fn acquire_opening(&self) -> CallPermit {
        // The semaphore is never closed.
        CallPermit(PermitKind::Opening { _permit: self.openings.clone().acquire_owned().await.ok() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s4_calls_in_progress_do_not_exceed_the_limit_and_end_with_their_permits() {
        let limits = ConcurrencyLimits::new(2, 2);
        let first = limits.try_acquire_call().unwrap();
        let second = limits.try_acquire_call().unwrap();
        assert!(limits.is_exhausted() && limits.try_acquire_call().is_none() && limits.try_acquire_call().is_none());
        drop(first);
        assert!(!limits.is_exhausted());
        drop((second, limits.try_acquire_call().unwrap()));
    }

    #[test]
    fn s4_calls_that_arrive_count_where_admitted_calls_make_the_process_busy() {
        let limits = ConcurrencyLimits::new(4, 4);
        let arriving: Vec<CallPermit> = (0..10).map(|_| limits.count_arriving_call()).collect();
        assert!(!limits.is_exhausted(), "they may still be refused");
        let admitted = [limits.try_acquire_call().unwrap(), limits.try_acquire_call().unwrap()];
        assert!(limits.is_exhausted());
        drop(arriving);
        assert!(!limits.is_exhausted());
        drop(admitted);
    }

    #[test]
    fn s4_visitors_leave_permits_to_the_team() {
        let limits = ConcurrencyLimits::new(4, 3);
        let visitors: Vec<CallPermit> = (0..10).filter_map(|_| limits.try_acquire_visitor_call()).collect();
        assert_eq!(visitors.len(), 3);
        let team = limits.try_acquire_call().unwrap();
        assert!(limits.try_acquire_call().is_none() && limits.try_acquire_visitor_call().is_none());
        drop(visitors);
        let calls: Vec<CallPermit> = (0..10).filter_map(|_| limits.try_acquire_call()).collect();
        assert_eq!(calls.len(), 3, "the team may use all");
        assert!(limits.try_acquire_visitor_call().is_none());
        drop((team, calls));
        assert!(limits.try_acquire_visitor_call().is_some());
    }

    #[test]
    fn s4_nested_calls_count_and_are_not_refused() {
        let limits = ConcurrencyLimits::new(1, 1);
        let call = limits.try_acquire_call().unwrap();
        let nested = [limits.acquire_nested_call(), limits.acquire_nested_call()];
        drop(call);
        assert!(limits.is_exhausted() && limits.try_acquire_call().is_none(), "two nested calls are in progress");
        drop(nested);
        assert!(limits.try_acquire_call().is_some());
    }
}
