//! R16: a rolling restart of all replicas under load, with open streams.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{Ending, Failure, Row, Stage, Verdict, steady};
use crate::workload::{Watched, Watchers};

const EXIT_WITHIN: Duration = Duration::from_secs(25);

pub(super) async fn run(stage: &mut Stage) -> Result<(Row, Verdict), Failure> {
    let (driver, shop) = (stage.driver.clone(), stage.shops[0].clone());
    let chats = steady::chats(&driver, &shop, 50).await?;
    let watchers = Watchers::new(&driver, usize::MAX, Duration::from_secs(3600), stage.seed);
    for (visitor, id) in chats.iter().take(20) {
        watchers.follow(id, visitor, Watched::Chat);
        watchers.follow(id, &shop.agents[0], Watched::Thread);
    }
    let stop = CancellationToken::new();
    let rate = steady::rate(stage);
    let loading = tokio::spawn(steady::load(driver, shop, chats, (rate, 2), stop.clone()));
    let began = Instant::now();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (mut exits, mut forced) = (Vec::new(), 0);
    for replica in &mut stage.cluster.replicas {
        let number = stage.log.began("restart", &replica.name());
        match replica.terminate(EXIT_WITHIN).await {
            Some(took) => exits.push(took.as_secs_f64()),
            None => forced += 1,
        }
        replica.start().await?;
        stage.log.healed(number);
        // As a probe would wait, and everybody connect again.
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    stop.cancel();
    let took = began.elapsed().as_secs_f64();
    let calls = loading.await?;
    let (verdict, _) = stage.end(Ending { watchers: Some(&watchers), ..Ending::default() }).await?;
    let failed = calls.iter().filter(|call| !call.acknowledged).count();
    let repeated = calls.iter().filter(|call| call.attempts > 1).count();
    let slowest = exits.iter().copied().fold(0.0, f64::max);
    let row = Row::new(failed, failed == 0 && forced == 0 && verdict.of(&["I3"]) == 0)
        .with("unit", "calls that failed after one retry")
        .with("calls", calls.len())
        .with("rate_per_second_wanted", rate)
        .with("rate_per_second", calls.len() as f64 / took)
        .with("retried", repeated)
        .with("exit_seconds_slowest", slowest)
        .with("killed_after_25_s", forced)
        .with("open_streams", 40);
    Ok((row, verdict))
}
