//! I3: a watch receives every entry once, in order and without a gap, and as it is in the thread.

use std::collections::HashMap;

use super::{Index, Verdict, is_watch, number, text};
use crate::{final_state::Entry, history::Kind};

struct Watch<'a> {
    conversation: &'a str,
    is_chat: bool,
    last: i64,
}

pub(super) fn check(index: &Index<'_>, verdict: &mut Verdict) {
    if !index.evidence.history.iter().any(|record| record.kind == Kind::Received) {
        return;
    }
    verdict.evaluates(&["I3"]);
    let visible: HashMap<(&str, i64), &Entry> = index
        .state()
        .entries
        .iter()
        .filter(|entry| entry.visitor_sequence > 0)
        .map(|entry| ((entry.conversation.as_str(), entry.visitor_sequence), entry))
        .collect();
    let last: HashMap<&str, (i64, i64)> = index
        .state()
        .conversations
        .iter()
        .map(|one| (one.id.as_str(), (one.last_sequence, one.last_visitor_sequence)))
        .collect();
    let mut watches: HashMap<(u64, u32), Watch<'_>> = HashMap::new();
    for record in index.evidence.history.iter().filter(|record| is_watch(&record.call)) {
        let watch = watches.entry((record.op, record.attempt)).or_insert_with(|| Watch {
            conversation: &record.key,
            is_chat: record.call == "WatchChat",
            last: number(&record.arguments, "after"),
        });
        let message = |what: &str| format!("{} of {} in {}: {what}", record.call, record.actor, record.key);
        match record.kind {
            Kind::Received => {
                let sequence = number(&record.response, "s");
                if sequence != watch.last + 1 {
                    verdict.violated("I3", message(&format!("{sequence} received after {}", watch.last)));
                }
                watch.last = watch.last.max(sequence);
                let entry = match watch.is_chat {
                    true => visible.get(&(watch.conversation, sequence)).copied(),
                    false => usize::try_from(sequence - 1)
                        .ok()
                        .and_then(|position| index.thread(watch.conversation).get(position).copied())
                        .filter(|entry| entry.sequence == sequence),
                };
                match entry {
                    Some(entry) if digest(&entry.kind, &entry.text) == text(&record.response, "d") => {}
                    Some(_) => verdict.violated("I3", message(&format!("{sequence} differs from the thread"))),
                    None => verdict.violated("I3", message(&format!("{sequence} is not in the thread"))),
                }
            }
            // The driver ended the watch when the installation was quiescent.
            Kind::Ok => {
                let (thread, chat) = last.get(watch.conversation).copied().unwrap_or_default();
                let end = if watch.is_chat { chat } else { thread };
                if watch.last != end {
                    verdict.violated("I3", message(&format!("ended at {} of {end}", watch.last)));
                }
            }
            Kind::Invoke | Kind::Fail | Kind::Unknown => {}
        }
    }
}

/// The digest of an entry that a watcher records.
pub(crate) fn digest(kind: &str, text: &str) -> String {
    match kind {
        "message" | "comment" => format!("{kind}:{text}"),
        _ => kind.to_owned(),
    }
}
