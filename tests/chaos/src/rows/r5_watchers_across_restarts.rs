//! R5: watchers while the replicas that they are connected to are restarted and killed: no gap, repeat or reordering.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Context, Failure, FinishOptions, Row, Verdict};
use crate::{
    cluster::Service,
    faults::{FaultKind, inject_all, schedule},
    workload::{WatchKind, Watchers},
};

pub(super) async fn run(context: &mut Context) -> Result<(Row, Verdict), Failure> {
    let min_deliveries = context.size.pick(1_000, 100_000, 1_000_000_usize);
    let restarts = context.size.pick(3, 10, 20);
    let conversations = context.size.pick(4, 10, 20);
    let watchers_each = context.size.pick(6, 40, 50);
    let messages = min_deliveries / (conversations * watchers_each) + 1;
    let watchers = Watchers::new(&context.driver, usize::MAX, Duration::from_secs(6), context.seed);
    let (driver, account) = (context.driver.clone(), context.accounts[0].clone());
    let mut chats = Vec::new();
    for number in 0..conversations {
        let visitor = account.visitor(&format!("v{number}"), false);
        let id =
            driver.start_chat(&visitor, &account.plain_channel, "").await.ok().ok_or("no chat could be started")?;
        for number in 0..watchers_each {
            let agent = &account.agents[number % account.agents.len()];
            if number % 2 == 0 {
                watchers.watch(&id, agent, WatchKind::Thread);
            } else {
                watchers.watch(&id, &visitor, WatchKind::Chat);
            }
        }
        chats.push((visitor, id));
    }
    let kinds =
        [FaultKind::Restart(Service::Conversation), FaultKind::Kill(Service::Conversation), FaultKind::KillNats];
    let faults = schedule(context.seed, &kinds, restarts, 200..1_500);
    let done = CancellationToken::new();
    let log = context.log.clone();
    let work = async {
        // Every chat continues until the last restart.
        let sending = chats.iter().map(|(visitor, id)| {
            let (driver, account, done) = (&driver, &account, &done);
            async move {
                let mut sent = 0;
                while sent < messages || !done.is_cancelled() {
                    driver.send_message(visitor, id, &account.message_text()).await;
                    sent += 1;
                    if sent >= messages {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        });
        futures::future::join_all(sending).await;
    };
    let injection = async {
        let injected = inject_all(&mut context.cluster, &faults, &log).await;
        done.cancel();
        injected
    };
    let ((), injected) = tokio::join!(work, injection);
    injected?;
    let (verdict, _) = context.finish(FinishOptions { watchers: Some(&watchers), ..FinishOptions::default() }).await?;
    let violations = verdict.of(&["I3"]);
    let delivered = watchers.delivered();
    let enough = delivered >= min_deliveries as u64 && faults.len() == restarts;
    let row = Row::new(violations, violations == 0 && enough)
        .with("deliveries", delivered)
        .with("watchers", conversations * watchers_each)
        .with("restarts", restarts);
    Ok((row, verdict))
}
