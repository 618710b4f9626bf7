//! I7: no timeout comes early. I8: nor late. I9: none is stuck.

use super::{Read, Verdict};
use crate::state::{Entry, Event, Fact, Final};

const STUCK_AFTER: i64 = 5_000_000;

pub(super) fn check(read: &Read<'_>, verdict: &mut Verdict) {
    if !read.state().sessions.is_empty() {
        verdict.evaluates(&["I9"]);
    }
    if read.state().events.iter().any(is_timeout) {
        verdict.evaluates(&["I7"]);
        if read.evidence.latest.is_some() {
            verdict.evaluates(&["I8"]);
        }
    }
    for conversation in &read.state().conversations {
        let timeouts = timeouts(read.thread(&conversation.id), read.events(&conversation.id));
        for late in timeouts {
            if late < 0 {
                verdict.violated("I7", format!("{}: {} µs early", conversation.id, -late));
            }
            if read.evidence.latest.is_some_and(|latest| late > latest) {
                verdict.violated("I8", format!("{}: {late} µs late", conversation.id));
            }
        }
        let silent_since = conversation.last_visitor_activity + conversation.timeout;
        if !conversation.session_in_charge.is_empty()
            && conversation.timeout > 0
            && silent_since < read.state().now - STUCK_AFTER
        {
            verdict.violated("I9", format!("{}: its timeout passed and nothing happened", conversation.id));
        }
    }
    for session in &read.state().sessions {
        if session.status == "OPEN" && session.deadline > 0 && session.deadline < read.state().now - STUCK_AFTER {
            verdict.violated("I9", format!("session {} of {} is past its deadline", session.id, session.conversation));
        }
    }
}

fn is_timeout(event: &Event) -> bool {
    matches!(&event.fact, Fact::Closed { reason, .. } if reason == "VISITOR_INACTIVE")
}

/// How late each timeout closed, by the database's clock, in microseconds; negative: early.
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

/// How late the timeouts of all conversations closed, in microseconds.
pub fn lateness(state: &Final) -> Vec<i64> {
    let nothing: &[crate::history::Record] = &[];
    let read = Read::new(super::Evidence { history: nothing, faults: &[], state, latest: None });
    state.conversations.iter().flat_map(|one| timeouts(read.thread(&one.id), read.events(&one.id))).collect()
}
