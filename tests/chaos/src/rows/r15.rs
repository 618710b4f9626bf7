//! R15: the broker is away for a while: writes go on as before.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{Ending, Failure, Row, Stage, Verdict, steady};
use crate::report::percentile;

const WINDOW: Duration = Duration::from_secs(2);
/// Connections and caches are warm after so long.
const WARM: Duration = Duration::from_secs(4);

pub(super) async fn run(stage: &mut Stage) -> Result<(Row, Verdict), Failure> {
    let away = Duration::from_secs(stage.size.pick(5, 20, 60));
    let (driver, shop) = (stage.driver.clone(), stage.shops[0].clone());
    let chats = steady::chats(&driver, &shop, 50).await?;
    // Half of what a rolling restart carries: nothing may queue for other reasons.
    let rate = steady::rate(stage) / 2;
    let stop = CancellationToken::new();
    let loading = tokio::spawn(steady::load(driver, shop, chats, (rate, 1), stop.clone()));
    let began = Instant::now();
    tokio::time::sleep(WARM + away).await;
    let number = stage.log.began("kill", "nats");
    let from = began.elapsed();
    stage.cluster.nats.kill().await;
    tokio::time::sleep(away).await;
    let to = began.elapsed();
    stage.cluster.nats.start_again().await;
    stage.log.healed(number);
    // What piled up is published first.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let settled = began.elapsed();
    tokio::time::sleep(away).await;
    let end = began.elapsed();
    stop.cancel();
    let calls = loading.await?;
    let (verdict, _) = stage.end(Ending::default()).await?;

    let during: Vec<_> = calls.iter().filter(|call| (from..to).contains(&call.at)).collect();
    let good = during.iter().filter(|call| call.acknowledged).count();
    let share = good as f64 / during.len().max(1) as f64;
    // Before and after, so that what the machine does meanwhile counts on both sides; the middle of the windows.
    let mut usual = steady::windows(&calls, (WARM, from), WINDOW);
    usual.extend(steady::windows(&calls, (settled, end), WINDOW));
    let usual = percentile(&mut usual, 50.0);
    let outage = percentile(&mut steady::windows(&calls, (from, to), WINDOW), 50.0);
    let more = outage / usual - 1.0;
    let row = Row::new(share, share >= 0.9999 && more <= 0.2)
        .with("unit", "share of writes acknowledged at the first attempt")
        .with("writes", during.len())
        .with("rate_per_second", rate)
        .with("away_seconds", away.as_secs())
        .with("p99_ms_usual", usual)
        .with("p99_ms_outage", outage)
        .with("p99_more", more);
    Ok((row, verdict))
}
