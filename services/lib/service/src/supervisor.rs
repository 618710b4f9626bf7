//! Background tasks that are restarted when they panic, and the readiness that follows from them.

use std::{
    collections::BTreeSet,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use opentelemetry::{KeyValue, metrics::Counter};
use tokio::{sync::watch, time::Instant};
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use crate::Worker;

/// Pause before the first restart of a task; doubled with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Maximum pause before a restart.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// How long a task must run before its earlier failures are forgotten.
const STABLE_AFTER: Duration = Duration::from_secs(60);
/// Minimum time that tasks have to end after the server has ended.
const MIN_DRAIN: Duration = Duration::from_secs(1);
/// Number of failures in a row after which the process is no longer ready.
const UNREADY_AFTER: u32 = 5;

/// Whether the process can serve calls, and why not.
#[derive(Clone)]
pub struct Readiness(Arc<watch::Sender<BTreeSet<String>>>);

impl Default for Readiness {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(BTreeSet::new())))
    }
}

impl Readiness {
    /// States whether `problem` exists.
    pub(crate) fn set(&self, problem: &str, exists: bool) {
        self.0.send_if_modified(|problems| match exists {
            true => problems.insert(problem.to_owned()),
            false => problems.remove(problem),
        });
    }

    /// The problems for which the process is not ready. Empty: it is ready.
    pub fn problems(&self) -> Vec<String> {
        self.0.borrow().iter().cloned().collect()
    }

    /// Follows the readiness: true while there is no problem. The receiver lives as long as `shutdown` is not cancelled.
    pub(crate) fn follow(&self, tasks: &TaskTracker, shutdown: CancellationToken) -> watch::Receiver<bool> {
        let mut problems = self.0.subscribe();
        let (ready, receiver) = watch::channel(problems.borrow_and_update().is_empty());
        tasks.spawn(shutdown.run_until_cancelled_owned(async move {
            while problems.changed().await.is_ok() {
                let _ = ready.send(problems.borrow_and_update().is_empty());
            }
        }));
        receiver
    }
}

/// Runs background tasks until the shutdown.
pub(crate) struct Supervisor {
    shutdown: CancellationToken,
    readiness: Readiness,
    tasks: TaskTracker,
    /// The workers that may take longer than the process's drain time to end, and how long.
    slow: Mutex<Vec<(Duration, TaskTracker)>>,
    /// The names of the tasks that have not ended.
    running: Arc<Mutex<BTreeSet<String>>>,
    restarts: Counter<u64>,
}

impl Supervisor {
    pub(crate) fn new(shutdown: CancellationToken, readiness: Readiness) -> Self {
        let restarts = frontdesk_telemetry::meter()
            .u64_counter("frontdesk.task.restarts")
            .with_description("Restarts of background tasks after a panic or an unexpected end")
            .build();
        Self {
            shutdown,
            readiness,
            tasks: TaskTracker::new(),
            slow: Mutex::default(),
            running: Arc::default(),
            restarts,
        }
    }

    /// Tasks that end with the shutdown by themselves and need no restart.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Supervises a worker, which may have asked for more time to end.
    pub(crate) fn supervise_worker(&self, name: String, worker: Worker) {
        let Worker { start, drain, .. } = worker;
        if drain.is_zero() {
            return self.supervise(name, start);
        }
        let tracker = TaskTracker::new();
        self.slow.lock().unwrap_or_else(PoisonError::into_inner).push((drain, tracker.clone()));
        self.supervise(name, move || tracker.track_future(start()));
    }

    /// Runs a task, and again whenever it panics or ends before the shutdown, after a pause that grows to 30 seconds.
    pub(crate) fn supervise<F>(&self, name: String, start: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (shutdown, readiness, restarts) = (self.shutdown.clone(), self.readiness.clone(), self.restarts.clone());
        // The metric lists every task from the start: an alert can rely on it.
        restarts.add(0, &[KeyValue::new("task", name.clone())]);
        let running = RunningTask::new(&self.running, name.clone());
        self.tasks.spawn(async move {
            let _running = running;
            let problem = format!("the task {name} keeps failing");
            let mut failures = 0_u32;
            loop {
                let began = Instant::now();
                let mut running = AbortOnDropHandle::new(tokio::spawn(start()));
                let ended = tokio::select! {
                    ended = &mut running => ended,
                    () = tokio::time::sleep(STABLE_AFTER), if failures > 0 => {
                        readiness.set(&problem, false);
                        failures = 0;
                        running.await
                    }
                };
                if shutdown.is_cancelled() {
                    return;
                }
                if began.elapsed() >= STABLE_AFTER {
                    failures = 0;
                }
                failures += 1;
                restarts.add(1, &[KeyValue::new("task", name.clone())]);
                readiness.set(&problem, failures >= UNREADY_AFTER);
                let pause = FIRST_PAUSE.saturating_mul(1 << (failures - 1).min(16)).min(MAX_PAUSE);
                match ended {
                    Ok(()) => tracing::error!(task = name, failures, ?pause, "a background task ended; restarting it"),
                    Err(error) => {
                        tracing::error!(task = name, failures, ?pause, %error, "a background task panicked; restarting it");
                    }
                }
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
            }
        });
    }

    /// Waits until every task has ended: at most for `drain` since the stop, for a worker that asked for more as long as it
    /// did, and for a second in any case. Returns the names of those that are still running.
    pub(crate) async fn wait(&self, stopped_at: Instant, drain: Duration) -> BTreeSet<String> {
        self.tasks.close();
        let earliest = Instant::now() + MIN_DRAIN;
        let ended = |limit: Duration, tasks: TaskTracker| async move {
            tokio::time::timeout_at((stopped_at + limit).max(earliest), tasks.wait()).await.is_ok()
        };
        if ended(drain, self.tasks.clone()).await {
            return BTreeSet::new();
        }
        let slow = std::mem::take(&mut *self.slow.lock().unwrap_or_else(PoisonError::into_inner));
        for (limit, tasks) in slow {
            tasks.close();
            ended(limit, tasks).await;
        }
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The name of a task among those that have not ended, until it is dropped.
struct RunningTask {
    names: Arc<Mutex<BTreeSet<String>>>,
    name: String,
}

impl RunningTask {
    fn new(names: &Arc<Mutex<BTreeSet<String>>>, name: String) -> Self {
        names.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
        Self { names: names.clone(), name }
    }
}

impl Drop for RunningTask {
    fn drop(&mut self) {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn counted(supervisor: &Supervisor, fail: impl Fn(u32) -> bool + Send + Sync + 'static) -> Arc<AtomicU32> {
        let (starts, fail) = (Arc::new(AtomicU32::new(0)), Arc::new(fail));
        let (counter, shutdown) = (starts.clone(), supervisor.shutdown.clone());
        supervisor.supervise("test".into(), move || {
            let (start, fail, shutdown) = (counter.fetch_add(1, Ordering::SeqCst) + 1, fail.clone(), shutdown.clone());
            async move {
                assert!(!fail(start), "planted");
                shutdown.cancelled().await;
            }
        });
        starts
    }

    async fn until(condition: impl Fn() -> bool) {
        let waiting = async {
            while !condition() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(300), waiting).await.expect("the condition within 300 s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_is_restarted_and_the_process_stays_ready() {
        let supervisor = Supervisor::new(CancellationToken::new(), Readiness::default());
        let starts = counted(&supervisor, |start| start < 3);
        until(|| starts.load(Ordering::SeqCst) == 3).await;
        assert!(supervisor.readiness.problems().is_empty());
        supervisor.shutdown.cancel();
        assert!(supervisor.wait(Instant::now(), Duration::from_secs(1)).await.is_empty());
        assert_eq!(starts.load(Ordering::SeqCst), 3, "a shutdown is no failure");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_keeps_panicking_makes_the_process_unready_until_it_runs_for_a_minute() {
        let supervisor = Supervisor::new(CancellationToken::new(), Readiness::default());
        let ready = supervisor.readiness.follow(supervisor.tasks(), supervisor.shutdown.clone());
        let starts = counted(&supervisor, |start| start <= UNREADY_AFTER);
        until(|| !*ready.borrow()).await;
        assert_eq!(supervisor.readiness.problems(), ["the task test keeps failing"]);
        until(|| *ready.borrow()).await;
        assert_eq!(starts.load(Ordering::SeqCst), UNREADY_AFTER + 1);
        supervisor.shutdown.cancel();
        assert!(supervisor.wait(Instant::now(), Duration::from_secs(1)).await.is_empty());
    }
    #[tokio::test(start_paused = true)]
    async fn a_worker_has_the_time_to_end_that_it_asks_for_and_the_others_the_drain_time() {
        for (drain, still_running, took) in [(Duration::ZERO, &["mail"][..], 5), (Duration::from_secs(30), &[], 20)] {
            let supervisor = Supervisor::new(CancellationToken::new(), Readiness::default());
            let stop = supervisor.shutdown.clone();
            let worker = Worker::new("mail", move || {
                let stop = stop.clone();
                async move {
                    stop.cancelled().await;
                    tokio::time::sleep(Duration::from_secs(20)).await;
                }
            });
            supervisor.supervise_worker("mail".into(), worker.drains_for(drain));
            tokio::task::yield_now().await;
            let stopped_at = Instant::now();
            supervisor.shutdown.cancel();
            let running = supervisor.wait(stopped_at, Duration::from_secs(5)).await;
            assert!(running.iter().eq(still_running), "{running:?}");
            assert_eq!(stopped_at.elapsed().as_secs(), took);
        }
    }
}
