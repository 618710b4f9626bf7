//! R2: each service dies at each of its kill points, under load. A kill point is a named place in the code between two effects,
//! where the process aborts when the environment variable `FAILPOINTS` says so (crate `fail`).

use std::{
    pin::pin,
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use futures::{StreamExt, future::join_all, stream::FuturesUnordered};
use tokio::time::timeout;

use super::{Context, Failure, FinishOptions, Row, Verdict};
use crate::{
    cluster::{self, REPLICAS, Replica, Service},
    faults::FaultLog,
    workload::{Script, run_chats},
};

/// The kill points that every service reaches under load: around a commit, and between the effect of an event and its
/// acknowledgement.
const OF_EVERY_SERVICE: [&str; 3] = ["before-commit", "after-commit", "event-handled"];

/// How often a service passes a kill point before it dies there, in turn.
const PASSES: [u32; 3] = [0, 2, 9];

/// The kill points that a service passes seldom, such as once after each advance of the clock: it dies there at once.
const SELDOM: [&str; 3] = ["timeouts-claimed", "timeouts-asked", "last-turn-performed"];

/// Maximum time until a service reaches a kill point under load.
pub(super) const REACHED: Duration = Duration::from_secs(20);

/// Time by which the clock is advanced: longer than the timeout of the sessions.
const SILENCE: Duration = Duration::from_secs(61);

/// Interval between two advances while a kill point is not reached.
const ADVANCE_INTERVAL: Duration = Duration::from_secs(5);

/// The kill points of a service.
fn kill_points(service: Service) -> Vec<&'static str> {
    let own: &[&str] = match service {
        Service::Conversation => &["event-published"],
        // Its events are those of the roster, which the load does not change; the relay is the one of the other services.
        Service::Assignment => &["owner-changed"],
        Service::BotSession => {
            &["event-published", "turn-performed", "last-turn-performed", "timeouts-claimed", "timeouts-asked"]
        }
        Service::Notification => &["event-published", "deliveries-claimed", "attempt-begun", "mail-accepted"],
    };
    OF_EVERY_SERVICE.iter().chain(own).copied().collect()
}

pub(super) async fn run(context: &mut Context) -> Result<(Row, Verdict), Failure> {
    if !has_kill_points().await? {
        return Err("frontdesk was built without kill points: build it with --features frontdesk/kill-points".into());
    }
    let passes = &PASSES[..context.size.pick(1, 3, 3)];
    let done = AtomicBool::new(false);
    let (driver, accounts, seed) = (context.driver.clone(), context.accounts.clone(), context.seed);
    // Many short chats, so that every kind of work goes on all the time.
    let script = Script { messages: 4, closed: 90, ..Script::default() };
    let work = run_chats(&driver, &accounts, script, 12, |_| !done.load(Ordering::Relaxed), None, seed);
    let kills = async {
        let killed = kill_at_each_point(context, passes).await;
        done.store(true, Ordering::Relaxed);
        killed
    };
    let (acknowledged, kills) = tokio::join!(work, kills);
    let (killed, missed) = kills?;
    let (verdict, _) = context.finish(FinishOptions::default()).await?;
    let row = Row::new(verdict.total(), verdict.total() == 0 && missed.is_empty())
        .with("unit", "violations")
        .with("kills", killed)
        .with("not_reached", missed)
        .with("acknowledged", acknowledged);
    Ok((row, verdict))
}

/// Whether the binary was built with kill points: one that was dies at the first.
pub(super) async fn has_kill_points() -> Result<bool, Failure> {
    let mut command = tokio::process::Command::new(cluster::binary()?);
    let status = command.arg("--version").env("FAILPOINTS", "started=return").stdout(Stdio::null()).status().await?;
    Ok(!status.success())
}

/// Returns the number of kills, and the kill points that were not reached.
async fn kill_at_each_point(context: &mut Context, passes: &[u32]) -> Result<(usize, Vec<String>), Failure> {
    let rounds = Service::ALL.iter().map(|service| kill_points(*service).len()).max().unwrap_or_default();
    let (mut killed, mut missed) = (0, Vec::new());
    for passes in passes {
        for round in 0..rounds {
            let (driver, admin) = (context.driver.clone(), context.admin.clone());
            // The timeouts of silent chats are part of the load. Those of one advance may be settled before the replicas are killed,
            // and a call may fail because its replica has just restarted.
            let advance = async || driver.advance(&admin, SILENCE).await;
            let _ = advance().await;
            let log = &context.log;
            let services = context.cluster.replicas.chunks_mut(REPLICAS);
            let dying = services.filter_map(|replicas| {
                let point = *kill_points(replicas[0].service).get(round)?;
                let passes = if SELDOM.contains(&point) { 0 } else { *passes };
                Some(die_at(replicas.iter_mut().collect(), point, passes, REACHED, log))
            });
            let mut dying = pin!(join_all(dying));
            let reached = loop {
                match timeout(ADVANCE_INTERVAL, &mut dying).await {
                    Ok(reached) => break reached,
                    Err(_) => _ = advance().await,
                }
            };
            for (name, reached) in reached {
                match reached? {
                    true => killed += 1,
                    false => missed.push(name),
                }
            }
        }
    }
    Ok((killed, missed))
}

/// Restarts these replicas of a service so that they die at the kill point, waits until one has died, and starts them again without.
/// Several, because some work is done by one replica only. `within`: maximum time, with the restart. Returns the name of the point, and whether
/// it was reached.
pub(super) async fn die_at(
    mut replicas: Vec<&mut Replica>,
    point: &str,
    passes: u32,
    within: Duration,
    log: &FaultLog,
) -> (String, Result<bool, Failure>) {
    let name = format!("{} {point} after {passes}", replicas[0].service.name());
    let number = log.start("kill", replicas[0].service.name());
    let result = async {
        let until = Instant::now() + within;
        let waiting = replicas.iter_mut().map(async |replica| {
            replica.kill().await;
            replica.add_environment("FAILPOINTS", &format!("{point}={passes}*off->return"));
            // A replica that dies while it starts has reached the point.
            !replica.start_once(until).await || replica.has_ended(until).await
        });
        let reached = any(waiting).await;
        for replica in replicas.iter_mut() {
            replica.reset_environment().await?;
        }
        Ok(reached)
    };
    let result = result.await;
    log.end(number);
    (name, result)
}

/// Whether one of the futures returns true; then the others are dropped.
async fn any(futures: impl Iterator<Item = impl Future<Output = bool>>) -> bool {
    let mut running: FuturesUnordered<_> = futures.collect();
    while let Some(reached) = running.next().await {
        if reached {
            return true;
        }
    }
    false
}
