//! I19: no message after a close unless reopened; the closing entry and the close are one.

use super::{Read, Verdict};
use crate::state::Fact;

pub(super) fn check(read: &Read<'_>, verdict: &mut Verdict) {
    if read.state().events.iter().any(|event| matches!(event.fact, Fact::Closed { .. })) {
        verdict.evaluates(&["I19"]);
    }
    for conversation in &read.state().conversations {
        let mut open = true;
        let thread = read.thread(&conversation.id);
        for entry in thread {
            match entry.kind.as_str() {
                "closed" if !open => verdict.violated("I19", format!("{}: closed twice", conversation.id)),
                "closed" => open = false,
                "reopened" => open = true,
                "message" | "assignee_changed" | "handed_off" if !open => {
                    let what = format!("{} {} after the close", entry.kind, entry.sequence);
                    verdict.violated("I19", format!("{}: {what}", conversation.id));
                }
                _ => {}
            }
        }
        if open != (conversation.status == "OPEN") {
            verdict
                .violated("I19", format!("{}: {} is not what the thread says", conversation.id, conversation.status));
        }
        for event in read.events(&conversation.id) {
            if let Fact::Closed { number, sequence, .. } = &event.fact
                && !thread.iter().any(|entry| entry.sequence == *sequence && entry.kind == "closed")
            {
                verdict.violated("I19", format!("{}: close {number} has no closing entry", conversation.id));
            }
        }
    }
}
