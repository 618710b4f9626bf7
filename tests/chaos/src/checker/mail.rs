//! I10: one automatic mail per eligible close. I11: one manual mail per accepted request. I12: every mail has its decision,
//! every decision its reason. I13: a transcript holds exactly what the visitor saw.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Ended, Read, Verdict, text};
use crate::state::{Decision, Delivery, Event, Fact, Mail};

/// Whose death or silence leaves the outcome of an attempt unknown.
const MAKES_UNKNOWN: &[&str] = &["notification", "postgres", "smtp"];

pub(super) fn check(read: &Read<'_>, verdict: &mut Verdict) {
    let state = read.state();
    let is = |kind: &str| state.deliveries.iter().any(|delivery| delivery.kind == kind);
    if state.events.iter().any(|event| matches!(event.fact, Fact::Closed { .. })) {
        verdict.evaluates(&["I12"]);
    }
    if is("TRANSCRIPT") {
        verdict.evaluates(&["I10"]);
    }
    if is("MANUAL_TRANSCRIPT") {
        verdict.evaluates(&["I11"]);
    }
    if is("TRANSCRIPT") || is("MANUAL_TRANSCRIPT") {
        verdict.evaluates(&["I13"]);
    }
    let mut accepted: BTreeMap<&str, Vec<&Mail>> = BTreeMap::new();
    for mail in &state.mails {
        accepted.entry(&mail.message_id).or_default().push(mail);
    }
    let deliveries: HashMap<&str, &Delivery> = state.deliveries.iter().map(|one| (one.id.as_str(), one)).collect();
    decided(read, &deliveries, verdict);
    for delivery in state.deliveries.iter().filter(|delivery| delivery.kind != "SENDER_VERIFICATION") {
        let rule = if delivery.kind == "MANUAL_TRANSCRIPT" { "I11" } else { "I10" };
        let mails = match delivery.message_id.as_str() {
            "" => &[][..],
            id => accepted.get(id).map_or(&[][..], Vec::as_slice),
        };
        count(read, rule, delivery, mails, verdict);
        if let Some(mail) = mails.first() {
            content(read, delivery, mail, verdict);
        }
    }
    let known: HashSet<&str> = state.deliveries.iter().map(|delivery| delivery.message_id.as_str()).collect();
    for mail in state.mails.iter().filter(|mail| !known.contains(mail.message_id.as_str())) {
        verdict.violated("I12", format!("no delivery has the mail {} to {}", mail.message_id, mail.recipient));
    }
    manual(read, &deliveries, verdict);
    for mail in state.mails.iter().filter(|mail| mail.whole.contains(COMMENT_CANARY)) {
        verdict.violated("I13", format!("a comment is in the mail {}", mail.message_id));
    }
}

/// In every comment of the workload, and in nothing else.
pub(crate) const COMMENT_CANARY: &str = "zq-internal-zq";

/// One decision per close, as the facts that the close froze say.
fn decided(read: &Read<'_>, deliveries: &HashMap<&str, &Delivery>, verdict: &mut Verdict) {
    let mut decisions: HashMap<(&str, i64), Vec<&Decision>> = HashMap::new();
    for decision in &read.state().decisions {
        decisions.entry((&decision.conversation, decision.number)).or_default().push(decision);
    }
    let mut closes: HashSet<(&str, i64)> = HashSet::new();
    for event in &read.state().events {
        let Event { aggregate, fact: Fact::Closed { number, eligible, unverified, .. }, .. } = event else { continue };
        closes.insert((aggregate, *number));
        let made = decisions.get(&(aggregate.as_str(), *number)).map_or(&[][..], Vec::as_slice);
        let [decision] = made else {
            verdict.violated("I12", format!("{aggregate}: {} decisions for close {number}", made.len()));
            continue;
        };
        let sends = !decision.delivery.is_empty();
        let over_limit = *unverified && decision.skip == "UNVERIFIED_LIMIT";
        if sends != (*eligible && !over_limit) {
            let what = format!("{aggregate}: close {number} was decided as {:?}", decision.skip);
            verdict.violated("I12", format!("{what}, its facts say eligible: {eligible}"));
        }
        if sends != decision.skip.is_empty() {
            verdict.violated(
                "I12",
                format!("{aggregate}: close {number} has {:?} and a delivery: {sends}", decision.skip),
            );
        }
        if sends && !deliveries.contains_key(decision.delivery.as_str()) {
            verdict.violated("I12", format!("{aggregate}: the delivery of close {number} is not there"));
        }
    }
    for (close, _) in decisions.iter().filter(|(close, _)| !closes.contains(*close)) {
        verdict.violated("I12", format!("{}: decided for close {}, which never was", close.0, close.1));
    }
    let decided: HashSet<&str> = read.state().decisions.iter().map(|decision| decision.delivery.as_str()).collect();
    for delivery in deliveries.values().filter(|one| one.kind == "TRANSCRIPT" && !decided.contains(one.id.as_str())) {
        verdict.violated("I12", format!("the delivery {} has no decision", delivery.id));
    }
}

fn count(read: &Read<'_>, rule: &'static str, delivery: &Delivery, mails: &[&Mail], verdict: &mut Verdict) {
    let tell = |what: String| format!("delivery {} ({}): {what}", delivery.id, delivery.state);
    match (delivery.state.as_str(), mails.len()) {
        ("SENT", 1) | ("CANCELLED", 0) => {}
        ("SENT", 2) if delivery.unknown > 0 && was_unknown(read, mails[0], mails[1]) => {}
        // Twice nobody could know: a person decides, and it is counted apart.
        ("PARKED", 0..=2) if delivery.unknown > 1 => {}
        // Refused for good by the server: visible, and never accepted.
        ("FAILED", 0) if read.evidence.faults.iter().any(|fault| fault.fault == "smtp-refuses") => {}
        (_, number) => verdict.violated(rule, tell(format!("accepted {number} times, {} unknown", delivery.unknown))),
    }
    if mails.windows(2).any(|pair| pair[0].hash != pair[1].hash) {
        verdict.violated(rule, tell("sent again with other bytes".into()));
    }
}

/// The first 250 was not handed over, or somebody who would have noted it was struck in between.
fn was_unknown(read: &Read<'_>, first: &Mail, second: &Mail) -> bool {
    let struck = |target: &str| MAKES_UNKNOWN.iter().any(|name| target.contains(name));
    !first.answered
        || read.evidence.faults.iter().any(|fault| {
            struck(&fault.target) && fault.from <= second.at && fault.to.saturating_add(1_000_000_000) >= first.at
        })
}

/// One delivery for each accepted request of an agent.
fn manual(read: &Read<'_>, deliveries: &HashMap<&str, &Delivery>, verdict: &mut Verdict) {
    let mut asked: HashSet<&str> = HashSet::new();
    let mut perhaps = 0;
    for op in read.ops.iter().filter(|op| op.first.call == "SendTranscript") {
        match op.answers.first() {
            Some(answer) => {
                let id = text(answer, "delivery");
                asked.insert(id);
                if deliveries.get(id).is_none_or(|delivery| delivery.kind != "MANUAL_TRANSCRIPT") {
                    verdict.violated("I11", format!("{}: the delivery {id} is not there", op.first.request_id));
                }
            }
            None => perhaps += usize::from(op.ended == Ended::Unknown),
        }
    }
    let unasked = deliveries.values().filter(|one| one.kind == "MANUAL_TRANSCRIPT" && !asked.contains(one.id.as_str()));
    let unasked = unasked.count();
    if unasked > perhaps {
        verdict.violated(
            "I11",
            format!("{unasked} manual deliveries that no acknowledged request made, {perhaps} unknown"),
        );
    }
}

/// The marked words of the thread that the visitor saw, in their order.
fn content(read: &Read<'_>, delivery: &Delivery, mail: &Mail, verdict: &mut Verdict) {
    let thread = read.thread(&delivery.conversation);
    let seen = thread.iter().filter(|entry| {
        entry.sequence <= delivery.until_sequence && entry.kind == "message" && entry.visitor_sequence > 0
    });
    let expected: Vec<&str> = seen.flat_map(|entry| marks(&entry.text)).collect();
    let found: Vec<&str> = marks(&mail.text).collect();
    if expected != found {
        let what = format!("delivery {}: {} marks of {} expected", delivery.id, found.len(), expected.len());
        verdict.violated("I13", what);
    }
}

/// The words by which the workload marks each of its messages.
fn marks(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace().filter(|word| word.starts_with("m~"))
}
