//! The result of a run, as text and as JSON.

use std::{collections::BTreeMap, path::Path};

use serde::Serialize;
use serde_json::Value;

use crate::checker::Verdict;

/// A row of the scorecard.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The figure that is judged.
    pub value: Value,
    /// Whether the figure and every other condition of the row are good enough.
    pub pass: bool,
    /// Other figures of the row, by name.
    #[serde(flatten)]
    pub details: BTreeMap<String, Value>,
}

impl Row {
    /// A row without other figures.
    pub fn new(value: impl Into<Value>, pass: bool) -> Self {
        Self { value: value.into(), pass, details: BTreeMap::new() }
    }

    /// Adds another figure.
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
    /// Number of violations by invariant. An invariant that was not evaluated is absent.
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

    /// True without any violation and any failed row.
    pub fn passes(&self) -> bool {
        self.invariants.values().all(|count| *count == 0) && self.rows.values().all(|row| row.pass)
    }

    /// Writes the report as JSON.
    pub fn write(&self, file: &Path) -> std::io::Result<()> {
        std::fs::write(file, serde_json::to_string_pretty(self)?)
    }

    /// Prints the report as text.
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

/// The percentile `percent` (0 to 100) of the values by the nearest-rank method; 0 without values.
pub fn percentile(values: &mut [f64], percent: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * percent / 100.0).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}
