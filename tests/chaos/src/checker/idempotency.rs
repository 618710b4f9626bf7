//! I4: a request id has one effect and one response, and is refused with another content.

use std::collections::{BTreeMap, HashMap};

use super::{Index, Op, Outcome, Verdict, text};
use crate::history::Kind;

/// Calls whose repeats return the first response. Closing and reopening return the current state instead.
const SAME_ANSWER: &[&str] = &[
    "StartChat",
    "SendMessage",
    "ChooseButton",
    "PostMessage",
    "PostComment",
    "CreateTicket",
    "SendTranscript",
    "CreateAttachment",
    "CreateChatAttachment",
    "TakeOverConversation",
];

pub(super) fn check(index: &Index<'_>, verdict: &mut Verdict) {
    verdict.evaluates(&["I4"]);
    let mut by_id: BTreeMap<(&str, &str, &str), Vec<&Op<'_>>> = BTreeMap::new();
    for op in index.ops.iter().filter(|op| !op.first.request_id.is_empty()) {
        by_id.entry((&op.first.account, &op.first.actor, &op.first.request_id)).or_default().push(op);
    }
    let mut times: HashMap<&str, usize> = HashMap::new();
    for entry in &index.state().entries {
        *times.entry(entry.text.as_str()).or_default() += 1;
    }
    for ((_, actor, request_id), ops) in by_id {
        let first = ops[0].first;
        let message = |what: &str| format!("{} {request_id} of {actor}: {what}", first.call);
        let responses: Vec<_> = ops.iter().flat_map(|op| &op.responses).collect();
        if SAME_ANSWER.contains(&first.call.as_str()) && responses.windows(2).any(|pair| pair[0] != pair[1]) {
            verdict.violated("I4", message("two responses"));
        }
        let sent_text = text(&first.arguments, "text");
        if first.call != "ChooseButton" && !sent_text.is_empty() && times.get(sent_text).is_some_and(|times| *times > 1)
        {
            verdict.violated("I4", message("more than one effect"));
        }
        let contents = |op: &&&Op<'_>| op.outcome == Outcome::Acknowledged;
        let mut accepted = ops.iter().filter(contents).map(|op| &op.first.arguments);
        if let Some(one) = accepted.next()
            && accepted.any(|other| other != one)
        {
            verdict.violated("I4", message("two contents were accepted"));
        }
    }
    // The workload also reuses request ids with another content.
    let reused = index.evidence.history.iter().filter(|record| record.kind == Kind::Fail);
    for record in
        reused.filter(|record| record.arguments.get("reused").is_some() && record.reason != "REQUEST_ID_REUSED")
    {
        verdict.violated("I4", format!("{} {}: refused as {}", record.call, record.request_id, record.reason));
    }
}
