//! I17: the events of an aggregate have the versions 1..n and match the committed changes, and every consumer processes all of
//! them. I18: the data of each service matches the events.

use std::collections::{HashMap, HashSet};

use super::{Index, Verdict};
use crate::{
    final_state::{Event, Fact},
    history::RESTORE_OLDER_STORE,
};

/// Consumers that write handled marks, with the types of the events that they mark.
const MARKS: &[(&str, &[&str])] = &[
    ("notification.decide", &["ConversationClosed"]),
    ("conversation.sent_transcripts", &["DeliverySent"]),
    (
        "assignment.history",
        &["ConversationStarted", "AssigneeChanged", "ConversationHandedOff", "ConversationReopened"],
    ),
];

pub(super) fn check(index: &Index<'_>, verdict: &mut Verdict) {
    verdict.evaluates(&["I17", "I18"]);
    versions(index, verdict);
    entries(index, verdict);
    streams(index, verdict);
    consumers(index, verdict);
    sent_transcripts(index, verdict);
    sessions(index, verdict);
    assignments(index, verdict);
    rows(index, verdict);
}

fn versions(index: &Index<'_>, verdict: &mut Verdict) {
    for (aggregate, events) in &index.aggregates {
        if !events.iter().map(|event| event.version).eq(1..=events.len() as i64) {
            let versions: Vec<i64> = events.iter().map(|event| event.version).collect();
            verdict.violated("I17", format!("{aggregate}: versions {versions:?}"));
        }
        if let Some(event) = events.iter().find(|event| !event.published) {
            verdict.violated("I17", format!("{aggregate}: version {} was never published", event.version));
        }
    }
}

/// The messages, comments and closes in the threads are those in the events.
fn entries(index: &Index<'_>, verdict: &mut Verdict) {
    for conversation in &index.state().conversations {
        let mut in_events: Vec<(&str, i64)> = Vec::new();
        for event in index.events(&conversation.id) {
            match &event.fact {
                Fact::Message { sequence } => in_events.push(("message", *sequence)),
                Fact::Comment { sequence } => in_events.push(("comment", *sequence)),
                Fact::Closed { sequence, .. } => in_events.push(("closed", *sequence)),
                _ => {}
            }
        }
        let entries = index.thread(&conversation.id).iter();
        let mut in_thread: Vec<(&str, i64)> = entries
            .map(|entry| (entry.kind.as_str(), entry.sequence))
            .filter(|(kind, _)| matches!(*kind, "message" | "comment" | "closed"))
            .collect();
        in_events.sort_unstable();
        in_thread.sort_unstable();
        if in_events != in_thread {
            let what = format!("{}: {} entries, {} events", conversation.id, in_thread.len(), in_events.len());
            verdict.violated("I17", format!("{what} of messages, comments and closes"));
        }
    }
}

/// The streams contain every event, and those of an aggregate in their order, apart from repeats. Of a stream that lost events
/// the order is not checked: they may be published again after later ones.
fn streams(index: &Index<'_>, verdict: &mut Verdict) {
    if index.state().stream.is_empty() {
        return;
    }
    let events: HashMap<&str, &Event> = index.state().events.iter().map(|event| (event.id.as_str(), event)).collect();
    let lost_events = index.evidence.faults.iter().any(|fault| fault.fault == RESTORE_OLDER_STORE);
    let mut seen: HashSet<&str> = HashSet::new();
    let mut newest: HashMap<&str, i64> = HashMap::new();
    for message in &index.state().stream {
        let Some(event) = events.get(message.event.as_str()) else { continue };
        if seen.insert(&message.event) {
            let newest = newest.entry(&event.aggregate).or_default();
            if event.version < *newest && !lost_events {
                let what = format!("version {} is first in the stream after {newest}", event.version);
                verdict.violated("I17", format!("{}: {what}", event.aggregate));
            }
            *newest = event.version.max(*newest);
        }
    }
    for event in index.state().events.iter().filter(|event| !seen.contains(event.id.as_str())) {
        verdict.violated("I17", format!("{}: version {} is in no stream", event.aggregate, event.version));
    }
}

fn consumers(index: &Index<'_>, verdict: &mut Verdict) {
    for consumer in &index.state().consumers {
        if consumer.pending + consumer.unacknowledged > 0 {
            let what = format!("{} pending, {} unacknowledged", consumer.pending, consumer.unacknowledged);
            verdict.violated("I17", format!("{} did not process all messages: {what}", consumer.name));
        }
    }
    for letter in &index.state().dead_letters {
        verdict.violated("I17", format!("{} has a dead letter: {}", letter.consumer, letter.event));
    }
    let marked = index.state().handled.iter().map(|mark| (mark.consumer.as_str(), mark.event.as_str()));
    let marked: HashSet<(&str, &str)> = marked.collect();
    for (consumer, kinds) in MARKS.iter().filter(|(name, _)| marked.iter().any(|mark| mark.0 == *name)) {
        let expected = index.state().events.iter().filter(|event| kinds.contains(&event.kind.as_str()));
        // The verification mails of sender addresses belong to no thread.
        let expected =
            expected.filter(|event| !matches!(&event.fact, Fact::Sent { conversation, .. } if conversation.is_empty()));
        for event in expected.filter(|event| !marked.contains(&(consumer, event.id.as_str()))) {
            verdict.violated("I17", format!("{consumer} never handled {} of {}", event.kind, event.aggregate));
        }
    }
}

/// Every sent transcript is recorded once in its thread, although its event may have been delivered twice.
fn sent_transcripts(index: &Index<'_>, verdict: &mut Verdict) {
    let mut sent: HashMap<&str, usize> = HashMap::new();
    for event in &index.state().events {
        if let Fact::Sent { conversation, .. } = &event.fact {
            *sent.entry(conversation).or_default() += 1;
        }
    }
    for conversation in &index.state().conversations {
        let recorded = index.thread(&conversation.id).iter().filter(|entry| entry.kind == "transcript_sent").count();
        let sent = sent.get(conversation.id.as_str()).copied().unwrap_or_default();
        if recorded != sent {
            let what = format!("{}: {sent} transcripts were sent, {recorded} are in the thread", conversation.id);
            verdict.violated("I17", what);
        }
    }
}

/// Each session ended as the events of its conversation say, and one that its flow ended is at no step: its last turn is recorded.
fn sessions(index: &Index<'_>, verdict: &mut Verdict) {
    for session in index.state().sessions.iter().filter(|session| session.status == "COMPLETED") {
        if !session.step.is_empty() {
            let what = format!("{}: session {} closed the chat", session.conversation, session.id);
            verdict.violated("I18", format!("{what}, and waits at {}", session.step));
        }
    }
    let known: HashMap<&str, &str> =
        index.state().sessions.iter().map(|session| (session.id.as_str(), session.status.as_str())).collect();
    for conversation in &index.state().conversations {
        let (mut session, mut status) = ("", "OPEN");
        for event in index.events(&conversation.id) {
            match &event.fact {
                Fact::Started { session: begun, .. } => session = begun,
                Fact::Assignee { ended, .. } if !ended.is_empty() => status = "TAKEN_OVER",
                Fact::HandedOff { .. } => status = "HANDED_OFF",
                Fact::Closed { session: ended, reason, .. } if !ended.is_empty() => {
                    status = match reason.as_str() {
                        "VISITOR_INACTIVE" => "TIMED_OUT",
                        "BOT_COMPLETED" => "COMPLETED",
                        _ => "CLOSED",
                    }
                }
                _ => {}
            }
        }
        if session.is_empty() {
            continue;
        }
        match known.get(session) {
            None => verdict.violated("I18", format!("{}: bot-session has no session {session}", conversation.id)),
            Some(is) if *is != status => {
                verdict
                    .violated("I18", format!("{}: session {session} is {is}, by the events {status}", conversation.id));
            }
            Some(_) => {}
        }
    }
}

fn assignments(index: &Index<'_>, verdict: &mut Verdict) {
    let mut assignments: HashMap<&str, Vec<(i64, &str)>> = HashMap::new();
    for assignment in &index.state().assignments {
        assignments.entry(&assignment.conversation).or_default().push((assignment.epoch, &assignment.owner));
    }
    for conversation in &index.state().conversations {
        let changes = index.events(&conversation.id).iter().filter_map(|event| match &event.fact {
            // An unassigned conversation starts without an assignment.
            Fact::Started { owner, .. } => (!owner.is_empty()).then_some((1, owner.as_str())),
            Fact::Assignee { epoch, to, .. } => Some((*epoch, to.as_str())),
            Fact::HandedOff { epoch, .. } => Some((*epoch, "")),
            Fact::Reopened { epoch, by, .. } => Some((*epoch, by.as_str())),
            _ => None,
        });
        let expected: Vec<(i64, &str)> = changes.collect();
        let mut is = assignments.remove(conversation.id.as_str()).unwrap_or_default();
        is.sort_unstable();
        is.retain(|assignment| *assignment != (1, ""));
        if is != expected {
            verdict.violated("I18", format!("{}: assignment has {is:?}, by the events {expected:?}", conversation.id));
        }
    }
}

/// The rows of conversations match their events.
fn rows(index: &Index<'_>, verdict: &mut Verdict) {
    for conversation in &index.state().conversations {
        let (mut status, mut closes) = ("OPEN", 0);
        for event in index.events(&conversation.id) {
            match &event.fact {
                Fact::Closed { number, .. } => (status, closes) = ("CLOSED", *number),
                Fact::Reopened { .. } => status = "OPEN",
                _ => {}
            }
        }
        if (status, closes) != (conversation.status.as_str(), conversation.close_number) {
            let row = (&conversation.status, conversation.close_number);
            verdict
                .violated("I18", format!("{}: the row is {row:?}, the events {:?}", conversation.id, (status, closes)));
        }
    }
}
