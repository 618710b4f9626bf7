//! Live streams whose updates are no numbered items: the state of what changed, as it is when it is sent.

use std::{future::Future, pin::Pin};

use futures::{Stream, stream};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;

use crate::{
    ApiError,
    deadlines::{self, StreamEndReason},
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
/// deadline expires, and at its maximum age; its metadata has the cursor from which the client goes on.
pub fn live_stream<U: LiveUpdates>(
    updates: U,
    shutdown: CancellationToken,
) -> impl Stream<Item = Result<U::Update, Status>> + Send {
    let live = Box::new(Live {
        updates,
        shutdown: Box::pin(shutdown.cancelled_owned()),
        timer: Box::pin(tokio::time::sleep(HEARTBEAT_INTERVAL)),
        last_sent: Instant::now(),
        end: deadlines::stream_end(),
        ended: false,
    });
    stream::unfold(live, |mut live| async move {
        if live.ended {
            return None;
        }
        let update = live.next().await;
        live.ended = update.is_err();
        live.last_sent = Instant::now();
        Some((update, live))
    })
}

struct Live<U> {
    updates: U,
    shutdown: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Fires at the next heartbeat or at the end, or earlier: it is set again when it fires, not for each update.
    timer: Pin<Box<Sleep>>,
    last_sent: Instant,
    end: Option<(Instant, StreamEndReason)>,
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
