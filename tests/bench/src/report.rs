//! The report of a run: a table, and a JSON file.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Value, json};

/// The goal of a ratio.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// This value or more.
    AtLeast(f64),
    /// This value or less.
    AtMost(f64),
}

impl Goal {
    fn number(self) -> f64 {
        match self {
            Self::AtLeast(number) | Self::AtMost(number) => number,
        }
    }

    fn is_met(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast(number) => ratio >= number,
            Self::AtMost(number) => ratio <= number,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::AtLeast(_) => "at least",
            Self::AtMost(_) => "at most",
        }
    }
}

/// One round: the figures of Frontdesk and of the baseline, measured one after the other.
#[derive(Clone, Debug)]
pub struct Round {
    /// The figure of Frontdesk.
    pub value: f64,
    /// The figure of the baseline.
    pub baseline: f64,
    /// Other figures of the round, by name.
    pub more: Vec<(&'static str, f64)>,
}

/// One row of the table.
#[derive(Debug)]
pub struct Row {
    /// Name of the row, for example `P1`.
    pub name: &'static str,
    /// What was measured, and its baseline.
    pub what: &'static str,
    /// Unit of both figures.
    pub unit: &'static str,
    /// Goal of the ratio of value and baseline.
    pub goal: Goal,
    /// The rounds, in their order.
    pub rounds: Vec<Round>,
}

impl Row {
    /// Median of the figures of Frontdesk.
    pub fn value(&self) -> f64 {
        median(self.rounds.iter().map(|round| round.value).collect())
    }

    /// Whether the ratio of the medians meets the goal.
    pub fn is_met(&self) -> bool {
        self.goal.is_met(self.ratio())
    }

    fn baseline(&self) -> f64 {
        median(self.rounds.iter().map(|round| round.baseline).collect())
    }

    fn ratio(&self) -> f64 {
        self.value() / self.baseline()
    }

    fn json(&self) -> Value {
        let rounds: Vec<Value> = self
            .rounds
            .iter()
            .map(|round| {
                let mut figures = json!({"value": round.value, "baseline": round.baseline});
                for (name, figure) in &round.more {
                    figures[*name] = json!(figure);
                }
                figures
            })
            .collect();
        json!({
            "what": self.what, "ratio": self.ratio(), "value": self.value(), "baseline": self.baseline(), "unit": self.unit,
            "rounds": rounds, "goal": self.goal.number(), "goal_is": self.goal.words(),
            "met": self.is_met(),
        })
    }
}

/// The median; NaN without numbers.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    match numbers.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => numbers[len / 2],
        len => (numbers[len / 2 - 1] + numbers[len / 2]) / 2.0,
    }
}

/// Prints the table.
pub fn print(rows: &[Row]) {
    println!("\n{:<11} {:>11} {:>11} {:<12} {:>7}  {:<13} what", "row", "value", "baseline", "unit", "ratio", "goal");
    for row in rows {
        let (value, baseline, ratio, goal) = (row.value(), row.baseline(), row.ratio(), row.goal);
        let digits = if baseline < 100.0 { 3 } else { 0 };
        let goal_words = format!("{} {:.1}{}", goal.words(), goal.number(), if goal.is_met(ratio) { "" } else { " !" });
        println!(
            "{:<11} {value:>11.digits$} {baseline:>11.digits$} {:<12} {ratio:>7.2}  {goal_words:<13} {}",
            row.name, row.unit, row.what
        );
    }
}

/// Writes the rows as one JSON object by name. Rows of an earlier run are overwritten.
pub fn write(rows: &[Row], file: &Path) -> std::io::Result<()> {
    let rows: BTreeMap<&str, Value> = rows.iter().map(|row| (row.name, row.json())).collect();
    std::fs::write(file, serde_json::to_string_pretty(&rows)? + "\n")
}
