//! I19: no message follows a close unless the conversation is reopened, and every close has its closing entry.

use super::{Index, Verdict};
use crate::final_state::Fact;

pub(super) fn check(index: &Index<'_>, verdict: &mut Verdict) {
    if index.state().events.iter().any(|event| matches!(event.fact, Fact::Closed { .. })) {
        verdict.evaluates(&["I19"]);
    }
    for conversation in &index.state().conversations {
        let mut open = true;
        let thread = index.thread(&conversation.id);
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
            verdict.violated(
                "I19",
                format!("{}: {} is not the status by the thread", conversation.id, conversation.status),
            );
        }
        for event in index.events(&conversation.id) {
            if let Fact::Closed { number, sequence, .. } = &event.fact
                && !thread.iter().any(|entry| entry.sequence == *sequence && entry.kind == "closed")
            {
                verdict.violated("I19", format!("{}: close {number} has no closing entry", conversation.id));
            }
        }
    }
}
