//! R8: inactivity timeouts while the replicas that run the timers are killed or paused, and while the clocks of replicas are an
//! hour wrong.

use std::time::Duration;

use frontdesk_clock::{Clock, Time};
use futures::StreamExt;

use super::{Context, Failure, FinishOptions, Row, Verdict};
use crate::{
    checker::lateness,
    cluster::{Cluster, REPLICAS, Service},
    report::percentile,
};

/// Inactivity timeout of the bot.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long before the first deadline the clock is advanced to.
const BEFORE: Duration = Duration::from_secs(3);
/// Maximum lateness of a timeout.
const MAX_LATENESS: Duration = Duration::from_secs(5);
/// Setting of a replica's clock skew.
const SKEW: &str = "FRONTDESK__DEVELOPMENT__CLOCK_SKEW_SECONDS";

/// The fault of a bot-session replica while its sessions time out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Kill,
    Pause,
    None,
}

pub(super) async fn run(context: &mut Context) -> Result<(Row, Verdict), Failure> {
    let sessions = context.size.pick(50, 200, 1_000);
    let mut trials = vec![(Fault::Kill, 0, 0), (Fault::Kill, 1, 0)];
    // A paused process matters most while it holds locks in a transaction, which takes several trials to hit.
    for _ in 0..context.size.pick(1, 3, 10) {
        trials.extend([(Fault::Pause, 0, 0), (Fault::Pause, 1, 0)]);
    }
    trials.extend([(Fault::None, 0, 3_600), (Fault::Kill, 1, 3_600), (Fault::Pause, 0, -3_600)]);
    let mut descriptions = Vec::new();
    let count = trials.len();
    let mut current_skew = 0;
    for (fault, replica, skew) in trials {
        if skew != current_skew {
            restart_with_skew(context, skew).await?;
            current_skew = skew;
        }
        let began = trial(context, fault, replica, sessions).await?;
        descriptions.push(format!("{fault:?} bot-session-{} with skew {skew:+} s, from {began} ms", replica + 1));
    }
    let max_lateness = i64::try_from(MAX_LATENESS.as_micros()).ok();
    let (verdict, state) =
        context.finish(FinishOptions { max_lateness, advance_clock: false, ..FinishOptions::default() }).await?;
    let mut late: Vec<f64> = lateness(&state).into_iter().map(|late| late as f64 / 1000.0).collect();
    let (early, stuck) = (verdict.of(&["I7"]), verdict.of(&["I9"]));
    let max = late.iter().copied().fold(0.0, f64::max);
    let holds = early == 0 && stuck == 0 && verdict.of(&["I8"]) == 0 && late.len() >= sessions * count;
    let row = Row::new(max, holds)
        .with("unit", "ms late at most")
        .with("trials", descriptions)
        .with("timeouts", late.len())
        .with("early", early)
        .with("never", stuck)
        .with("p50_ms", percentile(&mut late, 50.0))
        .with("p99_ms", percentile(&mut late, 99.0));
    Ok((row, verdict))
}

/// Restarts the second replica of each service with a clock that is wrong by this number of seconds.
async fn restart_with_skew(context: &mut Context, seconds: i64) -> Result<(), Failure> {
    context.cluster.heal().await?;
    for service in Service::ALL {
        let number = context.log.start(&format!("skew{seconds:+}"), service.name());
        let replica = &mut context.cluster.replicas[Cluster::index_of(service) * REPLICAS + 1];
        replica.add_environment(SKEW, &seconds.to_string());
        replica.kill().await;
        replica.start().await?;
        context.log.end(number);
    }
    Ok(())
}

/// Lets sessions time out over some seconds, and injects a fault into a replica in the middle of it. Returns the start in
/// milliseconds of the driver's clock.
async fn trial(context: &mut Context, fault: Fault, replica: usize, sessions: usize) -> Result<u64, Failure> {
    let began = context.driver.recorder.now() / 1_000_000;
    let (driver, account) = (context.driver.clone(), context.accounts[0].clone());
    let started: Vec<Option<Time>> = futures::stream::iter(0..sessions)
        .map(|number| {
            let (driver, account) = (&driver, &account);
            async move {
                let visitor = account.visitor(&format!("t{began}-{number}"), false);
                let id = driver.start_chat(&visitor, &account.bot_channel, "").await.ok()?;
                let now = driver.get_conversation(&account.agents[0], &id).await?;
                now.last_visitor_activity_time.map(|time| Time::from_proto(&time))
            }
        })
        .buffer_unordered(16)
        .collect()
        .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let first = started.iter().flatten().min().ok_or("no chat could be started")?.plus(TIMEOUT);
    let last = started.iter().flatten().max().ok_or("no chat could be started")?.plus(TIMEOUT);
    let now = Clock::system().now().plus(Duration::from_micros(context.cluster.clock_offset() as u64));
    context.advance(first.since(now).saturating_sub(BEFORE)).await?;
    // Until half of the deadlines have passed.
    tokio::time::sleep(BEFORE + last.since(first) / 2).await;
    let index = Cluster::index_of(Service::BotSession) * REPLICAS + replica;
    let name = context.cluster.replicas[index].name();
    match fault {
        Fault::Kill => {
            let number = context.log.start("kill", &name);
            context.cluster.replicas[index].kill().await;
            tokio::time::sleep(last.since(first) / 2 + MAX_LATENESS * 2).await;
            context.cluster.replicas[index].start().await?;
            context.log.end(number);
        }
        Fault::Pause => {
            let number = context.log.start("pause", &name);
            context.cluster.replicas[index].pause();
            tokio::time::sleep(last.since(first) / 2 + MAX_LATENESS * 2).await;
            context.cluster.replicas[index].resume();
            context.log.end(number);
        }
        Fault::None => tokio::time::sleep(last.since(first) / 2 + MAX_LATENESS).await,
    }
    Ok(began)
}
