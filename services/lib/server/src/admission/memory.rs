//! Bounds of the memory that requests and answers take while a client sends or reads them: for each connection, and for the process.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Size of a message in bytes that always has room: what the rates of callers bound is not counted here.
pub(super) const SMALL_MESSAGE: usize = 64 * 1024;
/// Maximum number of bytes of large requests that one connection may be sending.
const MAX_INCOMING_PER_CONNECTION: usize = 4 * 1024 * 1024;
/// Maximum number of bytes of large requests that all connections may be sending.
const MAX_INCOMING: usize = 64 * 1024 * 1024;
/// Maximum number of bytes of answers that one connection may leave unread.
const MAX_UNREAD_PER_CONNECTION: usize = 16 * 1024 * 1024;

/// A number of bytes in use. Clones share it.
#[derive(Clone, Debug, Default)]
struct Usage(Arc<AtomicUsize>);

impl Usage {
    /// Adds the bytes. None: there would be more than `max`.
    fn try_add(&self, bytes: usize, max: usize) -> Option<UsedBytes> {
        let used = UsedBytes { usage: self.clone(), bytes };
        (self.0.fetch_add(bytes, Ordering::Relaxed) + bytes <= max).then_some(used)
    }
}

/// Bytes in use until this is dropped.
#[derive(Debug)]
struct UsedBytes {
    usage: Usage,
    bytes: usize,
}

impl Drop for UsedBytes {
    fn drop(&mut self) {
        self.usage.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What the messages of one connection use. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConnectionMemory {
    incoming: Usage,
    unread: Usage,
}

/// The room for a message, of its connection and of the process, until this is dropped.
#[derive(Debug)]
pub(super) struct MessageMemory {
    _connection: UsedBytes,
    _process: UsedBytes,
}

/// What the messages of all connections use, and how much they may.
#[derive(Debug)]
pub(super) struct MemoryLimits {
    incoming: Usage,
    unread: Usage,
    /// Maximum number of bytes of answers that all connections may leave unread.
    max_unread: usize,
}

impl MemoryLimits {
    pub(super) fn new(max_unread: usize) -> Self {
        Self { incoming: Usage::default(), unread: Usage::default(), max_unread }
    }

    /// Room for a request of this size that is being sent. None: the connection's clients, or those of the process, send too much.
    pub(super) fn try_receive(&self, connection: &ConnectionMemory, bytes: usize) -> Option<MessageMemory> {
        let of_connection = connection.incoming.try_add(bytes, MAX_INCOMING_PER_CONNECTION)?;
        Some(MessageMemory { _connection: of_connection, _process: self.incoming.try_add(bytes, MAX_INCOMING)? })
    }

    /// Room for an answer of this size that is not read yet; a small one always has room. None: too much is unread.
    pub(super) fn try_answer(&self, connection: &ConnectionMemory, bytes: usize) -> Option<MessageMemory> {
        let is_small = bytes <= SMALL_MESSAGE;
        let max = |max| if is_small { usize::MAX } else { max };
        // One answer has room on each connection, whatever its size.
        let of_connection = max(MAX_UNREAD_PER_CONNECTION).max(bytes);
        let of_connection = connection.unread.try_add(bytes, of_connection)?;
        let of_process = self.unread.try_add(bytes, max(self.max_unread))?;
        Some(MessageMemory { _connection: of_connection, _process: of_process })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    #[test]
    fn s4_unread_answers_are_bounded_for_each_connection_and_for_the_process() {
        let (limits, one, other) =
            (MemoryLimits::new(20 * MIB), ConnectionMemory::default(), ConnectionMemory::default());
        let unread: Vec<_> = (0..16).map(|_| limits.try_answer(&one, MIB).unwrap()).collect();
        assert!(limits.try_answer(&one, MIB).is_none(), "the connection leaves 16 MiB unread");
        assert!(limits.try_answer(&one, SMALL_MESSAGE).is_some(), "a small answer has room");
        let others: Vec<_> = (0..4).map(|_| limits.try_answer(&other, MIB).unwrap()).collect();
        assert!(limits.try_answer(&other, MIB).is_none(), "all connections leave 20 MiB unread");
        drop((unread, others));
        assert!(limits.try_answer(&one, 18 * MIB).is_some(), "one answer alone has room");
    }

    #[test]
    fn s4_large_requests_are_bounded_for_each_connection_and_for_the_process() {
        let limits = MemoryLimits::new(0);
        let connections: Vec<_> = (0..17).map(|_| ConnectionMemory::default()).collect();
        let incoming: Vec<_> =
            connections.iter().flat_map(|one| (0..5).map(|_| limits.try_receive(one, MIB))).flatten().collect();
        assert_eq!(incoming.len(), 64, "four for each of sixteen connections");
        drop(incoming);
        assert!(limits.try_receive(&connections[16], MIB).is_some());
    }
}
