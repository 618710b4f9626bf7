//! R11: transcripts while the mail server, the broker and processes fail: exactly one mail per close.

use std::time::Duration;

use futures::StreamExt;

use super::{Context, Failure, FinishOptions, Row, Verdict};
use crate::{
    cluster::Service,
    driver::Driver,
    faults::{FaultKind, inject_all, schedule},
    workload::Account,
};

pub(super) async fn run(context: &mut Context) -> Result<(Row, Verdict), Failure> {
    let transcripts = context.size.pick(40, 1_000, 10_000);
    let faults = context.size.pick(6, 60, 300);
    let concurrent = context.size.pick(8, 16, 24);
    let outages = [
        FaultKind::Kill(Service::Notification),
        FaultKind::KillNats,
        FaultKind::Pause(Service::Notification),
        FaultKind::SmtpDown,
        FaultKind::ResetPostgres(Service::Notification),
        FaultKind::LoseCommitReplies(Service::Notification),
        FaultKind::DropAcks(Service::Notification),
        // The conversation service records each sent transcript once, although the event is redelivered.
        FaultKind::DropAcks(Service::Conversation),
        FaultKind::Restart(Service::Notification),
    ];
    // SMTP faults take no time, so that most faults can be of this kind.
    let kinds: Vec<FaultKind> = outages.into_iter().flat_map(|kind| [kind, FaultKind::Smtp, FaultKind::Smtp]).collect();
    let planned = schedule(context.seed, &kinds, faults, 20..context.size.pick(200, 500, 1_000));
    let (driver, accounts) = (context.driver.clone(), context.accounts.clone());
    let log = context.log.clone();
    let work = futures::stream::iter(0..transcripts).for_each_concurrent(concurrent, |number| {
        let (driver, account) = (driver.clone(), accounts[number % accounts.len()].clone());
        async move { close_one(&driver, &account, number).await }
    });
    let injection = inject_all(&mut context.cluster, &planned, &log);
    let ((), injected) = tokio::join!(work, injection);
    injected?;
    let timeout = Duration::from_secs(context.size.pick(240, 240, 900));
    let options = FinishOptions { timeout, ..FinishOptions::default() };
    let (verdict, state) = context.finish(options).await?;
    let violations = verdict.of(&["I10", "I11", "I12", "I13"]);
    let count = |status: &str| {
        state.deliveries.iter().filter(|delivery| delivery.kind == "TRANSCRIPT" && delivery.state == status).count()
    };
    let accepted_twice = state.deliveries.iter().filter(|delivery| {
        !delivery.message_id.is_empty()
            && state.mails.iter().filter(|mail| mail.message_id == delivery.message_id).count() > 1
    });
    let row = Row::new(violations, violations == 0 && count("SENT") + count("PARKED") >= transcripts)
        .with("closes", state.decisions.len())
        .with("sent", count("SENT"))
        .with("parked", count("PARKED"))
        .with("failed", count("FAILED"))
        .with("accepted_twice", accepted_twice.count())
        .with("attempts_unknown", state.deliveries.iter().map(|delivery| delivery.unknown).sum::<i64>())
        .with("faults", planned.len());
    Ok((row, verdict))
}

/// A chat of a visitor with a mail address and an agent, up to its close.
pub(super) async fn close_one(driver: &Driver, account: &Account, number: usize) {
    let visitor = account.visitor(&format!("c{number}"), true);
    let agent = &account.agents[number % account.agents.len()];
    let Some(id) = driver.start_chat(&visitor, &account.plain_channel, &account.message_text()).await.ok() else {
        return;
    };
    driver.post_message(agent, &id, &account.message_text()).await;
    driver.post_comment(agent, &id, &account.comment_text()).await;
    driver.close_conversation(agent, &id).await;
}
