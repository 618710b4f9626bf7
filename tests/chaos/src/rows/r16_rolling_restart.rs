//! R16: a rolling restart of all replicas under load, with open streams.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{Context, Failure, FinishOptions, Row, Verdict, steady_load};
use crate::workload::{WatchKind, Watchers};

/// How long a replica may take to exit before it is killed.
const EXIT_TIMEOUT: Duration = Duration::from_secs(25);

/// Number of chats with two open streams each.
const WATCHED_CHATS: usize = 20;

pub(super) async fn run(context: &mut Context) -> Result<(Row, Verdict), Failure> {
    let (driver, account) = (context.driver.clone(), context.accounts[0].clone());
    let chats = steady_load::chats(&driver, &account, 50).await?;
    let watchers = Watchers::new(&driver, usize::MAX, Duration::from_secs(3600), context.seed);
    for (visitor, id) in chats.iter().take(WATCHED_CHATS) {
        watchers.watch(id, visitor, WatchKind::Chat);
        watchers.watch(id, &account.agents[0], WatchKind::Thread);
    }
    let stop = CancellationToken::new();
    let rate = steady_load::rate(context);
    let loading = tokio::spawn(steady_load::load(driver, account, chats, (rate, 2), stop.clone()));
    let began = Instant::now();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (mut exits, mut forced) = (Vec::new(), 0);
    for replica in &mut context.cluster.replicas {
        let number = context.log.start("restart", &replica.name());
        match replica.terminate(EXIT_TIMEOUT).await {
            Some(took) => exits.push(took.as_secs_f64()),
            None => forced += 1,
        }
        replica.start().await?;
        context.log.end(number);
        // As a readiness probe would wait until all clients have reconnected.
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    stop.cancel();
    let took = began.elapsed().as_secs_f64();
    let calls = loading.await?;
    let (verdict, _) = context.finish(FinishOptions { watchers: Some(&watchers), ..FinishOptions::default() }).await?;
    let failed = calls.iter().filter(|call| !call.acknowledged).count();
    let repeated = calls.iter().filter(|call| call.attempts > 1).count();
    let slowest = exits.iter().copied().fold(0.0, f64::max);
    let row = Row::new(failed, failed == 0 && forced == 0 && verdict.of(&["I3"]) == 0)
        .with("unit", "calls that failed after one retry")
        .with("calls", calls.len())
        .with("rate_per_second_target", rate)
        .with("rate_per_second", calls.len() as f64 / took)
        .with("retried", repeated)
        .with("exit_seconds_slowest", slowest)
        .with("killed_after_25_s", forced)
        .with("open_streams", 2 * WATCHED_CHATS);
    Ok((row, verdict))
}
