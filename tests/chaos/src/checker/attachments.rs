//! I25: every attachment of a message is whole and in no other message, and what is in no message is removed.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{Index, Outcome, Verdict, text};
use crate::final_state::{Attachment, Entry};

/// How long after it is due an attachment counts as stuck, in microseconds.
const STUCK_AFTER: i64 = 60_000_000;

pub(super) fn check(index: &Index<'_>, verdict: &mut Verdict) {
    let state = index.state();
    if state.attachments.is_empty() && state.entries.iter().all(|entry| entry.attachments.is_empty()) {
        return;
    }
    verdict.evaluates(&["I25"]);
    let rows: HashMap<&str, &Attachment> = state.attachments.iter().map(|row| (row.id.as_str(), row)).collect();
    messages(index, &rows, verdict);
    acknowledged(index, verdict);
    uploads(index, &rows, verdict);
    bytes(index, verdict);
    removal(index, &rows, verdict);
}

/// The attachments of messages were sent, once, in the conversation that they are for; and no others.
fn messages(index: &Index<'_>, rows: &HashMap<&str, &Attachment>, verdict: &mut Verdict) {
    let mut in_messages: HashSet<&str> = HashSet::new();
    for entry in &index.state().entries {
        for attachment in &entry.attachments {
            let message = |what: &str| format!("{attachment} of {} {}: {what}", entry.conversation, entry.sequence);
            if !in_messages.insert(attachment) {
                verdict.violated("I25", message("is in two messages"));
            }
            match rows.get(attachment.as_str()) {
                None => verdict.violated("I25", message("has no row")),
                Some(row) if row.status != "READY" => verdict.violated("I25", message(&format!("is {}", row.status))),
                Some(row) if !row.sent || row.collect_at > 0 => verdict.violated("I25", message("will be removed")),
                Some(row) if row.conversation != entry.conversation => {
                    verdict.violated("I25", message("is of another conversation"));
                }
                Some(_) => {}
            }
        }
    }
    for row in rows.values().filter(|row| row.sent && !in_messages.contains(row.id.as_str())) {
        verdict.violated("I25", format!("{} was sent and is in no message", row.id));
    }
}

/// A message that was acknowledged with attachments has these.
fn acknowledged(index: &Index<'_>, verdict: &mut Verdict) {
    let by_text: HashMap<&str, &Entry> =
        index.state().entries.iter().map(|entry| (entry.text.as_str(), entry)).collect();
    for op in index.ops.iter().filter(|op| op.outcome == Outcome::Acknowledged) {
        let Some(sent) = op.first.arguments.get("attachments").and_then(Value::as_array) else { continue };
        let sent_text = text(&op.first.arguments, "text");
        // One that is lost is a violation of I1.
        if let Some(entry) = by_text.get(sent_text)
            && !sent.iter().map(Value::as_str).eq(entry.attachments.iter().map(|id| Some(id.as_str())))
        {
            verdict.violated("I25", format!("acknowledged with other attachments than it has: {sent_text}"));
        }
    }
}

/// An acknowledged upload is stored as acknowledged, and what is stored was uploaded.
fn uploads(index: &Index<'_>, rows: &HashMap<&str, &Attachment>, verdict: &mut Verdict) {
    let mut uploaded: HashMap<&str, &str> = HashMap::new();
    for op in index.ops.iter().filter(|op| op.first.call == "PutAttachment") {
        let id = text(&op.first.arguments, "attachment");
        uploaded.insert(id, text(&op.first.arguments, "sha256"));
        // What is in no message may be removed by now.
        let Some(row) = rows.get(id).filter(|row| row.status != "REMOVING") else { continue };
        for response in &op.responses {
            let status = text(response, "status");
            if row.status != status {
                verdict.violated("I25", format!("{id} was acknowledged as {status} and is {}", row.status));
            }
        }
    }
    for row in rows.values().filter(|row| row.status == "READY") {
        if uploaded.get(row.id.as_str()) != Some(&row.sha256.as_str()) {
            verdict.violated("I25", format!("{} has bytes that were not uploaded for it", row.id));
        }
    }
}

/// Attachments that are READY have their object, and a download gives its bytes. One that is due may be removed while the state is read.
fn bytes(index: &Index<'_>, verdict: &mut Verdict) {
    let state = index.state();
    let stays = |row: &&Attachment| row.status == "READY" && (row.sent || row.collect_at > state.now);
    let objects = state.objects.iter().map(|one| ((one.attachment.as_str(), one.id.as_str()), one.size));
    let objects: HashMap<(&str, &str), i64> = objects.collect();
    for row in state.attachments.iter().filter(stays) {
        match objects.get(&(row.id.as_str(), row.object.as_str())) {
            None => verdict.violated("I25", format!("{} has no object", row.id)),
            Some(size) if *size != row.size => {
                verdict.violated("I25", format!("{} has {size} bytes of {}", row.id, row.size));
            }
            Some(_) => {}
        }
        if row.sent && state.downloads.get(&row.id) != Some(&row.sha256) {
            verdict.violated("I25", format!("a download of {} did not give its bytes", row.id));
        }
    }
}

/// What is in no message is removed when it is due, and every object has a row that leads to its removal. Other objects of an attachment
/// that has a row are removed an hour after they were written.
fn removal(index: &Index<'_>, rows: &HashMap<&str, &Attachment>, verdict: &mut Verdict) {
    let now = index.state().now;
    for row in rows.values().filter(|row| !row.sent) {
        match row.collect_at {
            0 => verdict.violated("I25", format!("{} is {} and never removed", row.id, row.status)),
            due if due < now - STUCK_AFTER => {
                verdict.violated("I25", format!("{} is {} and was due {} µs ago", row.id, row.status, now - due));
            }
            _ => {}
        }
    }
    for object in index.state().objects.iter().filter(|object| !rows.contains_key(object.attachment.as_str())) {
        verdict.violated("I25", format!("the object {} of {} has no row", object.id, object.attachment));
    }
}
