//! The table and the file.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Value, json};

/// What a ratio shall be.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// So much or more.
    AtLeast(f64),
    /// So much or less.
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

/// One round: value and limit, measured one after the other, and what is worth knowing of them.
#[derive(Clone, Debug)]
pub struct Round {
    /// Ours.
    pub value: f64,
    /// What it is measured beside.
    pub limit: f64,
    /// More figures of the round, by name.
    pub more: Vec<(&'static str, f64)>,
}

/// One row of the table.
#[derive(Debug)]
pub struct Row {
    /// Its name, such as `P1`.
    pub name: &'static str,
    /// What was measured, beside what.
    pub what: &'static str,
    /// The unit of value and limit.
    pub unit: &'static str,
    /// What the ratio shall be.
    pub goal: Goal,
    /// In turn.
    pub rounds: Vec<Round>,
}

impl Row {
    /// The median of ours.
    pub fn value(&self) -> f64 {
        median(self.rounds.iter().map(|round| round.value).collect())
    }

    fn limit(&self) -> f64 {
        median(self.rounds.iter().map(|round| round.limit).collect())
    }

    fn ratio(&self) -> f64 {
        self.value() / self.limit()
    }

    fn json(&self) -> Value {
        let rounds: Vec<Value> = self
            .rounds
            .iter()
            .map(|round| {
                let mut figures = json!({"value": round.value, "limit": round.limit});
                for (name, figure) in &round.more {
                    figures[*name] = json!(figure);
                }
                figures
            })
            .collect();
        json!({
            "what": self.what, "ratio": self.ratio(), "value": self.value(), "limit": self.limit(), "unit": self.unit,
            "rounds": rounds, "goal": self.goal.number(), "goal_is": self.goal.words(),
            "met": self.goal.is_met(self.ratio()),
        })
    }
}

/// The middle one.
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
    println!("\n{:<9} {:>11} {:>11} {:<12} {:>7}  {:<13} what", "row", "value", "limit", "unit", "ratio", "goal");
    for row in rows {
        let (value, limit, ratio, goal) = (row.value(), row.limit(), row.ratio(), row.goal);
        let digits = if limit < 100.0 { 3 } else { 0 };
        let goal_words = format!("{} {:.1}{}", goal.words(), goal.number(), if goal.is_met(ratio) { "" } else { " !" });
        println!(
            "{:<9} {value:>11.digits$} {limit:>11.digits$} {:<12} {ratio:>7.2}  {goal_words:<13} {}",
            row.name, row.unit, row.what
        );
    }
}

/// Writes the rows as JSON, an object by name. Rows of an earlier run that this one did not measure are not kept.
pub fn write(rows: &[Row], file: &Path) -> std::io::Result<()> {
    let rows: BTreeMap<&str, Value> = rows.iter().map(|row| (row.name, row.json())).collect();
    std::fs::write(file, serde_json::to_string_pretty(&rows)? + "\n")
}
