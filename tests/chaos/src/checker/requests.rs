//! I4: one request id, one effect, one answer; with other content it is refused.

use std::collections::{BTreeMap, HashMap};

use super::{Ended, Op, Read, Verdict, text};
use crate::history::Kind;

/// Calls whose repeats give the first answer again. (Closing and reopening answer with what is true now.)
const SAME_ANSWER: &[&str] = &[
    "StartChat",
    "SendMessage",
    "ChooseButton",
    "PostMessage",
    "PostComment",
    "CreateTicket",
    "SendTranscript",
    "TakeOverConversation",
];

pub(super) fn check(read: &Read<'_>, verdict: &mut Verdict) {
    verdict.evaluates(&["I4"]);
    let mut by_id: BTreeMap<(&str, &str, &str), Vec<&Op<'_>>> = BTreeMap::new();
    for op in read.ops.iter().filter(|op| !op.first.request_id.is_empty()) {
        by_id.entry((&op.first.account, &op.first.actor, &op.first.request_id)).or_default().push(op);
    }
    let mut times: HashMap<&str, usize> = HashMap::new();
    for entry in &read.state().entries {
        *times.entry(entry.text.as_str()).or_default() += 1;
    }
    for ((_, actor, request_id), ops) in by_id {
        let first = ops[0].first;
        let tell = |what: &str| format!("{} {request_id} of {actor}: {what}", first.call);
        let answers: Vec<_> = ops.iter().flat_map(|op| &op.answers).collect();
        if SAME_ANSWER.contains(&first.call.as_str()) && answers.windows(2).any(|pair| pair[0] != pair[1]) {
            verdict.violated("I4", tell("two answers"));
        }
        let wrote = text(&first.given, "text");
        if first.call != "ChooseButton" && !wrote.is_empty() && times.get(wrote).is_some_and(|times| *times > 1) {
            verdict.violated("I4", tell("more than one effect"));
        }
        let contents = |op: &&&Op<'_>| op.ended == Ended::Acknowledged;
        let mut accepted = ops.iter().filter(contents).map(|op| &op.first.given);
        if let Some(one) = accepted.next()
            && accepted.any(|other| other != one)
        {
            verdict.violated("I4", tell("two contents were accepted"));
        }
    }
    // What a caller does on purpose: the same id for something else.
    let reused = read.evidence.history.iter().filter(|record| record.kind == Kind::Fail);
    for record in reused.filter(|record| record.given.get("reused").is_some() && record.reason != "REQUEST_ID_REUSED") {
        verdict.violated("I4", format!("{} {}: refused as {}", record.call, record.request_id, record.reason));
    }
}
