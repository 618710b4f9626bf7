//! R16 with two binaries: all replicas go from an older binary to the present one, back where the schema allows, and to the present
//! one again, one after another, under load and with open streams.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::{Failure, Row, Verdict, migrations};
use crate::{
    cluster::binary,
    rows::{
        Context, FinishOptions,
        r16_rolling_restart::{Exits, WATCHED_CHATS, watch},
        steady_load::{self, Call},
    },
    workload::{Script, run_chats},
};

/// Number of chats beside the steady load that are played whole at once: with bots, takeovers, closes, transcripts and attachments.
const WHOLE_CHATS: usize = 2;

/// How long the load runs before the first change and after the last one, and between two changes of all replicas.
const PAUSE: Duration = Duration::from_secs(3);

/// What happens while the load runs, and when it had ended.
type Phases = Vec<(&'static str, Duration)>;

/// What an upgrade did.
#[derive(Default)]
struct Upgrade {
    phases: Phases,
    exits: Exits,
    /// Number of migrations.
    migrations: usize,
    /// Migrations after which the older binary does not run: there is no way back.
    without_way_back: Vec<String>,
}

pub(super) async fn run(context: &mut Context) -> Result<(Row, Verdict), Failure> {
    let (driver, accounts, seed) = (context.driver.clone(), context.accounts.clone(), context.seed);
    let account = accounts[0].clone();
    let chats = steady_load::chats(&driver, &account, 50).await?;
    let watchers = watch(&driver, &account, &chats, seed);
    let (stop, rate) = (CancellationToken::new(), steady_load::rate(context));
    let loading = tokio::spawn(steady_load::load(driver.clone(), account, chats, (rate, 2), stop.clone()));
    let began = Instant::now();
    let continues = |_: usize| !stop.is_cancelled();
    let whole_chats = run_chats(&driver, &accounts, Script::default(), WHOLE_CHATS, continues, None, seed);
    let upgrading = async {
        let upgraded = upgrade(context, began).await;
        stop.cancel();
        upgraded
    };
    let (messages, upgraded) = tokio::join!(whole_chats, upgrading);
    let upgraded = upgraded?;
    let took = began.elapsed().as_secs_f64();
    let calls = loading.await?;
    let (verdict, _) = context.finish(FinishOptions { watchers: Some(&watchers), ..FinishOptions::default() }).await?;
    let failed = calls.iter().filter(|call| !call.acknowledged).count();
    let repeated = calls.iter().filter(|call| call.attempts > 1).count();
    let row = Row::new(failed, failed == 0 && upgraded.exits.killed == 0 && verdict.of(&["I3"]) == 0)
        .with("unit", "calls that failed after one retry")
        .with("calls", calls.len())
        .with("rate_per_second_target", rate)
        .with("rate_per_second", calls.len() as f64 / took)
        .with("retried", repeated)
        .with("failed_by_phase", failed_by_phase(&calls, &upgraded.phases))
        .with("messages_of_whole_chats", messages)
        .with("migrations", upgraded.migrations)
        .with("migrations_without_way_back", upgraded.without_way_back)
        .with("exit_seconds_slowest", upgraded.exits.slowest)
        .with("killed_after_25_s", upgraded.exits.killed)
        .with("open_streams", 2 * WATCHED_CHATS);
    Ok((row, verdict))
}

/// Upgrades as `docs/operations.md` says: the schema first, then the replicas, those of the conversation service first; back in the
/// opposite order.
async fn upgrade(context: &mut Context, began: Instant) -> Result<Upgrade, Failure> {
    let (older, present) = (context.cluster.binary.clone(), binary()?);
    let forward: Vec<usize> = (0..context.cluster.replicas.len()).collect();
    let back: Vec<usize> = forward.iter().rev().copied().collect();
    let mut upgrade = Upgrade::default();
    let had = migrations::applied(&context.databases).await?;
    upgrade.pause("older", began).await;

    context.cluster.migrate(&present).await?;
    upgrade.pause("migrate", began).await;
    let mut new = migrations::applied(&context.databases).await?;
    new.retain(|migration| !had.contains(migration));
    upgrade.migrations = new.len();
    let without = new.iter().filter(|migration| !migration.has_way_back());
    upgrade.without_way_back = without.map(|migration| migration.name.clone()).collect();

    upgrade.roll(context, &forward, &present).await?;
    upgrade.pause("forward", began).await;
    if upgrade.without_way_back.is_empty() {
        upgrade.roll(context, &back, &older).await?;
        migrations::finish_way_back(&context.databases, &new).await?;
        upgrade.pause("back", began).await;
        upgrade.roll(context, &forward, &present).await?;
        upgrade.pause("forward_again", began).await;
    }
    Ok(upgrade)
}

impl Upgrade {
    /// Restarts these replicas with a binary, one after another.
    async fn roll(&mut self, context: &mut Context, replicas: &[usize], binary: &Path) -> Result<(), Failure> {
        for index in replicas {
            let replica = &mut context.cluster.replicas[*index];
            replica.use_binary(binary);
            self.exits.restart(replica, &context.log).await?;
        }
        Ok(())
    }

    /// Lets the load run, and ends a phase.
    async fn pause(&mut self, phase: &'static str, began: Instant) {
        tokio::time::sleep(PAUSE).await;
        println!("  {phase} ends after {:.0} s", began.elapsed().as_secs_f64());
        self.phases.push((phase, began.elapsed()));
    }
}

/// Number of calls that failed, by the phase in which they were due.
fn failed_by_phase(calls: &[Call], phases: &[(&'static str, Duration)]) -> serde_json::Value {
    let mut from = Duration::ZERO;
    let mut failed = serde_json::Map::new();
    for (phase, until) in phases {
        let within = calls.iter().filter(|call| (from..*until).contains(&call.at) && !call.acknowledged);
        failed.insert((*phase).to_owned(), within.count().into());
        from = *until;
    }
    failed.into()
}
