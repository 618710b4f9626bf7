//! R15: an outage of the broker: writes are acknowledged as before.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{Context, Failure, FinishOptions, Row, Verdict, steady_load};
use crate::report::percentile;

/// Length of the windows over which latencies are compared.
const WINDOW: Duration = Duration::from_secs(2);
/// Time to warm up connections and caches before the measurement.
const WARM_UP: Duration = Duration::from_secs(4);

pub(super) async fn run(context: &mut Context) -> Result<(Row, Verdict), Failure> {
    let outage = Duration::from_secs(context.size.pick(5, 20, 60));
    let (driver, account) = (context.driver.clone(), context.accounts[0].clone());
    let chats = steady_load::chats(&driver, &account, 50).await?;
    // Half of the rate of R16, so that calls do not queue for another reason than the outage.
    let rate = steady_load::rate(context) / 2;
    let stop = CancellationToken::new();
    let loading = tokio::spawn(steady_load::load(driver, account, chats, (rate, 1), stop.clone()));
    let began = Instant::now();
    tokio::time::sleep(WARM_UP + outage).await;
    let number = context.log.start("kill", "nats");
    let from = began.elapsed();
    context.cluster.nats.kill().await;
    tokio::time::sleep(outage).await;
    let to = began.elapsed();
    context.cluster.nats.restart().await;
    context.log.end(number);
    // The backlog of the outbox is published first.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let settled = began.elapsed();
    tokio::time::sleep(outage).await;
    let end = began.elapsed();
    stop.cancel();
    let calls = loading.await?;
    let (verdict, _) = context.finish(FinishOptions::default()).await?;

    let during: Vec<_> = calls.iter().filter(|call| (from..to).contains(&call.at)).collect();
    let acknowledged = during.iter().filter(|call| call.acknowledged).count();
    let share = acknowledged as f64 / during.len().max(1) as f64;
    // Windows before and after the outage, so that other load on the machine affects both sides; their median counts.
    let mut usual = steady_load::windows(&calls, (WARM_UP, from), WINDOW);
    usual.extend(steady_load::windows(&calls, (settled, end), WINDOW));
    let usual = percentile(&mut usual, 50.0);
    let during_outage = percentile(&mut steady_load::windows(&calls, (from, to), WINDOW), 50.0);
    let increase = during_outage / usual - 1.0;
    let row = Row::new(share, share >= 0.9999 && increase <= 0.2)
        .with("unit", "share of writes acknowledged at the first attempt")
        .with("writes", during.len())
        .with("rate_per_second", rate)
        .with("outage_seconds", outage.as_secs())
        .with("p99_ms_usual", usual)
        .with("p99_ms_outage", during_outage)
        .with("p99_increase", increase);
    Ok((row, verdict))
}
