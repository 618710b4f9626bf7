//! Connections to the mail server that are kept open between mails.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use lettre::transport::smtp::{client::AsyncSmtpConnection, commands::Quit};
use tokio::time::timeout;

/// Maximum time that the response to QUIT or RSET is waited for.
pub(super) const MAX_FAREWELL: Duration = Duration::from_secs(1);

/// A connection that has greeted and authenticated.
pub(super) struct Open {
    pub(super) connection: AsyncSmtpConnection,
    /// Number of mails that the server has accepted or refused over it.
    pub(super) mails: u32,
}

/// A connection that no mail uses.
struct Idle {
    open: Open,
    since: Instant,
}

/// The idle connections. One that is taken out belongs to a mail, so there are never more connections than there were mails at the same
/// time.
pub(super) struct Pool {
    state: Mutex<State>,
    max_mails: u32,
    idle_timeout: Duration,
}

#[derive(Default)]
struct State {
    /// The longest idle one first.
    idle: VecDeque<Idle>,
    /// A task closes those that are idle for too long.
    is_watched: bool,
}

impl Pool {
    /// `max_mails`: maximum number of mails over a connection.
    pub(super) fn new(max_mails: u32, idle_timeout: Duration) -> Self {
        Self { state: Mutex::default(), max_mails, idle_timeout }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the connection that was used last, so that those that are not needed become idle for long enough to be closed.
    pub(super) fn take(&self) -> Option<Open> {
        let idle = self.lock().idle.pop_back()?;
        // The task that closes it has not come to it yet.
        (idle.since.elapsed() < self.idle_timeout).then_some(idle.open)
    }

    /// Keeps a connection for the next mail, or closes it if it has had enough.
    pub(super) async fn give_back(self: &Arc<Self>, open: Open) {
        if open.mails >= self.max_mails {
            return close(open).await;
        }
        let mut state = self.lock();
        state.idle.push_back(Idle { open, since: Instant::now() });
        if !std::mem::replace(&mut state.is_watched, true) {
            tokio::spawn(close_idle(Arc::downgrade(self), self.idle_timeout));
        }
    }

    /// Closes the idle connections.
    pub(super) async fn close_all(&self) {
        let idle = std::mem::take(&mut self.lock().idle);
        futures::future::join_all(idle.into_iter().map(|idle| close(idle.open))).await;
    }

    /// Returns those that are idle for too long, and when the next one is. No time: none is idle, and no task watches any more.
    fn take_expired(&self) -> (Vec<Open>, Option<Duration>) {
        let mut state = self.lock();
        let mut expired = Vec::new();
        while let Some(first) = state.idle.front() {
            let left = self.idle_timeout.saturating_sub(first.since.elapsed());
            if !left.is_zero() {
                return (expired, Some(left));
            }
            expired.extend(state.idle.pop_front().map(|idle| idle.open));
        }
        state.is_watched = false;
        (expired, None)
    }
}

/// Closes connections that are idle for too long, until none is idle or the pool is gone.
async fn close_idle(pool: Weak<Pool>, idle_timeout: Duration) {
    let mut wait = idle_timeout;
    loop {
        tokio::time::sleep(wait).await;
        let Some(pool) = pool.upgrade() else { return };
        let (expired, next) = pool.take_expired();
        drop(pool);
        futures::future::join_all(expired.into_iter().map(close)).await;
        match next {
            Some(next) => wait = next,
            None => return,
        }
    }
}

/// Closes a connection politely. A server that does not answer is not waited for.
pub(super) async fn close(mut open: Open) {
    let _ = timeout(MAX_FAREWELL, open.connection.command(Quit)).await;
}
