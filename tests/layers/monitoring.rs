//! The documented metrics, the alert rules, the dashboards and the runbooks agree.

use std::collections::BTreeSet;

use frontdesk_tests::documented_metrics;
use serde_json::Value;

use crate::sources::{Source, files, workspace};

const ALERTS: &str = "deploy/monitoring/alerts.yaml";
/// Kinds of panels that every Grafana has.
const PANELS: [&str; 2] = ["stat", "timeseries"];

fn read(path: &str) -> String {
    std::fs::read_to_string(workspace().join(path)).unwrap()
}

fn dashboards() -> Vec<(Source, Value)> {
    let sources = files("deploy/monitoring/dashboards", &[".json"]);
    let parsed = sources.into_iter().map(|source| {
        let dashboard = serde_json::from_str(&source.text).unwrap_or_else(|error| panic!("{}: {error}", source.path));
        (source, dashboard)
    });
    parsed.collect()
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

/// The queries of a dashboard.
fn queries(dashboard: &Value) -> Vec<&str> {
    let targets = list(dashboard, "panels").iter().flat_map(|panel| list(panel, "targets"));
    targets.filter_map(|target| target["expr"].as_str()).collect()
}

/// The metrics of Frontdesk in a text; of the series of a histogram, its own name.
fn metrics_in(text: &str, histograms: &BTreeSet<String>) -> BTreeSet<String> {
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let words = text.split(|character: char| !is_name(character));
    let names = words.filter(|word| word.starts_with("frontdesk_") || word.starts_with("rpc_server_"));
    let of_histogram = |name: &str| {
        let base = ["_bucket", "_count", "_sum"].iter().find_map(|suffix| name.strip_suffix(suffix));
        base.filter(|base| histograms.contains(*base)).unwrap_or(name).to_owned()
    };
    names.map(of_histogram).collect()
}

/// What follows `key: ` in the lines of a YAML file.
fn values<'a>(yaml: &'a str, key: &str) -> Vec<&'a str> {
    let lines = yaml.lines().map(|line| line.trim_start().trim_start_matches("- ").trim_start_matches("{ "));
    let mut values = Vec::new();
    for line in lines {
        let parts = line.split(", ").map(|part| part.trim_start_matches("{ "));
        values.extend(parts.filter_map(|part| part.strip_prefix(key)?.strip_prefix(": ")));
    }
    values
}

#[test]
fn alerts_and_dashboards_name_documented_metrics_and_dashboards_show_all_of_them() {
    let documented = documented_metrics();
    assert!(documented.len() > 20, "{documented:?}");
    let names: BTreeSet<String> = documented.iter().map(|metric| metric.name.clone()).collect();
    let histograms = documented.iter().filter(|metric| metric.kind == "histogram");
    let histograms: BTreeSet<String> = histograms.map(|metric| metric.name.clone()).collect();

    let mut shown = BTreeSet::new();
    for (source, dashboard) in dashboards() {
        let named = metrics_in(&queries(&dashboard).join("\n"), &histograms);
        let unknown: Vec<_> = named.difference(&names).collect();
        assert!(unknown.is_empty(), "{}: not in the table of docs/operations.md: {unknown:?}", source.path);
        shown.extend(named);
    }
    for path in [ALERTS, "deploy/monitoring/alerts_test.yaml"] {
        let named = metrics_in(&read(path), &histograms);
        let unknown: Vec<_> = named.difference(&names).collect();
        assert!(!named.is_empty() && unknown.is_empty(), "{path}: not in the table of docs/operations.md: {unknown:?}");
    }
    for page in files("docs/runbooks", &[".md"]) {
        let named = metrics_in(&page.text, &histograms);
        let unknown: Vec<_> = named.difference(&names).collect();
        assert!(unknown.is_empty(), "{}: not in the table of docs/operations.md: {unknown:?}", page.path);
    }
    let missing: Vec<_> = names.difference(&shown).filter(|name| *name != "target_info").collect();
    assert!(missing.is_empty(), "no dashboard shows {missing:?}");
}

#[test]
fn every_alert_has_a_severity_a_test_and_a_runbook_of_its_name() {
    let (rules, tests, index) =
        (read(ALERTS), read("deploy/monitoring/alerts_test.yaml"), read("docs/runbooks/README.md"));
    let alerts: Vec<&str> = values(&rules, "alert");
    assert!(alerts.len() > 15 && alerts.len() == values(&rules, "severity").len(), "{alerts:?}");
    let fires: BTreeSet<&str> = tests
        .split("- eval_time: ")
        .filter(|test| test.contains("exp_labels"))
        .filter_map(|test| test.split("alertname: ").nth(1)?.lines().next())
        .collect();
    let mut pages: BTreeSet<String> = files("docs/runbooks", &[".md"])
        .into_iter()
        .map(|page| page.path.trim_start_matches("docs/runbooks/").trim_end_matches(".md").to_owned())
        .filter(|page| page != "README")
        .collect();
    for (alert, runbook) in alerts.iter().zip(values(&rules, "runbook")) {
        assert_eq!(runbook, format!("docs/runbooks/{alert}.md"), "the runbook of {alert}");
        assert!(pages.remove(*alert), "{runbook} is missing");
        assert!(index.contains(&format!("({alert}.md)")), "docs/runbooks/README.md does not list {alert}");
        assert!(fires.contains(alert), "deploy/monitoring/alerts_test.yaml has no case in which {alert} fires");
        let page = read(runbook);
        for heading in ["## What users notice", "## What to look at", "## What to do", "## Rehearsal"] {
            assert!(page.contains(&format!("\n{heading}\n")), "{runbook} lacks the section {heading:?}");
        }
    }
    assert!(pages.is_empty(), "no alert has these pages: {pages:?}");
}

#[test]
fn dashboards_can_be_provisioned() {
    let dashboards = dashboards();
    let mut ids = BTreeSet::new();
    for (Source { path, .. }, dashboard) in &dashboards {
        let uid = dashboard["uid"].as_str().unwrap_or_default();
        assert!(
            ids.insert(uid) && !uid.is_empty() && uid.len() <= 40,
            "{path}: a uid of its own, of at most 40 characters"
        );
        assert!(dashboard["title"].is_string() && dashboard["schemaVersion"].as_u64() >= Some(36), "{path}");
        assert!(dashboard.get("id").is_none_or(Value::is_null), "{path}: Grafana gives the id");
        let variables: Vec<_> = list(&dashboard["templating"], "list").iter().map(|one| &one["name"]).collect();
        assert!(variables.iter().any(|name| *name == "datasource"), "{path}: {variables:?}");
        let mut panels = BTreeSet::new();
        for panel in list(dashboard, "panels") {
            let title = panel["title"].as_str().unwrap_or_default();
            assert!(!title.is_empty() && panels.insert(panel["id"].as_u64().unwrap()), "{path}: {title}");
            assert!(panel["type"].as_str().is_some_and(|kind| PANELS.contains(&kind)), "{path}: {title}");
            let place = |field: &str| panel["gridPos"][field].as_u64().unwrap();
            assert!(place("h") > 0 && place("w") > 0 && place("x") + place("w") <= 24, "{path}: {title}");
            for target in list(panel, "targets") {
                let has_source = target["datasource"]["uid"] == "${datasource}";
                assert!(has_source && target["refId"].is_string(), "{path}: {title}: {target}");
            }
        }
        assert_eq!(
            queries(dashboard).len(),
            list(dashboard, "panels").iter().map(|panel| list(panel, "targets").len()).sum::<usize>()
        );
        assert!(!panels.is_empty(), "{path}");
    }
    assert_eq!(dashboards.len(), 3);
}
