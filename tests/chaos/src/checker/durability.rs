//! I1: every acknowledged message is stored, and every stored message was sent. I2: sequences have no gap and follow real time.

use std::collections::{HashMap, HashSet};

use super::{Index, Op, Outcome, Verdict, number, text};
use crate::final_state::Entry;

pub(super) fn check(index: &Index<'_>, verdict: &mut Verdict) {
    verdict.evaluates(&["I1", "I2"]);
    let mut by_text: HashMap<&str, Vec<&Entry>> = HashMap::new();
    for entry in &index.state().entries {
        if matches!(entry.kind.as_str(), "message" | "comment")
            && matches!(entry.author_kind.as_str(), "VISITOR" | "AGENT")
        {
            by_text.entry(&entry.text).or_default().push(entry);
        }
    }
    let mut sent: HashMap<&str, usize> = HashMap::new();
    let mut placed: HashMap<&str, Vec<(&Op<'_>, i64)>> = HashMap::new();
    let mut ordered: HashSet<(&str, &str)> = HashSet::new();
    for op in &index.ops {
        let sent_text = text(&op.first.arguments, "text");
        if sent_text.is_empty() {
            continue;
        }
        *sent.entry(sent_text).or_default() += 1;
        let stored = by_text.get(sent_text).map_or(&[][..], Vec::as_slice);
        // Many visitors choose a button with the same label; they are counted below.
        if op.first.call == "ChooseButton" {
            continue;
        }
        match (op.outcome, stored.first()) {
            (Outcome::Acknowledged, None) => verdict.violated("I1", format!("lost: {sent_text}")),
            (Outcome::Refused, Some(_)) => verdict.violated("I1", format!("refused but stored: {sent_text}")),
            (Outcome::Acknowledged, Some(entry)) => {
                if !as_acknowledged(op, entry) {
                    verdict.violated("I1", format!("stored otherwise than acknowledged: {sent_text}"));
                }
                // A later repeat is answered with the first response, and has no place of its own in the order.
                if ordered.insert((&op.first.actor, &op.first.request_id)) {
                    placed.entry(&entry.conversation).or_default().push((op, entry.sequence));
                }
            }
            _ => {}
        }
    }
    for (sent_text, entries) in by_text {
        match sent.get(sent_text) {
            None => verdict.violated("I1", format!("stored but never sent: {sent_text}")),
            Some(times) if entries.len() > *times => {
                verdict.violated("I1", format!("{} times: {sent_text}", entries.len()))
            }
            Some(_) => {}
        }
    }
    let by_bots = index.state().entries.iter().filter(|entry| entry.kind == "message" && entry.author_kind == "BOT");
    for entry in by_bots.filter(|entry| !index.state().bot_texts.contains(&entry.text)) {
        verdict.violated("I1", format!("not a text of a bot: {}", entry.text));
    }
    dense(index, verdict);
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
    let place = op.responses.first().is_none_or(|response| match op.first.call.as_str() {
        "StartChat" => text(response, "chat") == entry.conversation,
        "SendMessage" => number(response, "visitor_sequence") == entry.visitor_sequence,
        _ => number(response, "sequence") == entry.sequence,
    });
    let key = op.first.key.is_empty() || op.first.key == entry.conversation;
    entry.kind == kind && entry.author_kind == author && place && key
}

fn dense(index: &Index<'_>, verdict: &mut Verdict) {
    for conversation in &index.state().conversations {
        let thread = index.thread(&conversation.id);
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

/// A message that was acknowledged before another was sent has the lower sequence.
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
