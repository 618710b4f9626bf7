//! R18: the mail server hangs at each stage of the exchange: the worker is free after its timeout, and other mails are not held up.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures::StreamExt;
use serde_json::json;

use super::{Context, Failure, FinishOptions, Row, Verdict, r11_one_mail_per_close::close_one};
use crate::{
    cluster::{SMTP_ACCEPTANCE_TIMEOUT, SMTP_TIMEOUT, Service},
    mail_sink::{SmtpFault, SmtpStage},
    report::percentile,
};

/// Maximum time that the service waits for the response to QUIT.
const QUIT_TIMEOUT: Duration = Duration::from_secs(1);

/// The stages, with the timeout of the service there.
const STAGES: [(SmtpStage, Duration); 7] = [
    (SmtpStage::Banner, SMTP_TIMEOUT),
    (SmtpStage::Ehlo, SMTP_TIMEOUT),
    (SmtpStage::Mail, SMTP_TIMEOUT),
    (SmtpStage::Rcpt, SMTP_TIMEOUT),
    (SmtpStage::Data, SMTP_TIMEOUT),
    (SmtpStage::FinalDot, SMTP_ACCEPTANCE_TIMEOUT),
    (SmtpStage::Quit, QUIT_TIMEOUT),
];

/// Maximum time from the timeout until the connection of an exchange that hangs is closed (seconds).
const MAX_OVER_TIMEOUT: f64 = 1.0;
/// Maximum time from a close to its mail, where the exchange did not hang, at the 99th percentile (seconds).
const MAX_LATE: f64 = 5.0;
/// Number of chats that are closed at the same time.
const CONCURRENT: usize = 8;
/// How long a stage may take beyond its timeout before the row fails.
const STAGE_TIMEOUT: Duration = Duration::from_secs(60);
/// Interval between two looks at what is finished.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

pub(super) async fn run(context: &mut Context) -> Result<(Row, Verdict), Failure> {
    // Fewer than the two replicas have workers.
    let hung = context.size.pick(1, 3, 6);
    let mails = context.size.pick(6, 40, 200);
    let mut waited = BTreeMap::new();
    let mut over_timeout: f64 = 0.0;
    let mut closed = 0;
    for (stage, timeout) in STAGES {
        let hangs_before = context.cluster.mail_sink.hangs().len();
        let fault = context.log.start(&format!("hang-{stage:?}").to_lowercase(), "smtp");
        for _ in 0..hung {
            context.cluster.mail_sink.inject(stage, SmtpFault::Hang);
        }
        close(context, closed, mails).await;
        closed += mails;
        finished(context, hangs_before + hung, closed, timeout).await?;
        context.log.end(fault);
        let hangs = context.cluster.mail_sink.hangs();
        let longest = hangs[hangs_before..].iter().map(|(_, waited)| waited.as_secs_f64()).fold(0.0, f64::max);
        over_timeout = over_timeout.max(longest - timeout.as_secs_f64());
        waited.insert(format!("{stage:?}").to_lowercase(), longest);
    }
    let mut late = lateness(context).await?;
    let (verdict, _) = context.finish(FinishOptions::default()).await?;
    let violations = verdict.of(&["I10", "I12", "I13"]);
    let (others, p99) = (late.len(), percentile(&mut late, 99.0));
    let expected = closed - STAGES.len() * hung;
    let holds = over_timeout <= MAX_OVER_TIMEOUT && p99 <= MAX_LATE && others >= expected && violations == 0;
    let row = Row::new(p99, holds)
        .with("unit", "seconds from a close to its mail, p99 of those that did not hang")
        .with("closes", closed)
        .with("hung_at_each_stage", hung)
        .with("longest_wait_seconds", json!(waited))
        .with("longest_over_timeout_seconds", over_timeout)
        .with("others", others)
        .with("max_seconds", late.last().copied().unwrap_or_default());
    Ok((row, verdict))
}

/// Closes this number of chats, which are numbered from `first`.
async fn close(context: &Context, first: usize, count: usize) {
    let (driver, accounts) = (context.driver.clone(), context.accounts.clone());
    futures::stream::iter(first..first + count)
        .for_each_concurrent(CONCURRENT, |number| {
            let (driver, account) = (driver.clone(), accounts[number % accounts.len()].clone());
            async move { close_one(&driver, &account, number).await }
        })
        .await;
}

/// Waits until this number of exchanges that hung are over, and this number of transcripts are sent. The clock is not advanced, so that
/// retries take as long as they do for people.
async fn finished(context: &Context, hangs: usize, transcripts: usize, timeout: Duration) -> Result<(), Failure> {
    let began = Instant::now();
    let sent = format!(
        "SELECT count(*) FROM deliveries WHERE account_id IN ({}) AND kind = 'TRANSCRIPT' AND state = 'SENT'",
        accounts(context)
    );
    loop {
        let over = context.cluster.mail_sink.hangs().len();
        let sent = context.databases.number(Service::Notification, &sent).await?;
        if over >= hangs && sent >= transcripts as i64 {
            return Ok(());
        }
        if began.elapsed() > timeout + STAGE_TIMEOUT {
            return Err(
                format!("{over} of {hangs} exchanges ended, {sent} of {transcripts} transcripts are sent").into()
            );
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Seconds from each close to its mail, of those that were sent at the first attempt.
async fn lateness(context: &Context) -> Result<Vec<f64>, Failure> {
    let sql = format!(
        "SELECT sent_at - closed_at AS late FROM deliveries
        JOIN transcript_decisions ON transcript_decisions.delivery_id = deliveries.id
        WHERE deliveries.account_id IN ({}) AND attempts = 1 AND sent_at IS NOT NULL",
        accounts(context)
    );
    let rows = context.databases.rows(Service::Notification, &sql).await?;
    let mut late = Vec::with_capacity(rows.len());
    for row in rows {
        late.push(row.try_get::<i64>("", "late")? as f64 / 1e6);
    }
    Ok(late)
}

/// The ids of the accounts as an SQL list.
fn accounts(context: &Context) -> String {
    let quoted: Vec<String> = context.accounts.iter().map(|account| format!("'{}'", account.id)).collect();
    quoted.join(",")
}
