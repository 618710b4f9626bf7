//! I22: no INTERNAL, UNKNOWN or panic, and UNAVAILABLE carries a retry delay.

use super::{Index, Verdict};
use crate::history::Kind;

pub(super) fn check(index: &Index<'_>, verdict: &mut Verdict) {
    verdict.evaluates(&["I22"]);
    for record in index.evidence.history.iter().filter(|record| matches!(record.kind, Kind::Fail | Kind::Unknown)) {
        // A status without a reason was made by the transport, for example after a connection reset.
        if record.reason.is_empty() {
            continue;
        }
        let message = |what: &str| format!("{} was answered {} {}: {what}", record.call, record.code, record.reason);
        match record.code.as_str() {
            "INTERNAL" | "UNKNOWN" | "DATA_LOSS" => verdict.violated("I22", message("an internal error")),
            "UNAVAILABLE" if record.reason != "SHUTTING_DOWN" && record.response.get("retry_after").is_none() => {
                verdict.violated("I22", message("without a retry delay"));
            }
            _ => {}
        }
        if record.reason == "OWNERSHIP_CHANGED" && record.code != "ABORTED" {
            verdict.violated("I22", message("a lost race is ABORTED"));
        }
    }
    for panic in &index.state().panics {
        verdict.violated("I22", format!("a panic: {panic}"));
    }
}
