//! A clock that stands still until it is advanced, for simulations: the same run shows the same times.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use tokio::sync::watch;

use crate::{Clock, Inner, Time, id::IdGenerator};

/// Where the clock stands.
pub(crate) struct Standing {
    /// The time that it shows before it is advanced.
    pub(crate) at: Time,
    /// Number of waits for this clock that have begun and not ended.
    waits: AtomicI64,
}

impl Standing {
    /// Waits until the clock is moved.
    pub(crate) async fn wait(&self, moved: &mut watch::Receiver<Duration>) {
        self.waits.fetch_add(1, Ordering::Relaxed);
        let _ended = WaitEnded(&self.waits);
        let _ = moved.changed().await;
    }
}

/// Counts a wait that ends, or that is dropped because something else ended first.
struct WaitEnded<'a>(&'a AtomicI64);

impl Drop for WaitEnded<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A task that runs in turns ([`Clock::run_until_waiting`]).
pub struct StandingTask {
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Number of its waits for the clock.
    waits: i64,
}

impl StandingTask {
    /// A task that has not begun.
    pub fn new(future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Self {
        Self { future, waits: 0 }
    }
}

impl Clock {
    /// A clock that shows `at` until it is advanced, with ids whose random part follows from `seed`. For simulations.
    pub fn standing(seed: u64, at: Time) -> Self {
        Self(Arc::new(Inner {
            offset: watch::Sender::new(Duration::ZERO),
            ids: Mutex::new(IdGenerator::from_seed(seed)),
            skew: 0,
            file: None,
            standing: Some(Standing { at, waits: AtomicI64::new(0) }),
        }))
    }

    /// Runs `task` until it waits for this clock, which stands, or ends. In a runtime of one thread: nothing else is polled while the
    /// task is.
    pub async fn run_until_waiting(&self, task: &mut StandingTask) {
        let waits = || self.0.standing.as_ref().map_or(0, |standing| standing.waits.load(Ordering::Relaxed));
        poll_fn(|context| {
            let before = waits();
            let polled = task.future.as_mut().poll(context);
            task.waits += waits() - before;
            if polled.is_pending() && task.waits == 0 { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    const START: Time = Time(1_900_000_000_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn r19_a_standing_clock_shows_the_same_times_and_ids_for_the_same_seed() {
        let (first, second) = (Clock::standing(7, START), Clock::standing(7, START));
        assert_eq!((first.now(), first.new_id()), (START, second.new_id()));
        assert_eq!(first.advance(MINUTE).unwrap(), START.plus(MINUTE));
        assert_ne!(first.new_id(), Clock::standing(8, START.plus(MINUTE)).new_id());
    }

    #[tokio::test]
    async fn r19_a_task_runs_until_it_waits_for_a_standing_clock() {
        let (clock, rung) = (Clock::standing(7, START), Arc::new(AtomicBool::new(false)));
        let (alarm, ring) = (clock.clone(), rung.clone());
        let mut task = StandingTask::new(Box::pin(async move {
            tokio::task::yield_now().await;
            alarm.sleep(MINUTE).await;
            // A wait that something else ends is no wait.
            tokio::select! {
                biased;
                () = alarm.sleep(MINUTE) => {}
                () = std::future::ready(()) => {}
            }
            tokio::task::yield_now().await;
            ring.store(true, Ordering::Relaxed);
        }));
        // The second time it waits already.
        for _ in 0..2 {
            clock.run_until_waiting(&mut task).await;
            assert!(!rung.load(Ordering::Relaxed));
        }
        clock.advance(MINUTE).unwrap();
        clock.run_until_waiting(&mut task).await;
        assert!(rung.load(Ordering::Relaxed), "it has ended");
    }
}
