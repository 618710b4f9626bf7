//! The deadlines of the running call, as task-local values: known to everything that runs on the call's behalf.

use std::{future::Future, time::Duration};

use frontdesk_proto::error::v1::Reason;
use tokio::time::Instant;
use tonic::Code;

use crate::ApiError;

tokio::task_local! {
    static DEADLINES: CallDeadlines;
}

/// The deadlines of one call.
#[derive(Clone, Copy, Debug)]
pub struct CallDeadlines {
    /// When the call must be answered; for a stream, when it must begin.
    pub answer: Instant,
    /// When a stream that the call opens ends.
    pub stream: Instant,
    /// Why the stream ends then.
    pub stream_end: StreamEndReason,
}

/// Why a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEndReason {
    /// The caller's deadline (`grpc-timeout`) passed.
    Deadline,
    /// The caller's token expired.
    TokenExpired,
    /// The stream reached its maximum age: clients reconnect, and so spread over the replicas.
    MaxAge,
}

impl StreamEndReason {
    /// The status that ends the stream.
    pub fn error(self) -> ApiError {
        match self {
            Self::Deadline => ApiError::shared(
                Code::DeadlineExceeded,
                Reason::DeadlineExceeded,
                "the stream's deadline passed; call again with the last number or cursor that you received, and a longer or no deadline",
            ),
            Self::TokenExpired => ApiError::shared(
                Code::Unauthenticated,
                Reason::NotAuthenticated,
                "your token has expired; call again with a new one and the last number or cursor that you received",
            ),
            Self::MaxAge => ApiError::shared(
                Code::Unavailable,
                Reason::StreamAged,
                "the stream reached its maximum age; call again with the last number or cursor that you received",
            ),
        }
    }
}

/// Runs a call's future with its deadlines.
pub async fn scope<T>(deadlines: CallDeadlines, call: impl Future<Output = T>) -> T {
    DEADLINES.scope(deadlines, call).await
}

/// How long the running call still has for its answer. None: no call is running in this task.
pub fn remaining() -> Option<Duration> {
    DEADLINES.try_with(|deadlines| deadlines.answer.saturating_duration_since(Instant::now())).ok()
}

/// When and why a stream that the running call opens ends. None: no call is running in this task.
pub fn stream_end() -> Option<(Instant, StreamEndReason)> {
    DEADLINES.try_with(|deadlines| (deadlines.stream, deadlines.stream_end)).ok()
}
