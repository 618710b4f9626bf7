//! I20: nothing of an account is seen in another. I21: nothing internal is seen by a visitor.

use std::collections::HashMap;

use super::{Read, Verdict, mail::COMMENT_CANARY};
use crate::history::{Kind, Record};

pub(super) fn check(read: &Read<'_>, verdict: &mut Verdict) {
    // One account alone can leak into logs at most.
    if read.state().canaries.len() > 1 {
        verdict.evaluates(&["I20"]);
    }
    if read.state().entries.iter().any(|entry| entry.kind == "comment") {
        verdict.evaluates(&["I21"]);
    }
    let answers =
        read.evidence.history.iter().filter(|record| matches!(record.kind, Kind::Ok | Kind::Seen | Kind::Fail));
    for record in answers {
        let told = format!("{} {}", record.answer, record.reason);
        for (account, canary) in &read.state().canaries {
            if *account != record.account && told.contains(canary.as_str()) {
                verdict.violated("I20", format!("{} of {} told of {account}", record.call, record.account));
            }
        }
        if record.actor.starts_with("visitor:") && is_internal(record, &told) {
            verdict.violated("I21", format!("{} told {} of something internal", record.call, record.actor));
        }
    }
    for mail in &read.state().mails {
        // A recipient's domain begins with the account that they belong to.
        for (account, canary) in &read.state().canaries {
            let theirs = mail.recipient.contains(canary.as_str());
            if !theirs && mail.whole.contains(canary.as_str()) {
                verdict.violated("I20", format!("the mail {} tells of {account}", mail.message_id));
            }
        }
    }
    let accounts: HashMap<&str, &str> =
        read.state().events.iter().map(|event| (event.id.as_str(), event.account.as_str())).collect();
    for message in &read.state().stream {
        for (account, canary) in &read.state().canaries {
            if message.subject.contains(canary.as_str()) {
                verdict.violated("I20", format!("a subject holds the canary of {account}"));
            }
        }
        if accounts.get(message.event.as_str()).is_some_and(|account| !subject_is_of(&message.subject, account)) {
            verdict.violated("I20", format!("{} is not the subject of its event's account", message.subject));
        }
    }
    for leak in &read.state().leaks {
        verdict.violated("I20", format!("a log holds what somebody wrote: {leak}"));
    }
}

/// `frontdesk.v1.<service>.<event>.<account>.<partition>`
fn subject_is_of(subject: &str, account: &str) -> bool {
    let plain = |text: &str| text.replace('-', "").to_lowercase();
    subject.split('.').nth(4).is_some_and(|part| plain(part) == plain(account))
}

fn is_internal(record: &Record, told: &str) -> bool {
    told.contains(COMMENT_CANARY) || (record.call.starts_with("Watch") && told.contains("\"comment:"))
}
