//! Notices that the client of a live stream does not read it. The transport asks a stream for its next message when the client has room
//! for it, and a live stream has a message at least once in a heartbeat interval: a stream that is not polled for longer is not read.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use frontdesk_proto::error::v1::Reason;
use futures::Stream;
use tokio::time::Instant;
use tonic::Code;

use crate::{ApiError, watch::HEARTBEAT_INTERVAL};

/// Maximum time that a message of a live stream may wait for its client.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// Maximum time between two polls of a live stream whose client reads.
pub(crate) const MAX_POLL_INTERVAL: Duration = HEARTBEAT_INTERVAL.saturating_add(MAX_WAIT);
/// How long the client should wait before it resumes the stream.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Whether the client of a stream was too slow: noted by [`Watched`], asked for by what the stream runs.
#[derive(Clone, Default)]
pub(crate) struct SlowReader(Arc<AtomicBool>);

impl SlowReader {
    /// Why the stream ends. None: its client reads.
    pub(crate) fn error(&self) -> Option<ApiError> {
        self.0.load(Ordering::Relaxed).then(|| {
            let message = "you did not read the stream for half a minute or longer; call again with the last number or \
                           cursor that you received";
            ApiError::shared(Code::Unavailable, Reason::SlowReader, message).retry_after(RETRY_DELAY)
        })
    }
}

/// A live stream, with a note of whether its client was too slow.
pub(crate) struct Watched<S> {
    stream: Pin<Box<S>>,
    reader: SlowReader,
    /// When it was last polled. None: not yet.
    polled_at: Option<Instant>,
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S, reader: SlowReader) -> Self {
        Self { stream: Box::pin(stream), reader, polled_at: None }
    }
}

impl<S: Stream> Stream for Watched<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let (this, now) = (self.get_mut(), Instant::now());
        if this.polled_at.replace(now).is_some_and(|polled_at| now - polled_at >= MAX_POLL_INTERVAL) {
            this.reader.0.store(true, Ordering::Relaxed);
        }
        this.stream.as_mut().poll_next(context)
    }
}
