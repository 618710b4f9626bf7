//! R11: transcripts while the mail server, the broker and processes fail: one mail per close.

use std::time::Duration;

use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::{Ending, Failure, Row, Stage, Verdict};
use crate::{
    cluster::Service,
    driver::Driver,
    faults::{FaultKind, schedule, torment},
    workload::Shop,
};

pub(super) async fn run(stage: &mut Stage) -> Result<(Row, Verdict), Failure> {
    let transcripts = stage.size.pick(40, 1_000, 10_000);
    let faults = stage.size.pick(6, 60, 300);
    let at_once = stage.size.pick(8, 16, 24);
    let away = [
        FaultKind::Kill(Service::Notification),
        FaultKind::KillNats,
        FaultKind::Pause(Service::Notification),
        FaultKind::SmtpAway,
        FaultKind::CutPostgres(Service::Notification),
        FaultKind::CutCommits(Service::Notification),
        FaultKind::DropAcks(Service::Notification),
        // It notes sent transcripts: one that comes twice is noted once.
        FaultKind::DropAcks(Service::Conversation),
        FaultKind::Restart(Service::Notification),
    ];
    // Trouble at the mail server costs no time, so it is most of it.
    let menu: Vec<FaultKind> = away.into_iter().flat_map(|kind| [kind, FaultKind::Smtp, FaultKind::Smtp]).collect();
    let plan = schedule(stage.seed, &menu, faults, 20..stage.size.pick(200, 500, 1_000));
    let (driver, shops) = (stage.driver.clone(), stage.shops.clone());
    let (stop, log) = (CancellationToken::new(), stage.log.clone());
    let work = futures::stream::iter(0..transcripts).for_each_concurrent(at_once, |number| {
        let (driver, shop) = (driver.clone(), shops[number % shops.len()].clone());
        async move { close_one(&driver, &shop, number).await }
    });
    let trouble = torment(&mut stage.cluster, &plan, &stop, &log);
    let ((), tormented) = tokio::join!(work, trouble);
    tormented?;
    let ending = Ending { patience: Duration::from_secs(240), ..Ending::default() };
    let (verdict, state) = stage.end(ending).await?;
    let wrong = verdict.of(&["I10", "I11", "I12", "I13"]);
    let count = |of: &str| {
        state.deliveries.iter().filter(|delivery| delivery.kind == "TRANSCRIPT" && delivery.state == of).count()
    };
    let twice = state.deliveries.iter().filter(|delivery| {
        !delivery.message_id.is_empty()
            && state.mails.iter().filter(|mail| mail.message_id == delivery.message_id).count() > 1
    });
    let row = Row::new(wrong, wrong == 0 && count("SENT") + count("PARKED") >= transcripts)
        .with("closes", state.decisions.len())
        .with("sent", count("SENT"))
        .with("parked", count("PARKED"))
        .with("failed", count("FAILED"))
        .with("accepted_twice", twice.count())
        .with("attempts_unknown", state.deliveries.iter().map(|delivery| delivery.unknown).sum::<i64>())
        .with("faults", plan.len());
    Ok((row, verdict))
}

/// A chat of a known visitor with an agent, to its end.
async fn close_one(driver: &Driver, shop: &Shop, number: usize) {
    let visitor = shop.visitor(&format!("c{number}"), true);
    let agent = &shop.agents[number % shop.agents.len()];
    let Some(id) = driver.start_chat(&visitor, &shop.with_nobody, &shop.words()).await.ok() else { return };
    driver.post(agent, &id, &shop.words()).await;
    driver.comment(agent, &id, &shop.internal_words()).await;
    driver.close(agent, &id).await;
}
