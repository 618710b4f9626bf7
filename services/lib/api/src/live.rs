//! Live streams whose updates are no numbered items: the state of what changed, as it is when it is sent.

use std::{future::Future, pin::Pin};

use futures::{Stream, stream};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;

use crate::{
    ApiError,
    deadlines::{self, StreamEndReason},
    slow_reader::{SlowReader, Watched},
    watch::{HEARTBEAT_INTERVAL, stopping},
};

/// Where the updates of a live stream come from.
pub trait LiveUpdates: Send + 'static {
    /// An update.
    type Update: Send;

    /// The next update, or the error that ends the stream. Dropping the future loses no update.
    fn next(&mut self) -> impl Future<Output = Result<Self::Update, Status>> + Send;

    /// What is sent after 20 seconds without another update.
    fn heartbeat(&mut self) -> Result<Self::Update, Status>;

    /// The cursor from which the client goes on after what was sent.
    fn cursor(&mut self) -> Result<String, Status>;
}

/// A stream of the updates, with heartbeats. It ends with an error when this replica shuts down, when the caller's token or
/// deadline expires, at its maximum age, and when the client reads it again after a pause that was too long; its metadata has the
/// cursor from which the client goes on.
pub fn live_stream<U: LiveUpdates>(
    updates: U,
    shutdown: CancellationToken,
) -> impl Stream<Item = Result<U::Update, Status>> + Send {
    let reader = SlowReader::default();
    let live = Box::new(Live {
        updates,
        shutdown: Box::pin(shutdown.cancelled_owned()),
        timer: Box::pin(tokio::time::sleep(HEARTBEAT_INTERVAL)),
        last_sent: Instant::now(),
        end: deadlines::stream_end(),
        reader: reader.clone(),
        ended: false,
    });
    let updates = stream::unfold(live, |mut live| async move {
        if live.ended {
            return None;
        }
        let update = live.next().await;
        live.ended = update.is_err();
        live.last_sent = Instant::now();
        Some((update, live))
    });
    Watched::new(updates, reader)
}

struct Live<U> {
    updates: U,
    shutdown: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Fires at the next heartbeat or at the end, or earlier: it is set again when it fires, not for each update.
    timer: Pin<Box<Sleep>>,
    last_sent: Instant,
    end: Option<(Instant, StreamEndReason)>,
    reader: SlowReader,
    ended: bool,
}

impl<U: LiveUpdates> Live<U> {
    async fn next(&mut self) -> Result<U::Update, Status> {
        loop {
            let now = Instant::now();
            if let Some((at, reason)) = self.end
                && now >= at
            {
                return Err(self.with_cursor(reason.error()));
            }
            if let Some(error) = self.reader.error() {
                return Err(self.with_cursor(error));
            }
            let next_heartbeat = self.last_sent + HEARTBEAT_INTERVAL;
            if now >= next_heartbeat {
                return self.updates.heartbeat();
            }
            let next = self.end.map_or(next_heartbeat, |(end, _)| end.min(next_heartbeat));
            if self.timer.is_elapsed() || self.timer.deadline() > next {
                self.timer.as_mut().reset(next);
            }
            tokio::select! {
                update = self.updates.next() => return update,
                () = &mut self.timer => {}
                () = &mut self.shutdown => return Err(self.with_cursor(stopping())),
            }
        }
    }

    fn with_cursor(&mut self, error: ApiError) -> Status {
        match self.updates.cursor() {
            Ok(cursor) => error.with("cursor", cursor).into(),
            Err(status) => status,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use tonic_types::StatusExt;

    use super::*;
    use crate::{has_reason, slow_reader::MAX_POLL_INTERVAL};

    /// Sends 1, 2, 3 …
    struct Numbers(i64);

    impl LiveUpdates for Numbers {
        type Update = i64;

        async fn next(&mut self) -> Result<i64, Status> {
            self.0 += 1;
            Ok(self.0)
        }

        fn heartbeat(&mut self) -> Result<i64, Status> {
            Ok(0)
        }

        fn cursor(&mut self) -> Result<String, Status> {
            Ok(self.0.to_string())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn c10_a_live_stream_that_was_not_read_ends_with_its_cursor() {
        let mut stream = Box::pin(live_stream(Numbers(0), CancellationToken::new()));
        for number in 1..=3 {
            assert_eq!(stream.next().await.unwrap().unwrap(), number);
        }
        tokio::time::advance(MAX_POLL_INTERVAL).await;
        let status = stream.next().await.unwrap().unwrap_err();
        assert!(has_reason(&status, "SLOW_READER"), "{status:?}");
        assert_eq!(status.get_details_error_info().unwrap().metadata["cursor"], "3");
        assert!(stream.next().await.is_none());
    }
}
