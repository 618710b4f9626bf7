//! I5: bot sessions of a conversation never overlap. I6: no timeout closes after a takeover or hand-off ended its session.

use std::collections::{HashMap, HashSet};

use super::{Index, Verdict};
use crate::final_state::{Event, Fact};

pub(super) fn check(index: &Index<'_>, verdict: &mut Verdict) {
    let ends = |event: &Event| matches!(&event.fact, Fact::Closed { reason, .. } if reason == "VISITOR_INACTIVE");
    if index.state().sessions.is_empty() {
        return;
    }
    verdict.evaluates(&["I5"]);
    if index.state().events.iter().any(ends) {
        verdict.evaluates(&["I6"]);
    }
    let mut started: HashSet<&str> = HashSet::new();
    for conversation in &index.state().conversations {
        let mut in_charge = String::new();
        for event in index.events(&conversation.id) {
            match &event.fact {
                Fact::Started { session, .. } => {
                    if !in_charge.is_empty() {
                        verdict.violated(
                            "I5",
                            format!("{}: {session} started while {in_charge} was open", conversation.id),
                        );
                    }
                    in_charge.clone_from(session);
                    started.insert(session);
                }
                Fact::Assignee { ended, .. } => {
                    if *ended != in_charge {
                        verdict.violated("I5", format!("{}: {ended:?} ended, {in_charge:?} was open", conversation.id));
                    }
                    in_charge.clear();
                }
                Fact::HandedOff { session, .. } => {
                    if *session != in_charge {
                        let what = format!("{}: {session} handed off, {in_charge:?} was open", conversation.id);
                        verdict.violated("I5", what);
                    }
                    in_charge.clear();
                }
                Fact::Closed { reason, session, .. } => {
                    if reason == "VISITOR_INACTIVE" && (session.is_empty() || *session != in_charge) {
                        let what = format!("{}: {session:?} timed out, {in_charge:?} was in charge", conversation.id);
                        verdict.violated("I6", what);
                    }
                    in_charge.clear();
                }
                _ => {}
            }
        }
        if in_charge != conversation.session_in_charge {
            let what = format!("{}: the row has {:?}", conversation.id, conversation.session_in_charge);
            verdict.violated("I5", format!("{what} in charge, the events {in_charge:?}"));
        }
    }
    let mut open: HashMap<&str, usize> = HashMap::new();
    for session in &index.state().sessions {
        if !started.contains(session.id.as_str()) {
            verdict.violated("I5", format!("{}: session {} has no start event", session.conversation, session.id));
        }
        if session.status == "OPEN" {
            *open.entry(&session.conversation).or_default() += 1;
        }
    }
    for (conversation, count) in open.into_iter().filter(|(_, count)| *count > 1) {
        verdict.violated("I5", format!("{conversation}: {count} open sessions"));
    }
}
