//! Concurrency limits: permits for the calls in progress and for the open streams of this process.
//!
//! Open streams, and those that are being opened, are tokio semaphores. Calls in progress are a counter, which a semaphore cannot replace: calls between our
//! services are counted but never refused, so the count may exceed the limit.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Number of calls in progress that are allowed for each stream that may be opening at the same time.
const CALLS_PER_OPENING: usize = 8;

/// Number of open streams of each caller that has one.
type StreamsByCaller = Arc<Mutex<HashMap<u64, usize>>>;

/// The calls in progress and the open streams, with their limits.
pub(super) struct ConcurrencyLimits {
    calls: Arc<AtomicUsize>,
    max_calls: usize,
    /// Permits for the openings of streams.
    openings: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    streams_by_caller: StreamsByCaller,
}

/// A call in progress, or the opening of a stream; it ends when the permit is dropped.
#[derive(Debug)]
pub(super) struct CallPermit(PermitKind);

#[derive(Debug)]
enum PermitKind {
    /// Counted among the calls in progress.
    Call(Arc<AtomicUsize>),
    /// The opening of a stream.
    Opening { _permit: Option<OwnedSemaphorePermit> },
}

impl Drop for CallPermit {
    fn drop(&mut self) {
        if let PermitKind::Call(calls) = &self.0 {
            calls.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// An open stream; it ends when the permit is dropped.
#[derive(Debug)]
pub(super) struct StreamPermit {
    _process: OwnedSemaphorePermit,
    _caller: Option<CallerStream>,
}

/// One of a caller's open streams.
#[derive(Debug)]
struct CallerStream {
    streams: StreamsByCaller,
    caller: u64,
}

impl StreamPermit {
    /// One of these permits. None: all are taken.
    pub(super) fn try_of(permits: &Arc<Semaphore>) -> Option<Self> {
        Some(Self { _process: permits.clone().try_acquire_owned().ok()?, _caller: None })
    }
}

impl Drop for CallerStream {
    fn drop(&mut self) {
        let streams = &mut *self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        match streams.get_mut(&self.caller) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(streams.remove(&self.caller)),
        }
    }
}

/// The limit on open streams that is reached.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum StreamLimit {
    /// Of the process.
    Process,
    /// Of the caller.
    Caller,
}

impl ConcurrencyLimits {
    pub(super) fn new(max_calls: usize, max_streams: usize) -> Self {
        Self {
            calls: Arc::default(),
            max_calls,
            openings: Arc::new(Semaphore::new((max_calls / CALLS_PER_OPENING).clamp(1, Semaphore::MAX_PERMITS))),
            streams: Arc::new(Semaphore::new(max_streams.min(Semaphore::MAX_PERMITS))),
            streams_by_caller: Arc::default(),
        }
    }

    /// Whether the next call would be refused.
    pub(super) fn is_exhausted(&self) -> bool {
        self.calls.load(Ordering::Relaxed) >= self.max_calls
    }

    /// A permit for a call. None: the limit is reached.
    pub(super) fn try_acquire_call(&self) -> Option<CallPermit> {
        let permit = CallPermit(PermitKind::Call(self.calls.clone()));
        (self.calls.fetch_add(1, Ordering::Relaxed) < self.max_calls).then_some(permit)
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

    /// A permit for a stream. `caller`: the caller's key, and the maximum number of its streams.
    pub(super) fn try_acquire_stream(&self, caller: Option<(u64, usize)>) -> Result<StreamPermit, StreamLimit> {
        let process = self.streams.clone().try_acquire_owned().map_err(|_| StreamLimit::Process)?;
        let caller = match caller {
            Some((caller, max)) => Some(self.try_acquire_caller_stream(caller, max).ok_or(StreamLimit::Caller)?),
            None => None,
        };
        Ok(StreamPermit { _process: process, _caller: caller })
    }

    fn try_acquire_caller_stream(&self, caller: u64, max: usize) -> Option<CallerStream> {
        let mut streams = self.streams_by_caller.lock().unwrap_or_else(PoisonError::into_inner);
        let count = streams.get(&caller).copied().unwrap_or(0);
        if count >= max {
            return None;
        }
        streams.insert(caller, count + 1);
        Some(CallerStream { streams: self.streams_by_caller.clone(), caller })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s4_calls_in_progress_do_not_exceed_the_limit_and_end_with_their_permits() {
        let limits = ConcurrencyLimits::new(2, 1);
        let first = limits.try_acquire_call().unwrap();
        let second = limits.try_acquire_call().unwrap();
        assert!(limits.is_exhausted() && limits.try_acquire_call().is_none() && limits.try_acquire_call().is_none());
        drop(first);
        assert!(!limits.is_exhausted());
        drop((second, limits.try_acquire_call().unwrap()));
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

    #[test]
    fn s4_open_streams_are_limited_for_the_process_and_for_each_caller() {
        let limits = ConcurrencyLimits::new(1, 3);
        let one = [limits.try_acquire_stream(Some((1, 2))).unwrap(), limits.try_acquire_stream(Some((1, 2))).unwrap()];
        assert_eq!(limits.try_acquire_stream(Some((1, 2))).unwrap_err(), StreamLimit::Caller);
        let other = limits.try_acquire_stream(Some((2, 2))).unwrap();
        assert_eq!(limits.try_acquire_stream(None).unwrap_err(), StreamLimit::Process);
        drop((one, other));
        assert!(limits.streams_by_caller.lock().unwrap().is_empty(), "callers without a stream are forgotten");
        assert!(limits.try_acquire_stream(Some((1, 2))).is_ok());
    }
}
