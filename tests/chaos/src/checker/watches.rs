//! I3: inside one watch everything comes once, in order, without a gap; all watchers agree with the thread.

use std::collections::HashMap;

use super::{Read, Verdict, is_watch, number, text};
use crate::{history::Kind, state::Entry};

struct Watch<'a> {
    conversation: &'a str,
    of_visitor: bool,
    last: i64,
}

pub(super) fn check(read: &Read<'_>, verdict: &mut Verdict) {
    if !read.evidence.history.iter().any(|record| record.kind == Kind::Seen) {
        return;
    }
    verdict.evaluates(&["I3"]);
    let visible: HashMap<(&str, i64), &Entry> = read
        .state()
        .entries
        .iter()
        .filter(|entry| entry.visitor_sequence > 0)
        .map(|entry| ((entry.conversation.as_str(), entry.visitor_sequence), entry))
        .collect();
    let last: HashMap<&str, (i64, i64)> = read
        .state()
        .conversations
        .iter()
        .map(|one| (one.id.as_str(), (one.last_sequence, one.last_visitor_sequence)))
        .collect();
    let mut watches: HashMap<(u64, u32), Watch<'_>> = HashMap::new();
    for record in read.evidence.history.iter().filter(|record| is_watch(&record.call)) {
        let watch = watches.entry((record.op, record.attempt)).or_insert_with(|| Watch {
            conversation: &record.key,
            of_visitor: record.call == "WatchChat",
            last: number(&record.given, "after"),
        });
        let tell = |what: &str| format!("{} of {} in {}: {what}", record.call, record.actor, record.key);
        match record.kind {
            Kind::Seen => {
                let sequence = number(&record.answer, "s");
                if sequence != watch.last + 1 {
                    verdict.violated("I3", tell(&format!("{sequence} came after {}", watch.last)));
                }
                watch.last = watch.last.max(sequence);
                let entry = match watch.of_visitor {
                    true => visible.get(&(watch.conversation, sequence)).copied(),
                    false => usize::try_from(sequence - 1)
                        .ok()
                        .and_then(|index| read.thread(watch.conversation).get(index).copied())
                        .filter(|entry| entry.sequence == sequence),
                };
                match entry {
                    Some(entry) if digest(&entry.kind, &entry.text) == text(&record.answer, "d") => {}
                    Some(_) => verdict.violated("I3", tell(&format!("{sequence} is not what the thread holds"))),
                    None => verdict.violated("I3", tell(&format!("{sequence} is not in the thread"))),
                }
            }
            // The driver ended it after the queues were empty.
            Kind::Ok => {
                let (all, seen) = last.get(watch.conversation).copied().unwrap_or_default();
                let end = if watch.of_visitor { seen } else { all };
                if watch.last != end {
                    verdict.violated("I3", tell(&format!("ended at {} of {end}", watch.last)));
                }
            }
            Kind::Invoke | Kind::Fail | Kind::Unknown => {}
        }
    }
}

/// What a watcher writes down of an entry.
pub(crate) fn digest(kind: &str, text: &str) -> String {
    match kind {
        "message" | "comment" => format!("{kind}:{text}"),
        _ => kind.to_owned(),
    }
}
