//! The checker: pure functions over a history and the state at its end. Each gives the violations of the rules that it
//! evaluates; a rule that is not evaluated is not in the verdict.

mod accounts;
mod closed;
mod durability;
mod events;
mod hygiene;
mod mail;
mod owners;
mod requests;
mod sessions;
mod timers;
mod watches;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

pub use timers::lateness;

pub(crate) use mail::COMMENT_CANARY;
pub(crate) use watches::digest;

use crate::{
    history::{FaultRecord, Kind, Record},
    state::{Entry, Event, Final},
};

/// Everything that is checked.
#[derive(Clone, Copy)]
pub struct Evidence<'a> {
    /// What the driver saw.
    pub history: &'a [Record],
    /// The faults that were made.
    pub faults: &'a [FaultRecord],
    /// What is true at the end.
    pub state: &'a Final,
    /// No timeout may be later than this, in microseconds (I8). None: the run moves clocks past deadlines.
    pub latest: Option<i64>,
}

/// The violations by rule. A rule with none was evaluated and holds.
#[derive(Clone, Debug, Default)]
pub struct Verdict(pub BTreeMap<&'static str, Vec<String>>);

impl Verdict {
    /// The rule is evaluated.
    fn evaluates(&mut self, rules: &[&'static str]) {
        for rule in rules {
            self.0.entry(rule).or_default();
        }
    }

    /// The rule is violated.
    fn violated(&mut self, rule: &'static str, about: impl Into<String>) {
        self.0.entry(rule).or_default().push(about.into());
    }

    /// Violations of all rules.
    pub fn total(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// Violations of these rules.
    pub fn of(&self, rules: &[&str]) -> usize {
        rules.iter().filter_map(|rule| self.0.get(rule)).map(Vec::len).sum()
    }

    /// The installation never became quiet: its consumers did not come to the end.
    pub fn restless(&mut self, about: &str) {
        self.violated("I17", about);
    }

    /// Adds another verdict's.
    pub fn add(&mut self, other: Verdict) {
        for (rule, violations) in other.0 {
            self.0.entry(rule).or_default().extend(violations);
        }
    }
}

/// Evaluates every rule.
pub fn check(evidence: Evidence<'_>) -> Verdict {
    let read = Read::new(evidence);
    let mut verdict = Verdict::default();
    durability::check(&read, &mut verdict);
    watches::check(&read, &mut verdict);
    requests::check(&read, &mut verdict);
    sessions::check(&read, &mut verdict);
    timers::check(&read, &mut verdict);
    mail::check(&read, &mut verdict);
    owners::check(&read, &mut verdict);
    events::check(&read, &mut verdict);
    closed::check(&read, &mut verdict);
    accounts::check(&read, &mut verdict);
    hygiene::check(&read, &mut verdict);
    verdict
}

/// How an operation ended, over all its attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Acknowledged,
    Refused,
    Unknown,
}

/// One operation with its attempts.
struct Op<'a> {
    first: &'a Record,
    /// When it was first acknowledged, and each answer.
    acknowledged_at: u64,
    answers: Vec<&'a Value>,
    ended: Ended,
}

/// The evidence, sorted for reading.
struct Read<'a> {
    evidence: Evidence<'a>,
    ops: Vec<Op<'a>>,
    /// Entries by conversation, in their order.
    threads: HashMap<&'a str, Vec<&'a Entry>>,
    /// Events by aggregate, in their order.
    aggregates: HashMap<&'a str, Vec<&'a Event>>,
}

impl<'a> Read<'a> {
    fn new(evidence: Evidence<'a>) -> Self {
        let mut threads: HashMap<&str, Vec<&Entry>> = HashMap::new();
        for entry in &evidence.state.entries {
            threads.entry(&entry.conversation).or_default().push(entry);
        }
        threads.values_mut().for_each(|thread| thread.sort_by_key(|entry| entry.sequence));
        let mut aggregates: HashMap<&str, Vec<&Event>> = HashMap::new();
        for event in &evidence.state.events {
            aggregates.entry(&event.aggregate).or_default().push(event);
        }
        aggregates.values_mut().for_each(|events| events.sort_by_key(|event| event.version));
        Self { evidence, ops: ops(evidence.history), threads, aggregates }
    }

    fn state(&self) -> &'a Final {
        self.evidence.state
    }

    /// Events of a conversation.
    fn events(&self, conversation: &str) -> &[&'a Event] {
        self.aggregates.get(conversation).map_or(&[], Vec::as_slice)
    }

    fn thread(&self, conversation: &str) -> &[&'a Entry] {
        self.threads.get(conversation).map_or(&[], Vec::as_slice)
    }
}

fn is_watch(call: &str) -> bool {
    call.starts_with("Watch")
}

fn ops(history: &[Record]) -> Vec<Op<'_>> {
    let mut ops: BTreeMap<u64, Op<'_>> = BTreeMap::new();
    let mut open: HashMap<u64, i64> = HashMap::new();
    for record in history.iter().filter(|record| !is_watch(&record.call)) {
        let op = ops.entry(record.op).or_insert(Op {
            first: record,
            acknowledged_at: 0,
            answers: Vec::new(),
            ended: Ended::Refused,
        });
        match record.kind {
            Kind::Invoke => *open.entry(record.op).or_default() += 1,
            Kind::Ok => {
                *open.entry(record.op).or_default() -= 1;
                if op.answers.is_empty() {
                    op.acknowledged_at = record.at;
                }
                op.answers.push(&record.answer);
                op.ended = Ended::Acknowledged;
            }
            Kind::Fail => *open.entry(record.op).or_default() -= 1,
            Kind::Unknown => {
                *open.entry(record.op).or_default() -= 1;
                if op.ended == Ended::Refused {
                    op.ended = Ended::Unknown;
                }
            }
            Kind::Seen => {}
        }
    }
    for (op, attempts) in open {
        // The driver stopped before the answer.
        if attempts > 0
            && let Some(op) = ops.get_mut(&op)
            && op.ended == Ended::Refused
        {
            op.ended = Ended::Unknown;
        }
    }
    ops.into_values().collect()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, field: &str) -> i64 {
    value.get(field).and_then(Value::as_i64).unwrap_or_default()
}
