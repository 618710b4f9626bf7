//! I24: the replicas counted each call of the workload once, with the code of its answer.

use std::collections::{BTreeMap, BTreeSet};

use super::{Index, Verdict};
use crate::history::{Kind, Record};

/// The methods that are compared: those that nothing but the workload calls, and whose every attempt is in the history.
pub(super) const METHODS: [&str; 5] = [
    "frontdesk.assignment.v1.AssignmentService/TakeOverConversation",
    "frontdesk.conversation.v1.ConversationService/CloseConversation",
    "frontdesk.conversation.v1.ThreadService/PostMessage",
    "frontdesk.conversation.v1.VisitorService/SendMessage",
    "frontdesk.conversation.v1.VisitorService/StartChat",
];

/// The attempts of a method.
#[derive(Default)]
struct Attempts<'a> {
    /// Number of answers by code.
    answered: BTreeMap<&'a str, u64>,
    /// Number of attempts without an answer that is certain: each may be counted with any code, or not have arrived.
    unknown: u64,
}

pub(super) fn check(index: &Index<'_>, verdict: &mut Verdict) {
    let counted = &index.state().calls;
    if counted.is_empty() {
        return;
    }
    verdict.evaluates(&["I24"]);
    for method in METHODS {
        let attempts = attempts(index.evidence.history, method);
        let counts = counted.get(method).cloned().unwrap_or_default();
        let codes = attempts.answered.keys().copied().chain(counts.keys().map(String::as_str));
        for code in codes.collect::<BTreeSet<_>>() {
            let answered = attempts.answered.get(code).copied().unwrap_or(0);
            let count = counts.get(code).copied().unwrap_or(0);
            if !(answered..=answered + attempts.unknown).contains(&count) {
                let unknown = attempts.unknown;
                verdict.violated(
                    "I24",
                    format!("{method} {code}: {count} counted, {answered} answered, and {unknown} attempts without an answer"),
                );
            }
        }
    }
}

fn attempts<'a>(history: &'a [Record], method: &str) -> Attempts<'a> {
    let call = method.rsplit('/').next().unwrap_or_default();
    let mut attempts = Attempts::default();
    let mut invoked = 0_u64;
    for record in history.iter().filter(|record| record.call == call) {
        match record.kind {
            Kind::Invoke => invoked += 1,
            Kind::Ok => *attempts.answered.entry("OK").or_default() += 1,
            Kind::Fail => *attempts.answered.entry(record.code.as_str()).or_default() += 1,
            // Counted as one that was not answered.
            Kind::Unknown | Kind::Received => {}
        }
    }
    attempts.unknown = invoked.saturating_sub(attempts.answered.values().sum());
    attempts
}
