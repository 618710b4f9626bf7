//! Messages of PostgreSQL: a type, a length, and what it says. The first one of a connection has no type.

use std::sync::atomic::{AtomicBool, Ordering};

const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;

/// What one direction of a connection knows of the other.
#[derive(Default)]
pub(super) struct Commits(AtomicBool);

impl Commits {
    /// The next answer is not passed on.
    pub(super) fn swallow(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(super) fn swallows(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Follows the messages of a client.
pub(super) struct Messages {
    waiting: Vec<u8>,
    greets: bool,
}

impl Messages {
    pub(super) fn new(greets: bool) -> Self {
        Self { waiting: Vec::new(), greets }
    }

    /// Reads more of them. True: a COMMIT is among those that are whole now.
    pub(super) fn hold_commit(&mut self, bytes: &[u8]) -> bool {
        self.waiting.extend_from_slice(bytes);
        let (mut begin, mut commits) = (0, false);
        while let Some(length) = self.length(&self.waiting[begin..]) {
            let message = &self.waiting[begin..begin + length];
            if self.greets {
                let code = message.get(4..8).map_or(0, |code| u32::from_be_bytes([code[0], code[1], code[2], code[3]]));
                self.greets = matches!(code, SSL_REQUEST | GSS_REQUEST);
            } else {
                commits |= is_commit(message);
            }
            begin += length;
        }
        self.waiting.drain(..begin);
        commits
    }

    fn length(&self, bytes: &[u8]) -> Option<usize> {
        let kind = usize::from(!self.greets);
        let length = bytes.get(kind..kind + 4)?;
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize + kind;
        (bytes.len() >= length).then_some(length)
    }
}

/// A simple query `COMMIT`, or a parsed one.
fn is_commit(message: &[u8]) -> bool {
    let says = match message.first() {
        Some(b'Q') => message.get(5..),
        // After the name of the statement, which is empty or ends with a zero.
        Some(b'P') => {
            message.get(5..).and_then(|rest| rest.iter().position(|byte| *byte == 0).map(|end| &rest[end + 1..]))
        }
        _ => None,
    };
    says.is_some_and(|says| says.len() >= 6 && says[..6].eq_ignore_ascii_case(b"COMMIT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_seen_wherever_the_bytes_are() {
        let mut stream = vec![0, 0, 0, 8, 4, 210, 22, 47, 0, 0, 0, 9, 0, 3, 0, 0, 0];
        for query in ["BEGIN", "SELECT 'COMMIT'", "COMMIT"] {
            stream.push(b'Q');
            stream.extend_from_slice(&(query.len() as u32 + 5).to_be_bytes());
            stream.extend_from_slice(query.as_bytes());
            stream.push(0);
        }
        for step in 1..stream.len() {
            let mut messages = Messages::new(true);
            let seen: Vec<bool> = stream.chunks(step).map(|bytes| messages.hold_commit(bytes)).collect();
            assert_eq!(seen.iter().filter(|commits| **commits).count(), 1, "in steps of {step}");
            assert_eq!(seen.last(), Some(&true));
        }
    }
}
