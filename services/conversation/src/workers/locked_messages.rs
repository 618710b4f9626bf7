//! Messages whose conversation another transaction has locked. They are tried again after a pause, and the worker writes the
//! messages of other conversations meanwhile.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use super::message_writer::QueuedWrite;
use crate::store::conversation_batch::RowKey;

/// Pause before the first further attempt.
pub(super) const MIN_PAUSE: Duration = Duration::from_millis(5);
/// Maximum pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_millis(250);
/// How long a message waits for the lock before its caller is asked to repeat it.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(10);

/// Pause before the next attempt of a message that has waited this long.
pub(super) fn pause(waited: Duration) -> Duration {
    (waited / 2).clamp(MIN_PAUSE, MAX_PAUSE)
}

/// The messages of one worker that wait, by conversation.
#[derive(Default)]
pub(super) struct LockedMessages(HashMap<RowKey, Waiting>);

struct Waiting {
    /// In the order in which they arrived.
    messages: Vec<QueuedWrite>,
    retry_at: Instant,
}

impl LockedMessages {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When the next message is to be tried again. None: no message waits.
    pub(super) fn next_retry(&self) -> Option<Instant> {
        self.0.values().map(|waiting| waiting.retry_at).min()
    }

    /// Adds messages whose conversation was locked at their attempt just now. Returns those that have waited too long.
    pub(super) fn add(&mut self, messages: Vec<QueuedWrite>, now: Instant) -> Vec<QueuedWrite> {
        let mut expired = Vec::new();
        for mut message in messages {
            let waited = now.saturating_duration_since(*message.locked_since.get_or_insert(now));
            if waited >= MAX_WAIT {
                expired.push(message);
                continue;
            }
            // The oldest message of the conversation decides: it is the first.
            let waiting = self.0.entry(message.row());
            let waiting = waiting.or_insert_with(|| Waiting { messages: Vec::new(), retry_at: now + pause(waited) });
            waiting.messages.push(message);
        }
        expired
    }

    /// Keeps the messages of conversations that are waited for, behind those that wait already, and returns the others.
    pub(super) fn hold_back(&mut self, messages: Vec<QueuedWrite>) -> Vec<QueuedWrite> {
        if self.is_empty() {
            return messages;
        }
        let mut others = Vec::with_capacity(messages.len());
        for message in messages {
            match self.0.get_mut(&message.row()) {
                Some(waiting) => waiting.messages.push(message),
                None => others.push(message),
            }
        }
        others
    }

    /// Removes the messages that are to be tried again now.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<QueuedWrite> {
        self.0.extract_if(|_, waiting| waiting.retry_at <= now).flat_map(|(_, waiting)| waiting.messages).collect()
    }
}
