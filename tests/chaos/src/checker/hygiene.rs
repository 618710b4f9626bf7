//! I22: no INTERNAL, UNKNOWN or panic; who is not available says when to come back.

use super::{Read, Verdict};
use crate::history::Kind;

pub(super) fn check(read: &Read<'_>, verdict: &mut Verdict) {
    verdict.evaluates(&["I22"]);
    for record in read.evidence.history.iter().filter(|record| matches!(record.kind, Kind::Fail | Kind::Unknown)) {
        // Without a reason the transport made the status: a connection that was cut.
        if record.reason.is_empty() {
            continue;
        }
        let tell = |what: &str| format!("{} was answered {} {}: {what}", record.call, record.code, record.reason);
        match record.code.as_str() {
            "INTERNAL" | "UNKNOWN" | "DATA_LOSS" => verdict.violated("I22", tell("our fault")),
            "UNAVAILABLE" if record.reason != "SHUTTING_DOWN" && record.answer.get("retry_after").is_none() => {
                verdict.violated("I22", tell("it does not say when to try again"));
            }
            _ => {}
        }
        if record.reason == "OWNERSHIP_CHANGED" && record.code != "ABORTED" {
            verdict.violated("I22", tell("a lost race is ABORTED"));
        }
    }
    for panic in &read.state().panics {
        verdict.violated("I22", format!("a panic: {panic}"));
    }
}
