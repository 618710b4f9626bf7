//! R4: the broker comes back with its store as it was seconds ago, as after a power cut under a disk that had not written
//! everything: the events of these seconds are published again, and reach every consumer.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use super::{Context, Failure, FinishOptions, Row, Verdict};
use crate::{
    history::RESTORE_OLDER_STORE,
    workload::{Script, run_chats},
};

/// How long events are published that the older store does not have.
const LOST: Duration = Duration::from_secs(4);
/// Pause between two losses.
const PAUSE: Duration = Duration::from_secs(3);
/// Maximum time from the last restart of the broker until no event waits.
const REPUBLISHED: Duration = Duration::from_secs(30);

pub(super) async fn run(context: &mut Context) -> Result<(Row, Verdict), Failure> {
    let losses = context.size.pick(1, 5, 20);
    let done = AtomicBool::new(false);
    let (driver, accounts, seed) = (context.driver.clone(), context.accounts.clone(), context.seed);
    // Many short chats: most of them end while their events are lost.
    let script = Script { messages: 4, closed: 90, ..Script::default() };
    let work = run_chats(&driver, &accounts, script, 12, |_| !done.load(Ordering::Relaxed), None, seed);
    let faults = async {
        let result = lose_events(context, losses).await;
        done.store(true, Ordering::Relaxed);
        result
    };
    let (acknowledged, restored) = tokio::join!(work, faults);
    let restored = restored?;
    // Without an advanced clock, which would hide how long consumers wait.
    let options = FinishOptions { advance_clock: false, ..FinishOptions::default() };
    let (verdict, state) = context.finish(options).await?;
    let seconds = restored.elapsed().as_secs_f64();
    let lost = verdict.of(&["I17", "I18"]);
    let row = Row::new(lost, verdict.total() == 0 && seconds <= REPUBLISHED.as_secs_f64())
        .with("unit", "events lost")
        .with("losses", losses)
        .with("acknowledged", acknowledged)
        .with("conversations", state.conversations.len())
        .with("seconds_until_quiescent", seconds);
    Ok((row, verdict))
}

/// Restores an older store of the broker again and again; returns when the broker was ready for the last time.
async fn lose_events(context: &mut Context, losses: usize) -> Result<Instant, Failure> {
    let older = tempfile::tempdir()?;
    let mut ready = Instant::now();
    for _ in 0..losses {
        let number = context.log.start(RESTORE_OLDER_STORE, "nats");
        let nats = &mut context.cluster.nats;
        nats.kill().await;
        nats.copy_store(older.path());
        nats.restart().await;
        tokio::time::sleep(LOST).await;
        nats.kill().await;
        nats.restore_store(older.path());
        nats.restart().await;
        ready = Instant::now();
        context.log.end(number);
        tokio::time::sleep(PAUSE).await;
    }
    Ok(ready)
}
