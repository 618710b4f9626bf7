//! A clock that stands still until it is advanced, for simulations: the same run shows the same times.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
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
    /// Number of polls of a task that waits for this clock and has to wait on.
    pending_polls: AtomicU64,
}

impl Standing {
    /// Waits until the clock is moved.
    pub(crate) async fn wait(&self, moved: &mut watch::Receiver<Duration>) {
        let mut changed = pin!(moved.changed());
        poll_fn(|context| {
            let changed = changed.as_mut().poll(context);
            if changed.is_pending() {
                self.pending_polls.fetch_add(1, Ordering::Relaxed);
            }
            changed.map(drop)
        })
        .await;
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
            standing: Some(Standing { at, pending_polls: AtomicU64::new(0) }),
        }))
    }

    /// Runs `task` until it waits for this clock, which stands, or ends. Nothing else may wait for the clock meanwhile.
    pub async fn run_until_waiting(&self, mut task: Pin<&mut (dyn Future<Output = ()> + Send + 'static)>) {
        let pending_polls = || match &self.0.standing {
            Some(standing) => standing.pending_polls.load(Ordering::Relaxed),
            None => 0,
        };
        let before = pending_polls();
        poll_fn(|context| match task.as_mut().poll(context) {
            Poll::Pending if pending_polls() == before => Poll::Pending,
            _ => Poll::Ready(()),
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
        let mut task: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
            tokio::task::yield_now().await;
            alarm.sleep(MINUTE).await;
            ring.store(true, Ordering::Relaxed);
        });
        // The second time it waits already.
        for _ in 0..2 {
            clock.run_until_waiting(task.as_mut()).await;
            assert!(!rung.load(Ordering::Relaxed));
        }
        clock.advance(MINUTE).unwrap();
        clock.run_until_waiting(task.as_mut()).await;
        assert!(rung.load(Ordering::Relaxed), "it has ended");
    }
}
