//! I17: per aggregate the events are 1..n, exactly those of the committed changes, and every consumer comes to the end.
//! I18: what each service believes is what the events say.

use std::collections::{HashMap, HashSet};

use super::{Read, Verdict};
use crate::state::{Event, Fact};

/// Consumers that mark what they handled, with the types that they mark.
const MARKS: &[(&str, &[&str])] = &[
    ("notification.decide", &["ConversationClosed"]),
    ("conversation.sent_transcripts", &["DeliverySent"]),
    (
        "assignment.history",
        &["ConversationStarted", "AssigneeChanged", "ConversationHandedOff", "ConversationReopened"],
    ),
];

pub(super) fn check(read: &Read<'_>, verdict: &mut Verdict) {
    verdict.evaluates(&["I17", "I18"]);
    dense(read, verdict);
    as_committed(read, verdict);
    streamed(read, verdict);
    consumed(read, verdict);
    noted_once(read, verdict);
    sessions(read, verdict);
    assignments(read, verdict);
    rows(read, verdict);
}

fn dense(read: &Read<'_>, verdict: &mut Verdict) {
    for (aggregate, events) in &read.aggregates {
        if !events.iter().map(|event| event.version).eq(1..=events.len() as i64) {
            let versions: Vec<i64> = events.iter().map(|event| event.version).collect();
            verdict.violated("I17", format!("{aggregate}: versions {versions:?}"));
        }
        if let Some(event) = events.iter().find(|event| !event.published) {
            verdict.violated("I17", format!("{aggregate}: version {} was never published", event.version));
        }
    }
}

/// Messages, comments and closes of the threads are those of the events.
fn as_committed(read: &Read<'_>, verdict: &mut Verdict) {
    for conversation in &read.state().conversations {
        let mut told: Vec<(&str, i64)> = Vec::new();
        for event in read.events(&conversation.id) {
            match &event.fact {
                Fact::Message { sequence } => told.push(("message", *sequence)),
                Fact::Comment { sequence } => told.push(("comment", *sequence)),
                Fact::Closed { sequence, .. } => told.push(("closed", *sequence)),
                _ => {}
            }
        }
        let entries = read.thread(&conversation.id).iter();
        let mut written: Vec<(&str, i64)> = entries
            .map(|entry| (entry.kind.as_str(), entry.sequence))
            .filter(|(kind, _)| matches!(*kind, "message" | "comment" | "closed"))
            .collect();
        told.sort_unstable();
        written.sort_unstable();
        if told != written {
            let what = format!("{}: {} entries, {} events", conversation.id, written.len(), told.len());
            verdict.violated("I17", format!("{what} of messages, comments and closes"));
        }
    }
}

/// The broker holds every event; of an aggregate in their order, repeats aside.
fn streamed(read: &Read<'_>, verdict: &mut Verdict) {
    if read.state().stream.is_empty() {
        return;
    }
    let events: HashMap<&str, &Event> = read.state().events.iter().map(|event| (event.id.as_str(), event)).collect();
    let mut seen: HashSet<&str> = HashSet::new();
    let mut newest: HashMap<&str, i64> = HashMap::new();
    for message in &read.state().stream {
        let Some(event) = events.get(message.event.as_str()) else { continue };
        if seen.insert(&message.event) {
            let newest = newest.entry(&event.aggregate).or_default();
            if event.version < *newest {
                let what = format!("version {} is first in the stream after {newest}", event.version);
                verdict.violated("I17", format!("{}: {what}", event.aggregate));
            }
            *newest = event.version.max(*newest);
        }
    }
    for event in read.state().events.iter().filter(|event| !seen.contains(event.id.as_str())) {
        verdict.violated("I17", format!("{}: version {} is in no stream", event.aggregate, event.version));
    }
}

fn consumed(read: &Read<'_>, verdict: &mut Verdict) {
    for consumer in &read.state().consumers {
        if consumer.pending + consumer.unacknowledged > 0 {
            let what = format!("{} pending, {} unacknowledged", consumer.pending, consumer.unacknowledged);
            verdict.violated("I17", format!("{} did not come to the end: {what}", consumer.name));
        }
    }
    for letter in &read.state().dead_letters {
        verdict.violated("I17", format!("{} gave up {}", letter.consumer, letter.event));
    }
    let marked = read.state().handled.iter().map(|mark| (mark.consumer.as_str(), mark.event.as_str()));
    let marked: HashSet<(&str, &str)> = marked.collect();
    for (consumer, kinds) in MARKS.iter().filter(|(name, _)| marked.iter().any(|mark| mark.0 == *name)) {
        let theirs = read.state().events.iter().filter(|event| kinds.contains(&event.kind.as_str()));
        // Mails about sender addresses belong to no thread.
        let theirs =
            theirs.filter(|event| !matches!(&event.fact, Fact::Sent { conversation, .. } if conversation.is_empty()));
        for event in theirs.filter(|event| !marked.contains(&(consumer, event.id.as_str()))) {
            verdict.violated("I17", format!("{consumer} never handled {} of {}", event.kind, event.aggregate));
        }
    }
}

/// Every transcript that was sent is one entry of its thread: an event that came twice has one effect.
fn noted_once(read: &Read<'_>, verdict: &mut Verdict) {
    let mut sent: HashMap<&str, usize> = HashMap::new();
    for event in &read.state().events {
        if let Fact::Sent { conversation, .. } = &event.fact {
            *sent.entry(conversation).or_default() += 1;
        }
    }
    for conversation in &read.state().conversations {
        let noted = read.thread(&conversation.id).iter().filter(|entry| entry.kind == "transcript_sent").count();
        let sent = sent.get(conversation.id.as_str()).copied().unwrap_or_default();
        if noted != sent {
            let what = format!("{}: {sent} transcripts were sent, {noted} are noted", conversation.id);
            verdict.violated("I17", what);
        }
    }
}

fn sessions(read: &Read<'_>, verdict: &mut Verdict) {
    let known: HashMap<&str, &str> =
        read.state().sessions.iter().map(|session| (session.id.as_str(), session.status.as_str())).collect();
    for conversation in &read.state().conversations {
        let (mut session, mut status) = ("", "OPEN");
        for event in read.events(&conversation.id) {
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
            None => verdict.violated("I18", format!("{}: bot-session does not know {session}", conversation.id)),
            Some(is) if *is != status => {
                verdict.violated(
                    "I18",
                    format!("{}: session {session} is {is}, the events say {status}", conversation.id),
                );
            }
            Some(_) => {}
        }
    }
}

fn assignments(read: &Read<'_>, verdict: &mut Verdict) {
    let mut believed: HashMap<&str, Vec<(i64, &str)>> = HashMap::new();
    for stretch in &read.state().assignments {
        believed.entry(&stretch.conversation).or_default().push((stretch.epoch, &stretch.owner));
    }
    for conversation in &read.state().conversations {
        let changes = read.events(&conversation.id).iter().filter_map(|event| match &event.fact {
            // A conversation of nobody begins no stretch.
            Fact::Started { owner, .. } => (!owner.is_empty()).then_some((1, owner.as_str())),
            Fact::Assignee { epoch, to, .. } => Some((*epoch, to.as_str())),
            Fact::HandedOff { epoch, .. } => Some((*epoch, "")),
            Fact::Reopened { epoch, by } => Some((*epoch, by.as_str())),
            _ => None,
        });
        let expected: Vec<(i64, &str)> = changes.collect();
        let mut is = believed.remove(conversation.id.as_str()).unwrap_or_default();
        is.sort_unstable();
        is.retain(|stretch| *stretch != (1, ""));
        if is != expected {
            verdict.violated(
                "I18",
                format!("{}: assignment believes {is:?}, the events say {expected:?}", conversation.id),
            );
        }
    }
}

/// The rows are the sum of their events.
fn rows(read: &Read<'_>, verdict: &mut Verdict) {
    for conversation in &read.state().conversations {
        let (mut status, mut closes) = ("OPEN", 0);
        for event in read.events(&conversation.id) {
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
