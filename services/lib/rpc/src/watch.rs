//! Live streams: what is there after a cursor, then what comes. Hints say when to read again; the database says what.

use std::{collections::VecDeque, future::Future, time::Duration};

use frontdesk_proto::auth::v1::Reason;
use futures::{Stream, stream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::Refusal;

/// A lost hint costs at most so long.
const READ_AT_LEAST_EVERY: Duration = Duration::from_secs(10);

/// A stream of the items after `cursor`. `read` gives the next few after a number, each with its own, in order; an item is
/// read only when the reader has room, so a slow reader holds no more than what one read gives. The stream ends with
/// UNAVAILABLE when this replica stops, and the reader resumes elsewhere with the last number.
pub fn follow<T, R, F>(
    cursor: i64,
    hints: watch::Receiver<()>,
    shutdown: CancellationToken,
    read: R,
) -> impl Stream<Item = Result<T, Status>> + Send
where
    T: Send,
    R: Fn(i64) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Vec<(i64, T)>, Status>> + Send,
{
    struct State<R, T> {
        cursor: i64,
        waiting: VecDeque<(i64, T)>,
        hints: watch::Receiver<()>,
        shutdown: CancellationToken,
        read: R,
        ended: bool,
    }
    let start = State { cursor, waiting: VecDeque::new(), hints, shutdown, read, ended: false };
    stream::unfold(start, |mut state| async move {
        if state.ended {
            return None;
        }
        loop {
            if let Some((number, item)) = state.waiting.pop_front() {
                state.cursor = number;
                return Some((Ok(item), state));
            }
            // Seen before the read: what commits during the read hints again.
            state.hints.borrow_and_update();
            match (state.read)(state.cursor).await {
                Ok(items) if items.is_empty() => {}
                Ok(items) => {
                    state.waiting = items.into();
                    continue;
                }
                Err(status) => {
                    state.ended = true;
                    return Some((Err(status), state));
                }
            }
            tokio::select! {
                () = state.shutdown.cancelled() => {
                    state.ended = true;
                    let why = "this replica is stopping; call again with the last number you saw";
                    let refusal = Refusal::shared(Code::Unavailable, Reason::ShuttingDown, why).with("cursor", state.cursor);
                    return Some((Err(refusal.into()), state));
                }
                hint = state.hints.changed() => {
                    if hint.is_err() {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
                () = tokio::time::sleep(READ_AT_LEAST_EVERY) => {}
            }
        }
    })
}
