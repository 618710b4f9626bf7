//! The clock of this machine, beside those of the databases and of the issuers.

use std::time::Duration;

use frontdesk_clock::{Clock, Time};

use super::{Finding, databases::Database, issuers::Issuer};
use crate::Settings;

/// Difference of two clocks from which there is a warning.
const TOLERATED: Duration = Duration::from_secs(2);
/// Precision of the header Date.
const PRECISION_OF_DATE: Duration = Duration::from_secs(1);

pub(super) async fn check(
    settings: &Settings,
    clock: &Clock,
    databases: &[Database],
    issuers: &[Issuer],
) -> Vec<Finding> {
    let leeway = settings.identity.leeway;
    let mut findings = Vec::new();
    for database in databases {
        let Some(db) = database.opened.as_ref().ok().filter(|db| !db.is_sqlite()) else { continue };
        let began = clock.now();
        let answer = db.now().await;
        let took = clock.now().since(began);
        findings.push(match answer {
            Ok(theirs) => compare(database.subject(), began.plus(took / 2), theirs, took / 2, leeway),
            Err(_) => Finding::skipped(database.subject(), "the database does not answer"),
        });
    }
    for issuer in issuers {
        let date = issuer.keys.as_ref().ok().and_then(|keys| keys.date.as_deref());
        if let Some(date) = date.and_then(|date| chrono::DateTime::parse_from_rfc2822(date).ok()) {
            let theirs = Time(date.timestamp_micros());
            findings.push(compare(issuer.subject.clone(), issuer.at, theirs, PRECISION_OF_DATE, leeway));
        }
    }
    if findings.is_empty() {
        findings.push(Finding::skipped("the clock of this machine", "there is no other clock to compare it with"));
    }
    findings
}

/// Compares this machine's time with another one, which is known up to `precision`.
fn compare(subject: String, ours: Time, theirs: Time, precision: Duration, leeway: Duration) -> Finding {
    let (ahead, behind) = (ours.since(theirs), theirs.since(ours));
    let difference = ahead.max(behind).saturating_sub(precision);
    let side = if ahead > behind { "ahead of" } else { "behind" };
    let wrong = format!("the clock of this machine is about {} s {side} this one", difference.as_secs());
    let remedy = "synchronise the clocks of all machines";
    if difference > leeway {
        let wrong = format!("{wrong}, more than identity.leeway: valid tokens are refused, or are valid for too long");
        Finding::failure(subject, wrong, remedy)
    } else if difference > TOLERATED {
        Finding::warning(subject, wrong, remedy)
    } else {
        Finding::ok(subject, "the clock of this machine agrees with it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    #[test]
    fn a_difference_of_clocks_is_said_with_its_side_and_counts_by_the_leeway() {
        let (ours, leeway) = (Time(1_900_000_000_000_000), Duration::from_secs(30));
        let found = |theirs| compare("a clock".into(), ours, theirs, PRECISION_OF_DATE, leeway);
        let seconds = Duration::from_secs;
        assert_eq!(found(ours.plus(seconds(3))).state, State::Ok, "the other clock is known up to a second");
        let behind = found(ours.plus(seconds(11)));
        assert_eq!(behind.state, State::Warning);
        assert!(behind.text.contains("about 10 s behind"), "{}", behind.text);
        let ahead = found(ours.minus(seconds(61)));
        assert_eq!(ahead.state, State::Failure);
        assert!(ahead.text.contains("about 60 s ahead of"), "{}", ahead.text);
    }
}
