//! R16: a rolling restart of all replicas under load, with open streams.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{Context, Failure, FinishOptions, Row, Verdict, steady_load};
use crate::{
    cluster::Replica,
    driver::{Caller, Driver},
    faults::FaultLog,
    workload::{Account, WatchKind, Watchers},
};

/// How long a replica may take to exit before it is killed.
const EXIT_TIMEOUT: Duration = Duration::from_secs(25);

/// Number of chats with two open streams each.
pub(super) const WATCHED_CHATS: usize = 20;

/// How replicas exited when they were restarted.
#[derive(Default)]
pub(super) struct Exits {
    /// Longest time that one took, in seconds.
    pub(super) slowest: f64,
    /// Number of those that were killed after [`EXIT_TIMEOUT`].
    pub(super) killed: usize,
}

impl Exits {
    /// Restarts a replica.
    pub(super) async fn restart(&mut self, replica: &mut Replica, log: &FaultLog) -> Result<(), Failure> {
        let number = log.start("restart", &replica.name());
        match replica.terminate(EXIT_TIMEOUT).await {
            Some(took) => self.slowest = self.slowest.max(took.as_secs_f64()),
            None => self.killed += 1,
        }
        replica.start().await?;
        log.end(number);
        // As a readiness probe would wait until all clients have reconnected.
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok(())
    }
}

/// Opens two streams for each of some chats.
pub(super) fn watch(driver: &Driver, account: &Account, chats: &[(Caller, String)], seed: u64) -> Watchers {
    let watchers = Watchers::new(driver, usize::MAX, Duration::from_secs(3600), seed);
    for (visitor, id) in chats.iter().take(WATCHED_CHATS) {
        watchers.watch(id, visitor, WatchKind::Chat);
        watchers.watch(id, &account.agents[0], WatchKind::Thread);
    }
    watchers
}

pub(super) async fn run(context: &mut Context) -> Result<(Row, Verdict), Failure> {
    let (driver, account) = (context.driver.clone(), context.accounts[0].clone());
    let chats = steady_load::chats(&driver, &account, 50).await?;
    let watchers = watch(&driver, &account, &chats, context.seed);
    let stop = CancellationToken::new();
    let rate = steady_load::rate(context);
    let loading = tokio::spawn(steady_load::load(driver, account, chats, (rate, 2), stop.clone()));
    let began = Instant::now();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut exits = Exits::default();
    for replica in &mut context.cluster.replicas {
        exits.restart(replica, &context.log).await?;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    stop.cancel();
    let took = began.elapsed().as_secs_f64();
    let calls = loading.await?;
    let (verdict, _) = context.finish(FinishOptions { watchers: Some(&watchers), ..FinishOptions::default() }).await?;
    let failed = calls.iter().filter(|call| !call.acknowledged).count();
    let repeated = calls.iter().filter(|call| call.attempts > 1).count();
    let row = Row::new(failed, failed == 0 && exits.killed == 0 && verdict.of(&["I3"]) == 0)
        .with("unit", "calls that failed after one retry")
        .with("calls", calls.len())
        .with("rate_per_second_target", rate)
        .with("rate_per_second", calls.len() as f64 / took)
        .with("retried", repeated)
        .with("exit_seconds_slowest", exits.slowest)
        .with("killed_after_25_s", exits.killed)
        .with("open_streams", 2 * WATCHED_CHATS);
    Ok((row, verdict))
}
