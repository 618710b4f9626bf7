//! I10: one automatic mail per eligible close. I11: one manual mail per accepted request. I12: every mail has a decision, and
//! every decision a reason. I13: a transcript contains exactly what the visitor saw.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Index, Outcome, Verdict, text};
use crate::final_state::{Decision, Delivery, Event, Fact, Mail};

/// Targets of faults that can leave the outcome of a mail attempt unknown.
const MAKES_UNKNOWN: &[&str] = &["notification", "postgres", "smtp"];

pub(super) fn check(index: &Index<'_>, verdict: &mut Verdict) {
    let state = index.state();
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
    decided(index, &deliveries, verdict);
    for delivery in state.deliveries.iter().filter(|delivery| delivery.kind != "SENDER_VERIFICATION") {
        let rule = if delivery.kind == "MANUAL_TRANSCRIPT" { "I11" } else { "I10" };
        let mails = match delivery.message_id.as_str() {
            "" => &[][..],
            id => accepted.get(id).map_or(&[][..], Vec::as_slice),
        };
        count(index, rule, delivery, mails, verdict);
        if let Some(mail) = mails.first() {
            content(index, delivery, mail, verdict);
        }
    }
    let known: HashSet<&str> = state.deliveries.iter().map(|delivery| delivery.message_id.as_str()).collect();
    for mail in state.mails.iter().filter(|mail| !known.contains(mail.message_id.as_str())) {
        verdict.violated("I12", format!("no delivery has the mail {} to {}", mail.message_id, mail.recipient));
    }
    manual(index, &deliveries, verdict);
    for mail in state.mails.iter().filter(|mail| mail.whole.contains(COMMENT_CANARY)) {
        verdict.violated("I13", format!("a comment is in the mail {}", mail.message_id));
    }
}

/// A word in every comment of the workload, and in no other text.
pub(crate) const COMMENT_CANARY: &str = "zq-internal-zq";

/// One decision per close, which follows from the facts in the event.
fn decided(index: &Index<'_>, deliveries: &HashMap<&str, &Delivery>, verdict: &mut Verdict) {
    let mut decisions: HashMap<(&str, i64), Vec<&Decision>> = HashMap::new();
    for decision in &index.state().decisions {
        decisions.entry((&decision.conversation, decision.number)).or_default().push(decision);
    }
    let mut closes: HashSet<(&str, i64)> = HashSet::new();
    for event in &index.state().events {
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
            verdict.violated("I12", format!("{what}, by its facts eligible: {eligible}"));
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
        verdict.violated("I12", format!("{}: decision for close {}, which does not exist", close.0, close.1));
    }
    let decided: HashSet<&str> = index.state().decisions.iter().map(|decision| decision.delivery.as_str()).collect();
    for delivery in deliveries.values().filter(|one| one.kind == "TRANSCRIPT" && !decided.contains(one.id.as_str())) {
        verdict.violated("I12", format!("the delivery {} has no decision", delivery.id));
    }
}

fn count(index: &Index<'_>, rule: &'static str, delivery: &Delivery, mails: &[&Mail], verdict: &mut Verdict) {
    let message = |what: String| format!("delivery {} ({}): {what}", delivery.id, delivery.state);
    match (delivery.state.as_str(), mails.len()) {
        ("SENT", 1) | ("CANCELLED", 0) => {}
        ("SENT", 2) if delivery.unknown > 0 && was_unknown(index, mails[0], mails[1]) => {}
        // Parked after two attempts with an unknown outcome: an administrator decides.
        ("PARKED", 0..=2) if delivery.unknown > 1 => {}
        (_, number) => {
            verdict.violated(rule, message(format!("accepted {number} times, {} unknown", delivery.unknown)))
        }
    }
    if mails.windows(2).any(|pair| pair[0].hash != pair[1].hash) {
        verdict.violated(rule, message("repeated with other bytes".into()));
    }
}

/// Whether the outcome of the first attempt was unknown: its reply 250 was not sent, a fault hit a process that would have recorded it
/// before the second attempt, or the clock was advanced, which ends the claims of attempts in progress.
fn was_unknown(index: &Index<'_>, first: &Mail, second: &Mail) -> bool {
    let is_between = |from: u64, to: u64| from <= second.at && to.saturating_add(1_000_000_000) >= first.at;
    let affects = |target: &str| MAKES_UNKNOWN.iter().any(|name| target.contains(name));
    let (faults, history) = (index.evidence.faults, index.evidence.history);
    !first.answered
        || faults.iter().any(|fault| affects(&fault.target) && is_between(fault.from, fault.to))
        || history.iter().any(|record| record.call == "AdvanceTime" && is_between(record.at, record.at))
}

/// One manual delivery for each acknowledged request of an agent.
fn manual(index: &Index<'_>, deliveries: &HashMap<&str, &Delivery>, verdict: &mut Verdict) {
    let mut requested: HashSet<&str> = HashSet::new();
    let mut unknown_requests = 0;
    for op in index.ops.iter().filter(|op| op.first.call == "SendTranscript") {
        match op.responses.first() {
            Some(response) => {
                let id = text(response, "delivery");
                requested.insert(id);
                if deliveries.get(id).is_none_or(|delivery| delivery.kind != "MANUAL_TRANSCRIPT") {
                    verdict.violated("I11", format!("{}: the delivery {id} is not there", op.first.request_id));
                }
            }
            None => unknown_requests += usize::from(op.outcome == Outcome::Unknown),
        }
    }
    let unrequested =
        deliveries.values().filter(|one| one.kind == "MANUAL_TRANSCRIPT" && !requested.contains(one.id.as_str()));
    let unrequested = unrequested.count();
    if unrequested > unknown_requests {
        verdict.violated(
            "I11",
            format!("{unrequested} manual deliveries that no acknowledged request made, {unknown_requests} unknown"),
        );
    }
}

/// The mail contains the marks of all messages that the visitor saw, in their order.
fn content(index: &Index<'_>, delivery: &Delivery, mail: &Mail, verdict: &mut Verdict) {
    let thread = index.thread(&delivery.conversation);
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

/// The words in a text that mark the messages of the workload.
fn marks(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace().filter(|word| word.starts_with("m~"))
}
