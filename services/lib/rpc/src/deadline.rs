//! By when a call must be answered, and until when a stream may stay open: known to whatever runs on its behalf.

use std::{future::Future, time::Duration};

use frontdesk_proto::auth::v1::Reason;
use tokio::time::Instant;
use tonic::Code;

use crate::Refusal;

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
