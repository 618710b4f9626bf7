//! The exports that run at this replica, beside the other work of their worker: one that takes long delays no other job.

use std::collections::HashMap;

use tokio::task::{Id, JoinError, JoinSet};
use uuid::Uuid;

/// Maximum number of exports of one worker that run at the same time: each holds a page of rows and a connection.
const MAX_RUNNING: usize = 4;

/// The exports that one worker runs. They end with it.
#[derive(Default)]
pub(super) struct RunningExports {
    tasks: JoinSet<()>,
    jobs: HashMap<Id, Uuid>,
}

impl RunningExports {
    /// Number of exports that can be started.
    pub(super) fn room(&mut self) -> usize {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            let id = ended.map_or_else(|error: JoinError| error.id(), |(id, ())| id);
            self.jobs.remove(&id);
        }
        MAX_RUNNING.saturating_sub(self.jobs.len())
    }

    /// Runs an export of this job, unless one runs: its claim may have ended while it waits for another service.
    pub(super) fn start(&mut self, job: Uuid, export: impl Future<Output = ()> + Send + 'static) {
        if self.jobs.values().any(|running| *running == job) {
            return;
        }
        let id = self.tasks.spawn(export).id();
        self.jobs.insert(id, job);
    }

    /// Waits until all have ended, which they do soon after the shutdown.
    pub(super) async fn finish(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    async fn panics() {
        panic!("planted")
    }

    #[tokio::test]
    async fn x2_a_job_is_exported_once_at_a_time_and_an_export_that_ends_makes_room() {
        let mut exports = RunningExports::default();
        let mut ends = Vec::new();
        for job in 0..MAX_RUNNING as u128 {
            let (end, ended) = oneshot::channel::<()>();
            exports.start(Uuid::from_u128(job), async move {
                let _ = ended.await;
            });
            ends.push(end);
        }
        exports.start(Uuid::from_u128(0), std::future::pending());
        assert_eq!((exports.room(), exports.jobs.len()), (0, MAX_RUNNING), "it runs already");
        drop(ends.pop());
        while exports.room() == 0 {
            tokio::task::yield_now().await;
        }
        exports.start(Uuid::from_u128(9), panics());
        drop(ends);
        while exports.room() < MAX_RUNNING {
            tokio::task::yield_now().await;
        }
        exports.finish().await;
    }
}
