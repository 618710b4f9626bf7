//! What a check found, and all findings as text, as JSON, and as the exit code of the command.

use std::fmt::{self, Display, Formatter};

use serde_json::{Value, json};

/// The state of what was looked at, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It is as it must be.
    Ok,
    /// It was not looked at; the text says why.
    Skipped,
    /// The installation works, and something is to be repaired.
    Warning,
    /// The installation does not work, or does not keep what it promises.
    Failure,
}

impl State {
    /// Its name in the output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

/// What a check found about one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The thing: a setting, a file, or a name at another server.
    pub subject: String,
    /// Its state.
    pub state: State,
    /// What is there, or what is wrong.
    pub text: String,
    /// What to do. Empty: nothing, or the text says it.
    pub remedy: String,
}

impl Finding {
    /// As it must be.
    pub(super) fn ok(subject: impl Into<String>, text: impl Into<String>) -> Self {
        Self { subject: subject.into(), state: State::Ok, text: text.into(), remedy: String::new() }
    }

    /// Not looked at, for this reason.
    pub(super) fn skipped(subject: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { state: State::Skipped, ..Self::ok(subject, reason) }
    }

    /// To be repaired although the installation works.
    pub(super) fn warning(subject: impl Into<String>, wrong: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { state: State::Warning, remedy: remedy.into(), ..Self::ok(subject, wrong) }
    }

    /// To be repaired before the installation works.
    pub(super) fn failure(subject: impl Into<String>, wrong: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { state: State::Failure, remedy: remedy.into(), ..Self::ok(subject, wrong) }
    }
}

/// The findings of all checks, with the name of the check. Its `Display` form is for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report(pub Vec<(&'static str, Finding)>);

impl Report {
    /// The worst state of what was looked at.
    pub fn state(&self) -> State {
        let states = self.0.iter().map(|(_, finding)| finding.state).filter(|state| *state != State::Skipped);
        states.max().unwrap_or(State::Ok)
    }

    /// The exit code of the command: 0 for no warning and no failure, 1 for warnings only, 2 for failures.
    pub fn exit_code(&self) -> u8 {
        match self.state() {
            State::Ok | State::Skipped => 0,
            State::Warning => 1,
            State::Failure => 2,
        }
    }

    /// One object with all findings.
    pub fn json(&self) -> Value {
        let findings = self.0.iter().map(|(check, Finding { subject, state, text, remedy })| {
            json!({ "check": check, "subject": subject, "state": state.as_str(), "text": text, "remedy": remedy })
        });
        json!({ "state": self.state().as_str(), "findings": findings.collect::<Vec<_>>() })
    }

    fn count(&self, state: State) -> usize {
        self.0.iter().filter(|(_, finding)| finding.state == state).count()
    }
}

impl Display for Report {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        for (check, Finding { subject, state, text, remedy }) in &self.0 {
            writeln!(formatter, "{:<8} {check}: {subject}: {text}", state.as_str())?;
            if !remedy.is_empty() {
                writeln!(formatter, "         to do: {remedy}")?;
            }
        }
        let (failures, warnings) = (self.count(State::Failure), self.count(State::Warning));
        writeln!(formatter, "Failures: {failures}, warnings: {warnings}, skipped: {}.", self.count(State::Skipped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_is_the_exit_code_and_what_was_not_looked_at_is_no_failure() {
        let ok = Finding::ok("a", "it is there");
        let skipped = Finding::skipped("b", "there is none");
        let warning = Finding::warning("c", "it is old", "renew it");
        let failure = Finding::failure("d", "it is gone", "restore it");
        let report =
            |findings: &[&Finding]| Report(findings.iter().map(|finding| ("test", (*finding).clone())).collect());
        for (findings, code) in
            [(&[][..], 0), (&[&ok, &skipped], 0), (&[&warning, &ok], 1), (&[&ok, &failure, &warning, &skipped], 2)]
        {
            assert_eq!(report(findings).exit_code(), code);
        }
        let report = report(&[&ok, &failure]);
        let text = report.to_string();
        assert!(text.contains("failure  test: d: it is gone\n         to do: restore it\n"), "{text}");
        assert!(text.ends_with("Failures: 1, warnings: 0, skipped: 0.\n"), "{text}");
        assert_eq!(
            (report.json()["state"].as_str(), report.json()["findings"][1]["remedy"].as_str()),
            (Some("failure"), Some("restore it"))
        );
    }
}
