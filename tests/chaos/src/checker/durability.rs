//! I1: what was acknowledged is there, nothing is there that nobody sent. I2: dense numbers, in the order of real time.

use std::collections::{HashMap, HashSet};

use super::{Ended, Op, Read, Verdict, number, text};
use crate::state::Entry;

pub(super) fn check(read: &Read<'_>, verdict: &mut Verdict) {
    verdict.evaluates(&["I1", "I2"]);
    let mut by_text: HashMap<&str, Vec<&Entry>> = HashMap::new();
    for entry in &read.state().entries {
        if matches!(entry.kind.as_str(), "message" | "comment")
            && matches!(entry.author_kind.as_str(), "VISITOR" | "AGENT")
        {
            by_text.entry(&entry.text).or_default().push(entry);
        }
    }
    let mut sent: HashMap<&str, usize> = HashMap::new();
    let mut placed: HashMap<&str, Vec<(&Op<'_>, i64)>> = HashMap::new();
    let mut asked: HashSet<(&str, &str)> = HashSet::new();
    for op in &read.ops {
        let wrote = text(&op.first.given, "text");
        if wrote.is_empty() {
            continue;
        }
        *sent.entry(wrote).or_default() += 1;
        let there = by_text.get(wrote).map_or(&[][..], Vec::as_slice);
        // A button's label is said by many: those are counted below.
        if op.first.call == "ChooseButton" {
            continue;
        }
        match (op.ended, there.first()) {
            (Ended::Acknowledged, None) => verdict.violated("I1", format!("lost: {wrote}")),
            (Ended::Refused, Some(_)) => verdict.violated("I1", format!("refused but there: {wrote}")),
            (Ended::Acknowledged, Some(entry)) => {
                if !as_acknowledged(op, entry) {
                    verdict.violated("I1", format!("not as acknowledged: {wrote}"));
                }
                // A later repeat gets the first answer, and was not sent then.
                if asked.insert((&op.first.actor, &op.first.request_id)) {
                    placed.entry(&entry.conversation).or_default().push((op, entry.sequence));
                }
            }
            _ => {}
        }
    }
    for (wrote, entries) in by_text {
        match sent.get(wrote) {
            None => verdict.violated("I1", format!("nobody sent: {wrote}")),
            Some(times) if entries.len() > *times => {
                verdict.violated("I1", format!("{} times: {wrote}", entries.len()))
            }
            Some(_) => {}
        }
    }
    let by_bots = read.state().entries.iter().filter(|entry| entry.kind == "message" && entry.author_kind == "BOT");
    for entry in by_bots.filter(|entry| !read.state().bot_texts.contains(&entry.text)) {
        verdict.violated("I1", format!("no bot says: {}", entry.text));
    }
    dense(read, verdict);
    for (conversation, ops) in placed {
        in_real_time(conversation, ops, verdict);
    }
}

fn as_acknowledged(op: &Op<'_>, entry: &Entry) -> bool {
    let (kind, author) = match op.first.call.as_str() {
        "PostComment" => ("comment", "AGENT"),
        "PostMessage" => ("message", "AGENT"),
        _ => ("message", "VISITOR"),
    };
    let place = op.answers.first().is_none_or(|answer| match op.first.call.as_str() {
        "StartChat" => text(answer, "chat") == entry.conversation,
        "SendMessage" => number(answer, "visitor_sequence") == entry.visitor_sequence,
        _ => number(answer, "sequence") == entry.sequence,
    });
    let key = op.first.key.is_empty() || op.first.key == entry.conversation;
    entry.kind == kind && entry.author_kind == author && place && key
}

fn dense(read: &Read<'_>, verdict: &mut Verdict) {
    for conversation in &read.state().conversations {
        let thread = read.thread(&conversation.id);
        let sequences = thread.iter().map(|entry| entry.sequence);
        if !sequences.eq(1..=conversation.last_sequence) {
            verdict.violated("I2", format!("{}: entries are not 1..{}", conversation.id, conversation.last_sequence));
        }
        let seen = thread.iter().map(|entry| entry.visitor_sequence).filter(|number| *number > 0);
        if !seen.eq(1..=conversation.last_visitor_sequence) {
            let last = conversation.last_visitor_sequence;
            verdict.violated("I2", format!("{}: what the visitor sees is not 1..{last}", conversation.id));
        }
    }
}

/// What was acknowledged before another was sent comes first.
fn in_real_time(conversation: &str, ops: Vec<(&Op<'_>, i64)>, verdict: &mut Verdict) {
    let mut by_answer: Vec<(u64, i64)> = ops.iter().map(|(op, sequence)| (op.acknowledged_at, *sequence)).collect();
    by_answer.sort_unstable();
    let mut by_call: Vec<(u64, i64)> = ops.iter().map(|(op, sequence)| (op.first.at, *sequence)).collect();
    by_call.sort_unstable();
    let (mut answered, mut newest) = (by_answer.into_iter().peekable(), 0);
    for (called_at, sequence) in by_call {
        while let Some((_, before)) = answered.next_if(|(at, _)| *at < called_at) {
            newest = newest.max(before);
        }
        if sequence < newest {
            verdict.violated("I2", format!("{conversation}: {sequence} was sent after {newest} was acknowledged"));
        }
    }
}
