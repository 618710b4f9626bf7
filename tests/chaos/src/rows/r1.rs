//! R1: messages under kill -9 of every process, the broker and the database, and every other fault in between.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::{Ending, Failure, Row, Stage, Verdict};
use crate::{
    faults::{kills, nuisances, schedule, torment},
    workload::{Script, Watchers, play_all},
};

pub(super) async fn run(stage: &mut Stage) -> Result<(Row, Verdict), Failure> {
    let messages = stage.size.pick(500, 10_000, 100_000);
    let wanted = stage.size.pick(6, 20, 50);
    let others = stage.size.pick(6, 30, 80);
    let at_once = stage.size.pick(12, 24, 32);
    // Kills between all the other kinds of trouble.
    let apart = stage.size.pick(50..400, 200..1_500, 200..1_500);
    let mut plan = schedule(stage.seed, &kills(), wanted, apart.clone());
    plan.extend(schedule(stage.seed + 1, &nuisances(), others, apart));
    let mut order: Vec<usize> = (0..plan.len()).collect();
    rand::seq::SliceRandom::shuffle(
        order.as_mut_slice(),
        &mut <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(stage.seed),
    );
    let plan: Vec<_> = order.into_iter().map(|place| plan[place]).collect();

    let watchers = Watchers::new(&stage.driver, stage.size.pick(16, 60, 200), Duration::from_secs(4), stage.seed);
    let done = AtomicBool::new(false);
    let stop = CancellationToken::new();
    let (driver, shops, seed) = (stage.driver.clone(), stage.shops.clone(), stage.seed);
    let goes_on = |acknowledged: usize| acknowledged < messages || !done.load(Ordering::Relaxed);
    let work = play_all(&driver, &shops, Script::default(), at_once, goes_on, Some(&watchers), seed);
    let log = stage.log.clone();
    let trouble = async {
        let tormented = torment(&mut stage.cluster, &plan, &stop, &log).await;
        done.store(true, Ordering::Relaxed);
        tormented
    };
    let (acknowledged, tormented) = tokio::join!(work, trouble);
    tormented?;
    let ending = Ending { watchers: Some(&watchers), ..Ending::default() };
    let (verdict, state) = stage.end(ending).await?;
    let lost = verdict.of(&["I1", "I2", "I4"]);
    let killed = stage.log.count("kill");
    let row = Row::new(lost, lost == 0 && acknowledged >= messages && killed >= wanted)
        .with("acknowledged", acknowledged)
        .with("kills", killed)
        .with("faults", stage.log.all().len())
        .with("deliveries_to_watchers", watchers.delivered())
        .with("conversations", state.conversations.len())
        .with("mails", state.mails.len())
        .with("commits_cut_and_acks_lost", stage.cluster.struck())
        .with("operations", operations(stage))
        .with("violations", verdict.total());
    Ok((row, verdict))
}

/// Calls that were made, without their repeats.
fn operations(stage: &Stage) -> u64 {
    stage.driver.recorder.next_op() - 1
}
