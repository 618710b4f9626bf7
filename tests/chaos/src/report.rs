//! The result of a run, for people and for programs.

use std::{collections::BTreeMap, path::Path};

use serde::Serialize;
use serde_json::Value;

use crate::checker::Verdict;

/// A row of the scorecard.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The figure that is judged.
    pub value: Value,
    /// It is as good as it must be.
    pub pass: bool,
    /// Whatever else was measured.
    #[serde(flatten)]
    pub details: BTreeMap<String, Value>,
}

impl Row {
    /// A figure and its judgement.
    pub fn new(value: impl Into<Value>, pass: bool) -> Self {
        Self { value: value.into(), pass, details: BTreeMap::new() }
    }

    /// Adds something that was measured.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }
}

/// The whole result.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Size of the run.
    pub size: String,
    /// Its seed.
    pub seed: u64,
    /// Violations by invariant; one that was not evaluated is not there.
    pub invariants: BTreeMap<String, usize>,
    /// The rows.
    pub rows: BTreeMap<String, Row>,
}

impl Report {
    /// Adds a verdict's counts.
    pub fn add(&mut self, verdict: &Verdict) {
        for (rule, violations) in &verdict.0 {
            *self.invariants.entry((*rule).to_owned()).or_default() += violations.len();
        }
    }

    /// No violation and no failed row.
    pub fn passes(&self) -> bool {
        self.invariants.values().all(|count| *count == 0) && self.rows.values().all(|row| row.pass)
    }

    /// Writes it as JSON.
    pub fn keep(&self, file: &Path) -> std::io::Result<()> {
        std::fs::write(file, serde_json::to_string_pretty(self)?)
    }

    /// Prints it for people.
    pub fn print(&self) {
        println!();
        for (name, row) in &self.rows {
            let judged = if row.pass { "pass" } else { "FAIL" };
            println!("{name:<4} {judged}  {}", row.value);
            for (what, value) in &row.details {
                println!("           {what}: {value}");
            }
        }
        let counts: Vec<String> = self.invariants.iter().map(|(rule, count)| format!("{rule} {count}")).collect();
        println!("violations: {}", counts.join(", "));
    }
}

/// The smallest value that so many of a hundred do not exceed; of nothing 0.
pub fn percentile(values: &mut [f64], of_hundred: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (values.len() as f64 * of_hundred / 100.0).ceil() as usize;
    values.get(place.saturating_sub(1)).copied().unwrap_or_default()
}
