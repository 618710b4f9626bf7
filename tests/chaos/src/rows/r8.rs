//! R8: timeouts while those who watch the timers are killed or paused, and while replicas' own clocks are an hour wrong.

use std::time::Duration;

use frontdesk_clock::{Clock, Time};
use futures::StreamExt;

use super::{Ending, Failure, Row, Stage, Verdict};
use crate::{
    checker::lateness,
    cluster::{Cluster, REPLICAS, Service},
    report::percentile,
};

const TIMEOUT: Duration = Duration::from_secs(60);
/// The clock is moved to so long before the first deadline.
const BEFORE: Duration = Duration::from_secs(3);
const LATEST: Duration = Duration::from_secs(5);
const SKEW: &str = "FRONTDESK__DEVELOPMENT__CLOCK_SKEW_SECONDS";

/// What happens to a replica of the bot-session service while its sessions fall due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blow {
    Kill,
    Pause,
    Nothing,
}

pub(super) async fn run(stage: &mut Stage) -> Result<(Row, Verdict), Failure> {
    let sessions = stage.size.pick(50, 200, 1_000);
    let mut trials = vec![(Blow::Kill, 0, 0), (Blow::Kill, 1, 0)];
    // Whoever stands still inside a transaction holds its locks: it takes several tries to meet one there.
    for _ in 0..stage.size.pick(1, 3, 10) {
        trials.extend([(Blow::Pause, 0, 0), (Blow::Pause, 1, 0)]);
    }
    trials.extend([(Blow::Nothing, 0, 3_600), (Blow::Kill, 1, 3_600), (Blow::Pause, 0, -3_600)]);
    let mut told = Vec::new();
    let count = trials.len();
    let mut skew_now = 0;
    for (blow, replica, skew) in trials {
        if skew != skew_now {
            skewed(stage, skew).await?;
            skew_now = skew;
        }
        let began = trial(stage, blow, replica, sessions).await?;
        told.push(format!("{blow:?} bot-session-{} with skew {skew:+} s, from {began} ms", replica + 1));
    }
    let latest = i64::try_from(LATEST.as_micros()).ok();
    let (verdict, state) = stage.end(Ending { latest, hurries: false, ..Ending::default() }).await?;
    let mut late: Vec<f64> = lateness(&state).into_iter().map(|late| late as f64 / 1000.0).collect();
    let (early, stuck) = (verdict.of(&["I7"]), verdict.of(&["I9"]));
    let max = late.iter().copied().fold(0.0, f64::max);
    let holds = early == 0 && stuck == 0 && verdict.of(&["I8"]) == 0 && late.len() >= sessions * count;
    let row = Row::new(max, holds)
        .with("unit", "ms late at most")
        .with("trials", told)
        .with("timeouts", late.len())
        .with("early", early)
        .with("never", stuck)
        .with("p50_ms", percentile(&mut late, 50.0))
        .with("p99_ms", percentile(&mut late, 99.0));
    Ok((row, verdict))
}

/// Starts every second replica of every service with a clock that is so many seconds wrong.
async fn skewed(stage: &mut Stage, seconds: i64) -> Result<(), Failure> {
    stage.cluster.heal().await?;
    for service in Service::ALL {
        let number = stage.log.began(&format!("skew{seconds:+}"), service.name());
        let replica = &mut stage.cluster.replicas[Cluster::edge(service) * REPLICAS + 1];
        replica.add_environment(SKEW, &seconds.to_string());
        replica.kill().await;
        replica.start().await?;
        stage.log.healed(number);
    }
    Ok(())
}

/// Sessions fall due over some seconds; in the midst of it one who watches them is struck.
async fn trial(stage: &mut Stage, blow: Blow, replica: usize, sessions: usize) -> Result<u64, Failure> {
    let began = stage.driver.recorder.now() / 1_000_000;
    let (driver, shop) = (stage.driver.clone(), stage.shops[0].clone());
    let started: Vec<Option<Time>> = futures::stream::iter(0..sessions)
        .map(|number| {
            let (driver, shop) = (&driver, &shop);
            async move {
                let visitor = shop.visitor(&format!("t{began}-{number}"), false);
                let id = driver.start_chat(&visitor, &shop.with_bot, "").await.ok()?;
                let now = driver.conversation(&shop.agents[0], &id).await?;
                now.last_visitor_activity_time.map(|time| Time::from_proto(&time))
            }
        })
        .buffer_unordered(16)
        .collect()
        .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let first = started.iter().flatten().min().ok_or("no chat was started")?.plus(TIMEOUT);
    let last = started.iter().flatten().max().ok_or("no chat was started")?.plus(TIMEOUT);
    let shown = Clock::system().now().plus(Duration::from_micros(stage.cluster.clock_offset() as u64));
    stage.advance(first.since(shown).saturating_sub(BEFORE)).await?;
    // Into the midst of the deadlines.
    tokio::time::sleep(BEFORE + last.since(first) / 2).await;
    let place = Cluster::edge(Service::BotSession) * REPLICAS + replica;
    let name = stage.cluster.replicas[place].name();
    match blow {
        Blow::Kill => {
            let number = stage.log.began("kill", &name);
            stage.cluster.replicas[place].kill().await;
            tokio::time::sleep(last.since(first) / 2 + LATEST * 2).await;
            stage.cluster.replicas[place].start().await?;
            stage.log.healed(number);
        }
        Blow::Pause => {
            let number = stage.log.began("pause", &name);
            stage.cluster.replicas[place].pause();
            tokio::time::sleep(last.since(first) / 2 + LATEST * 2).await;
            stage.cluster.replicas[place].resume();
            stage.log.healed(number);
        }
        Blow::Nothing => tokio::time::sleep(last.since(first) / 2 + LATEST).await,
    }
    Ok(began)
}
