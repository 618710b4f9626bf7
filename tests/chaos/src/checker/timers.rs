//! I7: no timeout closes a conversation early. I8: none closes it late. I9: none is stuck.

use super::{Index, Verdict};
use crate::final_state::{Entry, Event, Fact, FinalState};

/// How long after its deadline a timeout counts as stuck, in microseconds.
const STUCK_AFTER: i64 = 5_000_000;

pub(super) fn check(index: &Index<'_>, verdict: &mut Verdict) {
    if !index.state().sessions.is_empty() {
        verdict.evaluates(&["I9"]);
    }
    if index.state().events.iter().any(is_timeout) {
        verdict.evaluates(&["I7"]);
        if index.evidence.max_lateness.is_some() {
            verdict.evaluates(&["I8"]);
        }
    }
    for conversation in &index.state().conversations {
        let timeouts = timeouts(index.thread(&conversation.id), index.events(&conversation.id));
        for late in timeouts {
            if late < 0 {
                verdict.violated("I7", format!("{}: {} µs early", conversation.id, -late));
            }
            if index.evidence.max_lateness.is_some_and(|max_lateness| late > max_lateness) {
                verdict.violated("I8", format!("{}: {late} µs late", conversation.id));
            }
        }
        let deadline = conversation.last_visitor_activity + conversation.timeout;
        if !conversation.session_in_charge.is_empty()
            && conversation.timeout > 0
            && deadline < index.state().now - STUCK_AFTER
        {
            verdict.violated("I9", format!("{}: still open after its timeout", conversation.id));
        }
    }
    for session in &index.state().sessions {
        if session.status == "OPEN" && session.deadline > 0 && session.deadline < index.state().now - STUCK_AFTER {
            verdict.violated("I9", format!("session {} of {} is past its deadline", session.id, session.conversation));
        }
    }
}

fn is_timeout(event: &Event) -> bool {
    matches!(&event.fact, Fact::Closed { reason, .. } if reason == "VISITOR_INACTIVE")
}

/// Lateness of each timeout of a conversation by the database's clock, in microseconds; negative: early.
fn timeouts(thread: &[&Entry], events: &[&Event]) -> Vec<i64> {
    let mut late = Vec::new();
    let (mut silence, mut began) = (0, 0);
    for event in events {
        match &event.fact {
            Fact::Started { timeout, at, .. } => (silence, began) = (*timeout, *at),
            Fact::Closed { reason, sequence, at, .. } if reason == "VISITOR_INACTIVE" => {
                let said = thread.iter().filter(|entry| entry.sequence < *sequence && entry.author_kind == "VISITOR");
                let active = said.map(|entry| entry.at).max().unwrap_or(began).max(began);
                late.push(at - active - silence);
            }
            _ => {}
        }
    }
    late
}

/// Lateness of the timeouts of all conversations, in microseconds.
pub fn lateness(state: &FinalState) -> Vec<i64> {
    let index = Index::new(super::Evidence { history: &[], faults: &[], state, max_lateness: None });
    state.conversations.iter().flat_map(|one| timeouts(index.thread(&one.id), index.events(&one.id))).collect()
}
