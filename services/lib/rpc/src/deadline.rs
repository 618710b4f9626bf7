//! By when a call must be answered, and until when a stream may stay open: known to whatever runs on its behalf.

use std::{future::Future, time::Duration};

use frontdesk_proto::auth::v1::Reason;
use http::HeaderMap;
use rand::Rng;
use tokio::time::Instant;
use tonic::Code;

use crate::Refusal;

/// A call without a deadline gets this one.
const DEFAULT: Duration = Duration::from_secs(30);
/// No call may take longer to begin its answer.
const LONGEST: Duration = Duration::from_secs(60);
/// Our answer leaves before the transport gives up by itself, with a worse one.
const MARGIN: Duration = Duration::from_millis(20);
/// Streams end after so long and up to a fifth more, so that not all end at once.
const STREAM_AGE: Duration = Duration::from_secs(30 * 60);

tokio::task_local! {
    static BOUNDS: Bounds;
}

/// What a call is bound by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) answer_by: Instant,
    pub(crate) open_until: Instant,
    pub(crate) why: Why,
}

/// Why a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The caller said until when.
    Deadline,
    /// The caller's token ends.
    Token,
    /// Streams end by and by, so that they spread over the replicas that there are.
    Age,
}

impl Bounds {
    /// Of a call with these headers, whose caller's token is valid for so long yet; None: they have none that ends.
    pub(crate) fn of(headers: &HeaderMap, token: Option<Duration>) -> Self {
        let (now, asked) = (Instant::now(), asked(headers));
        let within = asked.map_or(DEFAULT, |asked| asked.min(LONGEST)).saturating_sub(MARGIN);
        let mut end = (STREAM_AGE + rand::rng().random_range(Duration::ZERO..STREAM_AGE / 5), Why::Age);
        for (after, why) in [(token, Why::Token), (asked.map(|asked| asked.saturating_sub(MARGIN)), Why::Deadline)] {
            if let Some(after) = after.filter(|after| *after < end.0) {
                end = (after, why);
            }
        }
        Self { answer_by: now + within, open_until: now + end.0, why: end.1 }
    }
}

/// `grpc-timeout`: up to eight digits and a unit.
fn asked(headers: &HeaderMap) -> Option<Duration> {
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

/// Runs what belongs to a call within its bounds.
pub(crate) async fn within<T>(bounds: Bounds, call: impl Future<Output = T>) -> T {
    BOUNDS.scope(bounds, call).await
}

/// What is left to the call that this runs for; None: it runs for none.
pub(crate) fn left() -> Option<Duration> {
    BOUNDS.try_with(|bounds| bounds.answer_by.saturating_duration_since(Instant::now())).ok()
}

/// Until when the stream that this opens may stay open, and why it ends then.
pub(crate) fn open_until() -> Option<(Instant, Why)> {
    BOUNDS.try_with(|bounds| (bounds.open_until, bounds.why)).ok()
}

impl Why {
    /// How the stream ends.
    pub(crate) fn refusal(self) -> Refusal {
        match self {
            Self::Deadline => Refusal::shared(
                Code::DeadlineExceeded,
                Reason::DeadlineExceeded,
                "the stream's deadline passed; call again with the last number you saw, and a longer or no deadline",
            ),
            Self::Token => Refusal::shared(
                Code::Unauthenticated,
                Reason::NotAuthenticated,
                "your token has ended; call again with a new one and the last number you saw",
            ),
            Self::Age => Refusal::shared(
                Code::Unavailable,
                Reason::StreamAged,
                "the stream was open for long; call again with the last number you saw",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_read_clamped_and_defaulted() {
        let of = |text: &str, token| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            let now = Instant::now();
            let bounds = Bounds::of(&headers, token);
            let seconds = |until: Instant| (until - now).as_secs_f64().round() as u64;
            (seconds(bounds.answer_by), seconds(bounds.open_until), bounds.why)
        };
        assert_eq!(of("2S", None), (2, 2, Why::Deadline));
        let (answer, open, why) = of("99999999H", None);
        assert_eq!((answer, why), (LONGEST.as_secs(), Why::Age));
        assert!((1_800..=2_160).contains(&open), "{open}");
        for nonsense in ["S", "xS", "5", "5Y", "-1S", "+1S", "100000000m"] {
            let (answer, _, why) = of(nonsense, None);
            assert_eq!((answer, why), (DEFAULT.as_secs(), Why::Age), "{nonsense}");
        }
        assert_eq!(of("", Some(Duration::from_secs(60))), (30, 60, Why::Token));
        assert_eq!(of("5S", Some(Duration::MAX)), (5, 5, Why::Deadline));
    }
}
