//! The checker: pure functions of a history and the final state. Each adds the violations of its rules to the verdict. A rule
//! without evidence is not evaluated, and is absent from the verdict.

mod attachments;
mod closes;
mod counters;
mod durability;
mod errors;
mod events;
mod idempotency;
mod isolation;
mod mail;
mod owners;
mod readers;
mod routing;
mod sessions;
mod timers;
mod watches;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

pub use timers::lateness;

pub(crate) use mail::COMMENT_CANARY;
pub(crate) use watches::digest;

use crate::{
    final_state::{Entry, Event, FinalState},
    history::{FaultRecord, Kind, Record},
};

/// The input of the checker.
#[derive(Clone, Copy)]
pub struct Evidence<'a> {
    /// The history of the run.
    pub history: &'a [Record],
    /// The faults that were injected.
    pub faults: &'a [FaultRecord],
    /// The final state.
    pub state: &'a FinalState,
    /// Maximum lateness of a timeout in microseconds (I8). `None` if the run advances the clock past deadlines.
    pub max_lateness: Option<i64>,
}

/// Violations by rule. A rule with an empty list was evaluated and holds.
#[derive(Clone, Debug, Default)]
pub struct Verdict(pub BTreeMap<&'static str, Vec<String>>);

impl Verdict {
    /// Adds rules that are evaluated.
    fn evaluates(&mut self, rules: &[&'static str]) {
        for rule in rules {
            self.0.entry(rule).or_default();
        }
    }

    /// Adds a violation of a rule.
    fn violated(&mut self, rule: &'static str, about: impl Into<String>) {
        self.0.entry(rule).or_default().push(about.into());
    }

    /// Number of violations of all rules.
    pub fn total(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// Number of violations of these rules.
    pub fn of(&self, rules: &[&str]) -> usize {
        rules.iter().filter_map(|rule| self.0.get(rule)).map(Vec::len).sum()
    }

    /// Adds that the installation did not become quiescent, so that its consumers did not process all messages.
    pub fn add_not_quiescent(&mut self, about: &str) {
        self.violated("I17", about);
    }
}

/// Evaluates every rule.
pub fn check(evidence: Evidence<'_>) -> Verdict {
    let index = Index::new(evidence);
    let mut verdict = Verdict::default();
    durability::check(&index, &mut verdict);
    watches::check(&index, &mut verdict);
    idempotency::check(&index, &mut verdict);
    sessions::check(&index, &mut verdict);
    timers::check(&index, &mut verdict);
    mail::check(&index, &mut verdict);
    owners::check(&index, &mut verdict);
    routing::check(&index, &mut verdict);
    events::check(&index, &mut verdict);
    readers::check(&index, &mut verdict);
    closes::check(&index, &mut verdict);
    counters::check(&index, &mut verdict);
    isolation::check(&index, &mut verdict);
    errors::check(&index, &mut verdict);
    attachments::check(&index, &mut verdict);
    verdict
}

/// Outcome of an operation over all its attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Acknowledged,
    Refused,
    Unknown,
}

/// One operation with its attempts.
struct Op<'a> {
    first: &'a Record,
    /// When it was first acknowledged.
    acknowledged_at: u64,
    /// The response of each acknowledged attempt.
    responses: Vec<&'a Value>,
    outcome: Outcome,
}

/// The evidence, indexed by operation, conversation and aggregate.
struct Index<'a> {
    evidence: Evidence<'a>,
    ops: Vec<Op<'a>>,
    /// Entries by conversation, ordered by sequence.
    threads: HashMap<&'a str, Vec<&'a Entry>>,
    /// Events by aggregate, ordered by version.
    aggregates: HashMap<&'a str, Vec<&'a Event>>,
}

impl<'a> Index<'a> {
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

    fn state(&self) -> &'a FinalState {
        self.evidence.state
    }

    /// The events of a conversation.
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
            responses: Vec::new(),
            outcome: Outcome::Refused,
        });
        match record.kind {
            Kind::Invoke => *open.entry(record.op).or_default() += 1,
            Kind::Ok => {
                *open.entry(record.op).or_default() -= 1;
                if op.responses.is_empty() {
                    op.acknowledged_at = record.at;
                }
                op.responses.push(&record.response);
                op.outcome = Outcome::Acknowledged;
            }
            Kind::Fail => *open.entry(record.op).or_default() -= 1,
            Kind::Unknown => {
                *open.entry(record.op).or_default() -= 1;
                if op.outcome == Outcome::Refused {
                    op.outcome = Outcome::Unknown;
                }
            }
            Kind::Received => {}
        }
    }
    for (op, attempts) in open {
        // The driver stopped before this attempt had ended.
        if attempts > 0
            && let Some(op) = ops.get_mut(&op)
            && op.outcome == Outcome::Refused
        {
            op.outcome = Outcome::Unknown;
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
