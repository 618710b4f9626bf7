//! The metrics that docs/operations.md lists.

use std::{collections::BTreeSet, path::Path};

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentedMetric {
    /// Its name in the Prometheus text format.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    /// The names of its labels.
    pub labels: BTreeSet<String>,
}

/// The rows of the table.
///
/// # Panics
/// When the page or its section cannot be read.
pub fn documented_metrics() -> Vec<DocumentedMetric> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md");
    let text = std::fs::read_to_string(page).expect("docs/operations.md");
    let section = text.split("\n## Monitoring\n").nth(1).expect("a section Monitoring");
    let section = section.split("\n## ").next().unwrap_or_default();
    section.lines().filter_map(row).collect()
}

fn row(line: &str) -> Option<DocumentedMetric> {
    let (name, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
    let kind = rest.split(" | ").next()?.to_owned();
    let (name, labels) = name.split_once('{').unwrap_or((name, ""));
    let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty());
    Some(DocumentedMetric { name: name.to_owned(), kind, labels: labels.map(str::to_owned).collect() })
}
