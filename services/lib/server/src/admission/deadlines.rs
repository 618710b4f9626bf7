//! Computes the deadlines of a call from its `grpc-timeout` and its caller's token.

use std::time::Duration;

use frontdesk_api::deadlines::{CallDeadlines, StreamEndReason};
use http::HeaderMap;
use rand::Rng;
use tokio::time::Instant;

/// Time limit of a call without a `grpc-timeout`.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum time until the answer of a call, and until the beginning of a stream.
const MAX_TIMEOUT: Duration = Duration::from_secs(60);
/// How long before the caller's deadline we answer: later the transport answers by itself, without details.
const ANSWER_MARGIN: Duration = Duration::from_millis(20);
/// Maximum age of a stream, plus up to 20 % jitter, so that the streams of a replica do not end together.
const MAX_STREAM_AGE: Duration = Duration::from_secs(30 * 60);

/// The deadlines of a call with these headers. `token_ttl`: how long the caller's token is still valid. None: it does not expire.
pub(super) fn deadlines(headers: &HeaderMap, token_ttl: Option<Duration>) -> CallDeadlines {
    let (now, requested) = (Instant::now(), grpc_timeout(headers));
    let timeout = requested.map_or(DEFAULT_TIMEOUT, |timeout| timeout.min(MAX_TIMEOUT)).saturating_sub(ANSWER_MARGIN);
    let max_age = MAX_STREAM_AGE + rand::rng().random_range(Duration::ZERO..MAX_STREAM_AGE / 5);
    let (mut stream_age, mut stream_end) = (max_age, StreamEndReason::MaxAge);
    let requested = requested.map(|timeout| timeout.saturating_sub(ANSWER_MARGIN));
    for (age, reason) in [(token_ttl, StreamEndReason::TokenExpired), (requested, StreamEndReason::Deadline)] {
        if let Some(age) = age.filter(|age| *age < stream_age) {
            (stream_age, stream_end) = (age, reason);
        }
    }
    CallDeadlines { answer: now + timeout, stream: now + stream_age, stream_end }
}

/// Parses `grpc-timeout`: up to eight digits and a unit. None: it is absent or malformed.
fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if number.len() > 8 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = number.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(timeout: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static("grpc-timeout"), timeout.parse().unwrap())])
    }

    #[test]
    fn grpc_timeouts_are_parsed_with_their_units() {
        for (text, timeout) in [
            ("0S", Duration::ZERO),
            ("2S", Duration::from_secs(2)),
            ("3M", Duration::from_secs(180)),
            ("1H", Duration::from_secs(3_600)),
            ("99999999H", Duration::from_secs(99_999_999 * 3_600)),
            ("250m", Duration::from_millis(250)),
            ("7u", Duration::from_micros(7)),
            ("9n", Duration::from_nanos(9)),
        ] {
            assert_eq!(grpc_timeout(&headers(text)), Some(timeout), "{text}");
        }
        for malformed in ["", "S", "xS", "5", "5Y", "-1S", "+1S", "1 S", "100000000m"] {
            assert_eq!(grpc_timeout(&headers(malformed)), None, "{malformed}");
        }
        assert_eq!(grpc_timeout(&HeaderMap::new()), None);
    }

    #[test]
    fn deadlines_are_bounded_and_a_stream_ends_by_the_earliest() {
        let seconds = |text: &str, token_ttl| {
            let now = Instant::now();
            let deadlines = deadlines(&headers(text), token_ttl);
            let seconds = |until: Instant| (until - now).as_secs_f64().round() as u64;
            (seconds(deadlines.answer), seconds(deadlines.stream), deadlines.stream_end)
        };
        assert_eq!(seconds("2S", None), (2, 2, StreamEndReason::Deadline));
        assert_eq!(seconds("", Some(Duration::from_secs(60))), (30, 60, StreamEndReason::TokenExpired));
        assert_eq!(seconds("5S", Some(Duration::MAX)), (5, 5, StreamEndReason::Deadline));
        for (text, answer) in [("99999999H", MAX_TIMEOUT), ("malformed", DEFAULT_TIMEOUT)] {
            let (answered, age, reason) = seconds(text, None);
            assert_eq!((answered, reason), (answer.as_secs(), StreamEndReason::MaxAge), "{text}");
            assert!((1_800..=2_160).contains(&age), "{age}");
        }
    }
}
