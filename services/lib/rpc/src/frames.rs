//! Counts what a connection sends beside calls. The transport answers pings and settings without end; whoever sends thousands
//! of them a second is no client.

use std::time::Instant;

/// So many at once …
const BURST: f64 = 2_000.0;
/// … and so many a second for long, beside what the answers that we send ask for: a client acknowledges them by opening its
/// windows, and measures its line with a ping now and then.
const A_SECOND: f64 = 200.0;
const BYTES_FOR_ONE: f64 = 32.0;

/// So many calls may be hung up together.
const MAY_HANG_UP: f64 = 10_000.0;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const END_STREAM: u8 = 1;
/// Length, type, flags, stream.
const HEADER: usize = 9;

/// Finds the heads of HTTP/2 frames among bytes that pass by in pieces.
#[derive(Default)]
struct Heads {
    head: [u8; HEADER],
    have: usize,
    /// Of the payload that is still to come.
    skip: usize,
}

/// A frame, by its head.
struct Head {
    kind: u8,
    flags: u8,
    length: usize,
}

impl Heads {
    /// The next head in the bytes, which are then those after it. None: the bytes are at their end.
    fn next(&mut self, bytes: &mut &[u8]) -> Option<Head> {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        *bytes = &bytes[skipped..];
        let taken = (HEADER - self.have).min(bytes.len());
        self.head[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
        self.have += taken;
        *bytes = &bytes[taken..];
        if self.have < HEADER {
            return None;
        }
        let [high, middle, low, kind, flags, ..] = self.head;
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        (self.have, self.skip) = (0, length);
        Some(Head { kind, flags, length })
    }
}

/// Counts the frames of a connection.
pub(crate) struct Frames {
    theirs: Heads,
    ours: Heads,
    /// Calls that were made and not hung up.
    calls: f64,
    left: f64,
    counted_at: Instant,
}

/// More than an honest client sends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

impl Frames {
    pub(crate) fn new(now: Instant) -> Self {
        Self { theirs: Heads::default(), ours: Heads::default(), calls: 0.0, left: BURST, counted_at: now }
    }

    /// The connection sent us these bytes.
    pub(crate) fn received(&mut self, mut bytes: &[u8], now: Instant) -> Result<(), TooMany> {
        while let Some(frame) = self.theirs.next(&mut bytes) {
            let carries_a_call = match frame.kind {
                DATA => frame.length > 0 || frame.flags & END_STREAM != 0,
                HEADERS => {
                    self.calls = (self.calls + 1.0).min(MAY_HANG_UP);
                    true
                }
                // A caller may hang up as often as they call, and the transport counts those; resets of what is over it does not.
                RST_STREAM if self.calls >= 1.0 => {
                    self.calls -= 1.0;
                    true
                }
                _ => false,
            };
            if carries_a_call {
                continue;
            }
            if self.left < 1.0 {
                let since = now.saturating_duration_since(self.counted_at);
                self.left = (self.left + A_SECOND * since.as_secs_f64()).min(BURST);
                self.counted_at = now;
            }
            self.left -= 1.0;
            if self.left < 0.0 {
                return Err(TooMany);
            }
        }
        Ok(())
    }

    /// We sent these bytes: answers count, acknowledgements do not.
    pub(crate) fn sent(&mut self, mut bytes: &[u8]) {
        while let Some(frame) = self.ours.next(&mut bytes) {
            if matches!(frame.kind, DATA | HEADERS) {
                self.left = (self.left + (HEADER + frame.length) as f64 / BYTES_FOR_ONE).min(BURST);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let mut frame = vec![0, (length >> 8) as u8, length as u8, kind, flags, 0, 0, 0, 1];
        frame.resize(HEADER + length, 0xff);
        frame
    }

    #[test]
    fn s4_control_frames_are_counted_and_calls_are_not() {
        let now = Instant::now();
        let calls: Vec<u8> = (0..10_000).flat_map(|_| [frame(HEADERS, 4, 40), frame(DATA, 1, 0)].concat()).collect();
        assert_eq!(Frames::new(now).received(&calls, now), Ok(()));
        for (kind, length) in [(6, 8), (4, 0), (RST_STREAM, 4), (DATA, 0), (8, 4), (2, 5), (9, 10)] {
            let flood: Vec<u8> = (0..2_001).flat_map(|_| frame(kind, 0, length)).collect();
            assert_eq!(Frames::new(now).received(&flood, now), Err(TooMany), "type {kind}");
            assert_eq!(Frames::new(now).received(&flood[..flood.len() / 2], now), Ok(()), "type {kind}");
        }
    }

    #[test]
    fn s4_our_acknowledgements_pay_for_nothing() {
        let (now, mut frames) = (Instant::now(), Frames::new(Instant::now()));
        let cut = (0..3_000).position(|_| {
            frames.sent(&frame(6, 1, 8));
            frames.received(&frame(6, 0, 8), now).is_err()
        });
        assert_eq!(cut, Some(2_000));
    }

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        let now = Instant::now();
        let flood: Vec<u8> = (0..2_001).flat_map(|_| [frame(DATA, 0, 300), frame(6, 0, 8)].concat()).collect();
        for size in [1, 7, 9, 64, 1_000] {
            let mut frames = Frames::new(now);
            let read: Vec<_> = flood.chunks(size).map(|bytes| frames.received(bytes, now)).collect();
            // With the last ping's head, before its eight bytes.
            let at = read.iter().position(Result::is_err).unwrap();
            assert!(at + 2 + 8 / size >= read.len(), "in pieces of {size}: {at} of {}", read.len());
        }
    }

    #[test]
    fn an_honest_client_of_many_small_answers_is_not_cut() {
        let now = Instant::now();
        let mut frames = Frames::new(now);
        for _ in 0..100_000 {
            // An answer of sixty bytes, and the window opened again for the stream and the connection.
            frames.sent(&frame(DATA, 0, 55));
            assert_eq!(frames.received(&[frame(8, 0, 4), frame(8, 0, 4)].concat(), now), Ok(()));
        }
        for second in 0..100 {
            let now = now + Duration::from_secs(second);
            assert_eq!(frames.received(&frame(6, 0, 8).repeat(200), now), Ok(()), "and pings, over a long time");
        }
    }
}
