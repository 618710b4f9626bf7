//! The metrics of calls, by the semantic conventions of OpenTelemetry for RPC: their durations by method and status code; and the calls
//! that are refused before their handlers, by reason.

use std::time::Instant;

use http::HeaderMap;
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram},
};
use tonic::Code;

use super::code_name::code_name;

/// Boundaries of the durations in seconds, as the conventions advise.
const BOUNDARIES: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// The method of calls that name none of the contract: their names are the callers', and without number.
const OTHER_METHOD: &str = "_OTHER";
/// Reasons that the metric lists from the start, so that an alert also sees the first call that is refused.
const REASONS: [&str; 6] =
    ["ACCOUNT_ENDED", "NOT_AUTHENTICATED", "NOT_PERMITTED", "OVERLOADED", "RATE_LIMITED", "UNAVAILABLE"];

/// The instruments.
pub(super) struct CallMetrics {
    duration: Histogram<f64>,
    rejected: Counter<u64>,
}

impl CallMetrics {
    pub(super) fn new() -> Self {
        let meter = frontdesk_telemetry::meter();
        let duration = meter
            .f64_histogram("rpc.server.call.duration")
            .with_unit("s")
            .with_description("Durations of calls, and of streams until they end, by method and status code")
            .with_boundaries(BOUNDARIES.to_vec())
            .build();
        let rejected = meter
            .u64_counter("frontdesk.call.rejections")
            .with_description("Calls refused before their handlers, by the reason of the error")
            .build();
        for reason in REASONS {
            rejected.add(0, &[KeyValue::new("reason", reason)]);
        }
        Self { duration, rejected }
    }

    /// A call begins. `path`: its method. None: the contract has no such method.
    pub(super) fn begin(&self, path: Option<&str>) -> CallTimer {
        let method = path.map_or(OTHER_METHOD, |path| path.trim_start_matches('/'));
        let duration = self.duration.clone();
        CallTimer { duration, method: method.to_owned(), began: Instant::now(), code: Code::Cancelled }
    }

    /// Counts a call that is refused for this reason.
    pub(super) fn count_rejection(&self, reason: &str) {
        self.rejected.add(1, &[KeyValue::new("reason", reason.to_owned())]);
    }
}

/// A call in progress. Its duration is recorded when this is dropped: as CANCELLED, unless the end of the call was seen before.
pub(super) struct CallTimer {
    duration: Histogram<f64>,
    method: String,
    began: Instant,
    code: Code,
}

impl CallTimer {
    /// The call ends with the headers or trailers of its answer; those of a unary call that succeeds have no status yet.
    pub(super) fn end(mut self, headers: &HeaderMap) {
        self.code = code(headers).unwrap_or(Code::Ok);
    }

    /// The stream ends with these headers or trailers, if they have a status.
    pub(super) fn note(&mut self, headers: &HeaderMap) {
        self.code = code(headers).unwrap_or(self.code);
    }
}

impl Drop for CallTimer {
    fn drop(&mut self) {
        let mut attributes = vec![
            KeyValue::new("rpc.system.name", "grpc"),
            KeyValue::new("rpc.method", std::mem::take(&mut self.method)),
            KeyValue::new("rpc.response.status_code", code_name(self.code)),
        ];
        if is_server_error(self.code) {
            attributes.push(KeyValue::new("error.type", code_name(self.code)));
        }
        self.duration.record(self.began.elapsed().as_secs_f64(), &attributes);
    }
}

fn code(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|status| Code::from_bytes(status.as_bytes()))
}

/// Whether a server is to blame for the code, by the conventions.
fn is_server_error(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Number of calls of the method that ended with this code.
    fn count(method: &str, code: &str) -> Option<String> {
        let text = frontdesk_telemetry::metrics_text();
        let labels = [format!("rpc_method=\"{method}\""), format!("rpc_response_status_code=\"{code}\"")];
        let mut counts = text.lines().filter(|line| line.starts_with("rpc_server_call_duration_seconds_count{"));
        let line = counts.find(|line| labels.iter().all(|label| line.contains(label)))?;
        line.rsplit(' ').next().map(str::to_owned)
    }

    fn status(code: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), http::HeaderValue::from_static(code))])
    }

    #[test]
    fn i24_a_call_is_counted_once_with_the_code_of_its_end() {
        let metrics = CallMetrics::new();
        metrics.begin(Some("/test.A/Unary")).end(&HeaderMap::new());
        metrics.begin(Some("/test.A/Unary")).end(&HeaderMap::new());
        metrics.begin(Some("/test.A/Unary")).end(&status("14"));
        drop(metrics.begin(Some("/test.A/Unary")));
        let mut stream = metrics.begin(Some("/test.A/Stream"));
        stream.note(&HeaderMap::new());
        stream.note(&status("0"));
        drop(stream);
        metrics.begin(None).end(&status("12"));
        for (method, code, expected) in [
            ("test.A/Unary", "OK", Some("2")),
            ("test.A/Unary", "UNAVAILABLE", Some("1")),
            ("test.A/Unary", "CANCELLED", Some("1")),
            ("test.A/Stream", "OK", Some("1")),
            ("test.A/Stream", "CANCELLED", None),
            (OTHER_METHOD, "UNIMPLEMENTED", Some("1")),
        ] {
            assert_eq!(count(method, code).as_deref(), expected, "{method} {code}");
        }
    }

    #[test]
    fn s4_refused_calls_are_counted_by_reason_from_the_start() {
        let metrics = CallMetrics::new();
        let text = frontdesk_telemetry::metrics_text();
        for reason in REASONS {
            assert!(
                text.contains(&format!("frontdesk_call_rejections_total{{reason=\"{reason}\"")),
                "{reason}: {text}"
            );
        }
        metrics.count_rejection("TEST");
        let text = frontdesk_telemetry::metrics_text();
        assert!(text.lines().any(|line| line.contains("reason=\"TEST\"") && line.ends_with(" 1")), "{text}");
    }
}
