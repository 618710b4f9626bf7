//! The messages of PostgreSQL: a type, a length and a body. The first message of a connection has no type.

use std::sync::atomic::{AtomicBool, Ordering};

const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;

/// Whether the reply to a commit is to be lost; shared by the two directions of a connection.
#[derive(Default)]
pub(super) struct CommitReply(AtomicBool);

impl CommitReply {
    /// The next reply is not forwarded.
    pub(super) fn lose(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(super) fn is_lost(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Parses the messages of a client.
pub(super) struct Messages {
    /// The beginning of an incomplete message.
    buffer: Vec<u8>,
    /// Whether the next message is a startup message, which has no type.
    is_startup: bool,
}

impl Messages {
    pub(super) fn new(is_startup: bool) -> Self {
        Self { buffer: Vec::new(), is_startup }
    }

    /// Adds bytes. Returns true if a COMMIT is among the messages that are complete now.
    pub(super) fn contain_commit(&mut self, bytes: &[u8]) -> bool {
        self.buffer.extend_from_slice(bytes);
        let (mut begin, mut commits) = (0, false);
        while let Some(length) = self.length(&self.buffer[begin..]) {
            let message = &self.buffer[begin..begin + length];
            if self.is_startup {
                let code = message.get(4..8).map_or(0, |code| u32::from_be_bytes([code[0], code[1], code[2], code[3]]));
                self.is_startup = matches!(code, SSL_REQUEST | GSS_REQUEST);
            } else {
                commits |= is_commit(message);
            }
            begin += length;
        }
        self.buffer.drain(..begin);
        commits
    }

    fn length(&self, bytes: &[u8]) -> Option<usize> {
        let type_length = usize::from(!self.is_startup);
        let length = bytes.get(type_length..type_length + 4)?;
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize + type_length;
        (bytes.len() >= length).then_some(length)
    }
}

/// Whether the message is a simple query or a Parse message with the statement `COMMIT`.
fn is_commit(message: &[u8]) -> bool {
    let statement = match message.first() {
        Some(b'Q') => message.get(5..),
        // After the name of the prepared statement, which ends with a zero byte.
        Some(b'P') => {
            message.get(5..).and_then(|rest| rest.iter().position(|byte| *byte == 0).map(|end| &rest[end + 1..]))
        }
        _ => None,
    };
    statement.is_some_and(|statement| statement.len() >= 6 && statement[..6].eq_ignore_ascii_case(b"COMMIT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_found_however_the_bytes_are_split() {
        let mut stream = vec![0, 0, 0, 8, 4, 210, 22, 47, 0, 0, 0, 9, 0, 3, 0, 0, 0];
        for query in ["BEGIN", "SELECT 'COMMIT'", "COMMIT"] {
            stream.push(b'Q');
            stream.extend_from_slice(&(query.len() as u32 + 5).to_be_bytes());
            stream.extend_from_slice(query.as_bytes());
            stream.push(0);
        }
        for step in 1..stream.len() {
            let mut messages = Messages::new(true);
            let found: Vec<bool> = stream.chunks(step).map(|bytes| messages.contain_commit(bytes)).collect();
            assert_eq!(found.iter().filter(|found| **found).count(), 1, "in steps of {step}");
            assert_eq!(found.last(), Some(&true));
        }
    }
}
