//! Some seeds of the simulation, and planted faults that it finds.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use frontdesk_simulation::{Fault, Template, find_violations, run_seed};

/// Number of seeds. `make simulate` runs more.
const SEEDS: u64 = 60;
/// Number of seeds within which each planted fault is found.
const SEEDS_FOR_FAULT: u64 = 60;
/// Number of violating seeds after which the search for a planted fault ends.
const ENOUGH: usize = 3;

#[test]
fn r19_no_seed_violates_a_rule() {
    let violating = find_violations(&Template::create().unwrap(), 0..SEEDS, None, 1).unwrap();
    assert!(violating.is_empty(), "{violating:#?}");
}

#[test]
fn r19_the_same_seed_has_the_same_trace_and_another_one_another() {
    let template = Template::create().unwrap();
    let first = run_seed(&template, 7, None).unwrap();
    assert_eq!(first, run_seed(&template, 7, None).unwrap());
    assert!(first.trace.len() > 20, "{first:#?}");
    assert_ne!(first.trace, run_seed(&template, 8, None).unwrap().trace);
}

/// A fault is found when a seed violates one of its rules, and violates none without it.
#[test]
fn r19_planted_faults_are_found() {
    let template = Template::create().unwrap();
    for fault in Fault::ALL {
        let violating = find_violations(&template, 0..SEEDS_FOR_FAULT, Some(fault), ENOUGH).unwrap();
        let found = violating.iter().find(|run| fault.rules().iter().any(|rule| run.violates(rule)));
        let found = found.unwrap_or_else(|| panic!("{fault:?} is not found: {violating:#?}"));
        let without = run_seed(&template, found.seed, None).unwrap();
        assert!(without.violations.is_empty(), "{without:#?}");
    }
}
