//! Live streams: what is there after a cursor, then what comes. Hints say when to read again; the database says what.

use std::{future::Future, sync::Arc, time::Duration};

use frontdesk_proto::auth::v1::Reason;
use futures::{Stream, stream};
use moka::future::Cache;
use prost::Message;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{
    Refusal,
    deadline::{self, Why},
};

/// A lost hint costs at most so long.
const READ_AT_LEAST_EVERY: Duration = Duration::from_secs(10);
/// What was read is kept so long for others who want the same.
const KEEP: Duration = Duration::from_secs(2);
/// And so many bytes at most.
const KEEP_AT_MOST: u64 = 64 * 1024 * 1024;

/// Items with their numbers, in order, as one read gave them.
pub type Read<T> = Arc<Vec<(i64, T)>>;

/// What was read lately: a thousand readers of one thing who saw the same hint are served by one read.
#[derive(Clone)]
pub struct Reads<T>(Cache<(Uuid, i64, u64), Read<T>>);

impl<T: Message + 'static> Default for Reads<T> {
    fn default() -> Self {
        let bytes = |_: &_, read: &Read<T>| {
            let items: usize = read.iter().map(|(_, item)| item.encoded_len()).sum();
            u32::try_from(items).unwrap_or(u32::MAX).max(1)
        };
        Self(Cache::builder().weigher(bytes).max_capacity(KEEP_AT_MOST).time_to_live(KEEP).build())
    }
}

impl<T: Message + 'static> Reads<T> {
    /// What comes after `after` in the thing, for who saw this hint; read now, unless somebody did or does just now.
    async fn after(
        &self,
        id: Uuid,
        after: i64,
        hint: u64,
        read: impl Future<Output = Result<Vec<(i64, T)>, Status>>,
    ) -> Result<Read<T>, Status> {
        let read = async { read.await.map(Arc::new) };
        self.0.try_get_with((id, after, hint), read).await.map_err(|status| (*status).clone())
    }
}

/// What a stream follows.
pub struct Followed<T> {
    /// The thing.
    pub id: Uuid,
    /// The last number that the reader has.
    pub cursor: i64,
    /// Hints about the thing.
    pub hints: watch::Receiver<u64>,
    /// The reads that are shared with others.
    pub reads: Reads<T>,
}

/// A stream of the items after the cursor. `read` gives the next few after a number, each with its own, in order; what it
/// gives must be the same for everybody who follows the thing. An item is sent only when the reader has room, so a slow
/// reader holds no more than what one read gives. The stream ends when this replica stops, when the caller's token or deadline
/// does, and when it is old; then the reader resumes with the last number.
pub fn follow<T, R, F>(
    followed: Followed<T>,
    shutdown: CancellationToken,
    read: R,
) -> impl Stream<Item = Result<T, Status>> + Send
where
    T: Message + Clone + 'static,
    R: Fn(i64) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Vec<(i64, T)>, Status>> + Send,
{
    struct State<R, T> {
        followed: Followed<T>,
        /// What was read, and how much of it is sent.
        waiting: (Read<T>, usize),
        shutdown: CancellationToken,
        read: R,
        /// What was read lately may serve; not when hints may have been lost.
        shared: bool,
        until: Option<(Instant, Why)>,
        ended: bool,
    }
    let until = deadline::open_until();
    let start = State { followed, waiting: (Arc::default(), 0), shutdown, read, shared: true, until, ended: false };
    stream::unfold(start, |mut state| async move {
        if state.ended {
            return None;
        }
        loop {
            // Also while there is always more to send.
            if let Some((at, why)) = state.until
                && Instant::now() >= at
            {
                state.ended = true;
                return Some((Err(why.refusal().with("cursor", state.followed.cursor).into()), state));
            }
            if let Some((number, item)) = state.waiting.0.get(state.waiting.1) {
                state.followed.cursor = *number;
                state.waiting.1 += 1;
                return Some((Ok(item.clone()), state));
            }
            // Seen before the read: what commits during the read hints again.
            let hint = *state.followed.hints.borrow_and_update();
            let Followed { id, cursor, reads, .. } = &state.followed;
            let reading = (state.read)(*cursor);
            let found =
                if state.shared { reads.after(*id, *cursor, hint, reading).await } else { reading.await.map(Arc::new) };
            state.shared = true;
            match found {
                Ok(items) if items.is_empty() => {}
                Ok(items) => {
                    state.waiting = (items, 0);
                    continue;
                }
                Err(status) => {
                    state.ended = true;
                    return Some((Err(status), state));
                }
            }
            let over = async {
                match state.until {
                    Some((at, _)) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = over => {}
                () = state.shutdown.cancelled() => {
                    state.ended = true;
                    let why = "this replica is stopping; call again with the last number you saw";
                    let refusal = Refusal::shared(Code::Unavailable, Reason::ShuttingDown, why);
                    return Some((Err(refusal.with("cursor", state.followed.cursor).into()), state));
                }
                hint = state.followed.hints.changed() => {
                    if hint.is_err() {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        state.shared = false;
                    }
                }
                () = tokio::time::sleep(READ_AT_LEAST_EVERY) => state.shared = false,
            }
        }
    })
}
