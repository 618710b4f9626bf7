//! Does together what waits at the same time: one transaction, with one wait for the disk, instead of one for each caller.
//!
//! Start reading at [`Batches::run`]. A batch takes what waits when the one before has ended. Nothing waits for more to come, so that a
//! lone caller is as fast as without.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Items of concurrent callers that wait for the next batch.
#[derive(Debug)]
pub struct Batches<T, R> {
    waiting: Mutex<Vec<Waiting<T, R>>>,
    /// Locked while a batch runs.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Waiting<T, R> {
    item: T,
    /// Receives the result. Dropped without one where the batch fails.
    result: oneshot::Sender<R>,
}

impl<T, R> Default for Batches<T, R> {
    fn default() -> Self {
        Self { waiting: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }
}

impl<T, R> Batches<T, R> {
    /// Runs the item in a batch of at most `max_size`, at least 1. `run`: returns the results of the items in their order, or none of them where
    /// it fails. One of the callers of a batch runs it in its own task.
    ///
    /// Returns None where the batch failed, panicked, or ended with its caller: the item may be run alone. The items of callers that have ended
    /// are in no batch.
    pub async fn run<F: Future<Output = Vec<R>>>(
        &self,
        item: T,
        max_size: usize,
        run: impl Fn(Vec<T>) -> F,
    ) -> Option<R> {
        let (sender, mut result) = oneshot::channel();
        self.waiting().push(Waiting { item, result: sender });
        let _turn = self.turn.lock().await;
        loop {
            match result.try_recv() {
                Ok(result) => return Some(result),
                Err(oneshot::error::TryRecvError::Closed) => return None,
                Err(oneshot::error::TryRecvError::Empty) => {}
            }
            let (items, results): (Vec<T>, Vec<_>) =
                self.take(max_size).into_iter().map(|waiting| (waiting.item, waiting.result)).unzip();
            for (sender, result) in results.into_iter().zip(run(items).await) {
                let _ = sender.send(result);
            }
        }
    }

    /// Takes the oldest items.
    fn take(&self, max_size: usize) -> Vec<Waiting<T, R>> {
        let mut waiting = self.waiting();
        waiting.retain(|one| !one.result.is_closed());
        let size = waiting.len().min(max_size.max(1));
        waiting.drain(..size).collect()
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting<T, R>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::{
        sync::Semaphore,
        task::{AbortHandle, JoinSet},
    };

    use super::*;

    /// Callers whose batches, of at most 3, need a permit each.
    struct Callers {
        batches: Arc<Batches<&'static str, &'static str>>,
        permits: Arc<Semaphore>,
        sizes: Arc<Mutex<Vec<usize>>>,
        running: JoinSet<Option<&'static str>>,
    }

    impl Callers {
        fn new() -> Self {
            let permits = Arc::new(Semaphore::new(0));
            Self { batches: Arc::default(), permits, sizes: Arc::default(), running: JoinSet::new() }
        }

        /// Begins to run an item, and lets it wait. A batch with `panic` panics, one with `fail` fails.
        async fn begin(&mut self, item: &'static str) -> AbortHandle {
            let (batches, permits, sizes) = (self.batches.clone(), self.permits.clone(), self.sizes.clone());
            let handle = self.running.spawn(async move {
                let run = |items: Vec<&'static str>| async {
                    permits.acquire().await.unwrap().forget();
                    sizes.lock().unwrap().push(items.len());
                    assert!(!items.contains(&"panic"), "planted");
                    if items.contains(&"fail") { Vec::new() } else { items }
                };
                batches.run(item, 3, run).await
            });
            tokio::task::yield_now().await;
            handle
        }

        /// The items with a result, in their order, and the sizes of the batches.
        async fn end(mut self) -> (Vec<&'static str>, Vec<usize>) {
            self.permits.add_permits(100);
            let mut results = Vec::new();
            while let Some(ended) = self.running.join_next().await {
                results.extend(ended.ok().flatten());
            }
            results.sort_unstable();
            (results, self.sizes.lock().unwrap().clone())
        }
    }

    #[tokio::test]
    async fn what_waits_while_a_batch_runs_is_in_the_next_ones() {
        let mut callers = Callers::new();
        for item in ["a", "b", "c", "d", "e"] {
            callers.begin(item).await;
        }
        assert_eq!(callers.end().await, (vec!["a", "b", "c", "d", "e"], vec![1, 3, 1]));
    }

    #[tokio::test]
    async fn a_batch_that_fails_or_panics_gives_no_result_and_the_next_one_runs() {
        for planted in ["fail", "panic"] {
            let mut callers = Callers::new();
            for item in ["a", planted, "b", "c", "d"] {
                callers.begin(item).await;
            }
            assert_eq!(callers.end().await, (vec!["a", "d"], vec![1, 3, 1]), "{planted}");
        }
    }

    #[tokio::test]
    async fn the_item_of_a_caller_that_ended_is_in_no_batch() {
        let mut callers = Callers::new();
        callers.begin("a").await;
        let ended = callers.begin("ended").await;
        callers.begin("b").await;
        ended.abort();
        tokio::task::yield_now().await;
        assert_eq!(callers.end().await, (vec!["a", "b"], vec![1, 1]));
    }
}
