//! I20: no data of an account appears in another. I21: no internal data appears to a visitor.

use std::collections::HashMap;

use super::{Index, Verdict, mail::COMMENT_CANARY};
use crate::history::{Kind, Record};

pub(super) fn check(index: &Index<'_>, verdict: &mut Verdict) {
    // A single account can only leak into logs.
    if index.state().canaries.len() > 1 {
        verdict.evaluates(&["I20"]);
    }
    if index.state().entries.iter().any(|entry| entry.kind == "comment") {
        verdict.evaluates(&["I21"]);
    }
    let responses =
        index.evidence.history.iter().filter(|record| matches!(record.kind, Kind::Ok | Kind::Received | Kind::Fail));
    for record in responses {
        let text = format!("{} {}", record.response, record.reason);
        for (account, canary) in &index.state().canaries {
            if *account != record.account && text.contains(canary.as_str()) {
                verdict.violated("I20", format!("{} of {} returned data of {account}", record.call, record.account));
            }
        }
        if record.actor.starts_with("visitor:") && is_internal(record, &text) {
            verdict.violated("I21", format!("{} returned internal data to {}", record.call, record.actor));
        }
    }
    for mail in &index.state().mails {
        // The domain of a recipient contains the canary of the recipient's account.
        for (account, canary) in &index.state().canaries {
            let is_own = mail.recipient.contains(canary.as_str());
            if !is_own && mail.whole.contains(canary.as_str()) {
                verdict.violated("I20", format!("the mail {} contains data of {account}", mail.message_id));
            }
        }
    }
    let accounts: HashMap<&str, &str> =
        index.state().events.iter().map(|event| (event.id.as_str(), event.account.as_str())).collect();
    for message in &index.state().stream {
        for (account, canary) in &index.state().canaries {
            if message.subject.contains(canary.as_str()) {
                verdict.violated("I20", format!("a subject holds the canary of {account}"));
            }
        }
        if accounts.get(message.event.as_str()).is_some_and(|account| !subject_is_of(&message.subject, account)) {
            verdict.violated("I20", format!("{} is not the subject of its event's account", message.subject));
        }
    }
    for leak in &index.state().leaks {
        verdict.violated("I20", format!("a log contains a text of the workload: {leak}"));
    }
}

/// A subject is `frontdesk.v1.<service>.<event>.<account>.<partition>`.
fn subject_is_of(subject: &str, account: &str) -> bool {
    let plain = |text: &str| text.replace('-', "").to_lowercase();
    subject.split('.').nth(4).is_some_and(|part| plain(part) == plain(account))
}

fn is_internal(record: &Record, text: &str) -> bool {
    text.contains(COMMENT_CANARY) || (record.call.starts_with("Watch") && text.contains("\"comment:"))
}
