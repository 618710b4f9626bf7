//! R1: messages while every process, the broker and the database are killed with kill -9, and all other faults in between.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};

use super::{Context, Failure, FinishOptions, Row, Verdict};
use crate::{
    faults::{inject_all, kills, minor_faults, schedule},
    workload::{Script, Watchers, run_chats},
};

pub(super) async fn run(context: &mut Context) -> Result<(Row, Verdict), Failure> {
    let messages = context.size.pick(500, 10_000, 100_000);
    let kill_count = context.size.pick(6, 20, 50);
    let other_count = context.size.pick(6, 30, 80);
    let concurrent = context.size.pick(12, 24, 32);
    let pause = context.size.pick(50..400, 200..1_500, 200..1_500);
    let mut faults = schedule(context.seed, &kills(), kill_count, pause.clone());
    faults.extend(schedule(context.seed + 1, &minor_faults(), other_count, pause));
    faults.shuffle(&mut StdRng::seed_from_u64(context.seed));

    let watchers = Watchers::new(&context.driver, context.size.pick(16, 60, 200), Duration::from_secs(4), context.seed);
    let done = AtomicBool::new(false);
    let (driver, accounts, seed) = (context.driver.clone(), context.accounts.clone(), context.seed);
    let continues = |acknowledged: usize| acknowledged < messages || !done.load(Ordering::Relaxed);
    let work = run_chats(&driver, &accounts, Script::default(), concurrent, continues, Some(&watchers), seed);
    let log = context.log.clone();
    let injection = async {
        let injected = inject_all(&mut context.cluster, &faults, &log).await;
        done.store(true, Ordering::Relaxed);
        injected
    };
    let (acknowledged, injected) = tokio::join!(work, injection);
    injected?;
    // After it only attachments that were sent may be left (I25).
    context.make_unsent_due().await?;
    let options = FinishOptions { watchers: Some(&watchers), ..FinishOptions::default() };
    let (verdict, state) = context.finish(options).await?;
    let lost = verdict.of(&["I1", "I2", "I4"]);
    let killed = context.log.count("kill");
    let row = Row::new(lost, lost == 0 && acknowledged >= messages && killed >= kill_count)
        .with("acknowledged", acknowledged)
        .with("kills", killed)
        .with("faults", context.log.all().len())
        .with("deliveries_to_watchers", watchers.delivered())
        .with("conversations", state.conversations.len())
        .with("mails", state.mails.len())
        .with("attachments", state.attachments.len())
        .with("commit_replies_and_acks_lost", context.cluster.protocol_faults())
        .with("operations", operations(context))
        .with("violations", verdict.total());
    Ok((row, verdict))
}

/// Number of operations, without their repeated attempts.
fn operations(context: &Context) -> u64 {
    context.driver.recorder.next_op() - 1
}
