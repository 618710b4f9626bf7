//! R5: watchers over restarts and kills of the replicas that they watch at: no gap, repeat or reorder.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Ending, Failure, Row, Stage, Verdict};
use crate::{
    cluster::Service,
    faults::{FaultKind, schedule, torment},
    workload::{Watched, Watchers},
};

pub(super) async fn run(stage: &mut Stage) -> Result<(Row, Verdict), Failure> {
    let wanted = stage.size.pick(1_000, 100_000, 1_000_000_usize);
    let restarts = stage.size.pick(3, 10, 20);
    let conversations = stage.size.pick(4, 10, 20);
    let of_each = stage.size.pick(6, 40, 50);
    let messages = wanted / (conversations * of_each) + 1;
    let watchers = Watchers::new(&stage.driver, usize::MAX, Duration::from_secs(6), stage.seed);
    let (driver, shop) = (stage.driver.clone(), stage.shops[0].clone());
    let mut chats = Vec::new();
    for number in 0..conversations {
        let visitor = shop.visitor(&format!("v{number}"), false);
        let id = driver.start_chat(&visitor, &shop.with_nobody, "").await.ok().ok_or("no chat was started")?;
        for eye in 0..of_each {
            let agent = &shop.agents[eye % shop.agents.len()];
            if eye % 2 == 0 {
                watchers.follow(&id, agent, Watched::Thread);
            } else {
                watchers.follow(&id, &visitor, Watched::Chat);
            }
        }
        chats.push((visitor, id));
    }
    let menu = [FaultKind::Restart(Service::Conversation), FaultKind::Kill(Service::Conversation), FaultKind::KillNats];
    let plan = schedule(stage.seed, &menu, restarts, 200..1_500);
    let done = CancellationToken::new();
    let log = stage.log.clone();
    let talk = async {
        // Every chat goes on for as long as replicas are restarted.
        let talking = chats.iter().map(|(visitor, id)| {
            let (driver, shop, done) = (&driver, &shop, &done);
            async move {
                let mut said = 0;
                while said < messages || !done.is_cancelled() {
                    driver.say(visitor, id, &shop.words()).await;
                    said += 1;
                    if said >= messages {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        });
        futures::future::join_all(talking).await;
    };
    let trouble = async {
        let tormented = torment(&mut stage.cluster, &plan, &CancellationToken::new(), &log).await;
        done.cancel();
        tormented
    };
    let ((), tormented) = tokio::join!(talk, trouble);
    tormented?;
    let (verdict, _) = stage.end(Ending { watchers: Some(&watchers), ..Ending::default() }).await?;
    let wrong = verdict.of(&["I3"]);
    let delivered = watchers.delivered();
    let row = Row::new(wrong, wrong == 0 && delivered >= wanted as u64 && plan.len() == restarts)
        .with("deliveries", delivered)
        .with("watchers", conversations * of_each)
        .with("restarts", restarts);
    Ok((row, verdict))
}
