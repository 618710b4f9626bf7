//! A rate limiter for the HTTP/2 control frames of a connection: pings, settings, priorities, window updates, empty data and resets of
//! streams that are over. h2 answers or ignores them without a limit, so a client could keep a core busy with them.
//!
//! A token bucket: each control frame takes a token; time and the data that we send add tokens, because clients acknowledge data with
//! window updates. Frames that carry calls are free: calls have limits of their own, and h2 limits their resets.

use std::time::Instant;

/// Maximum number of tokens in the bucket: the burst of control frames that a client may send.
const MAX_TOKENS: f64 = 2_000.0;
/// Number of tokens that the bucket gains per second, beside those for data that we send: enough for keepalive and bandwidth pings.
const TOKENS_PER_SECOND: f64 = 200.0;
/// Number of bytes that we send for each token that the bucket gains.
const BYTES_PER_TOKEN: f64 = 32.0;
/// Maximum number of calls whose resets are still free.
const MAX_PENDING_RESETS: f64 = 10_000.0;

/// Frame types and a flag of RFC 9113.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const END_STREAM: u8 = 1;

/// Size of a frame header in bytes: length (3), type, flags, stream (4).
pub(super) const FRAME_HEADER_SIZE: usize = 9;

/// A frame header.
struct FrameHeader {
    kind: u8,
    flags: u8,
    /// Length of the payload in bytes.
    length: usize,
}

/// Finds the frame headers in bytes that arrive in pieces.
#[derive(Default)]
struct FrameHeaderParser {
    header: [u8; FRAME_HEADER_SIZE],
    /// Number of bytes of the header that have arrived.
    filled: usize,
    /// Number of bytes of the current payload that have still to arrive.
    payload_left: usize,
}

impl FrameHeaderParser {
    /// The next header in the bytes, which it advances. None: the bytes end before the header does.
    fn next(&mut self, bytes: &mut &[u8]) -> Option<FrameHeader> {
        let skipped = self.payload_left.min(bytes.len());
        self.payload_left -= skipped;
        *bytes = &bytes[skipped..];
        let copied = (FRAME_HEADER_SIZE - self.filled).min(bytes.len());
        self.header[self.filled..self.filled + copied].copy_from_slice(&bytes[..copied]);
        self.filled += copied;
        *bytes = &bytes[copied..];
        if self.filled < FRAME_HEADER_SIZE {
            return None;
        }
        let [high, middle, low, kind, flags, ..] = self.header;
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        (self.filled, self.payload_left) = (0, length);
        Some(FrameHeader { kind, flags, length })
    }
}

/// Limits the control frames that a client sends on one connection.
pub(super) struct ControlFrameLimiter {
    received: FrameHeaderParser,
    sent: FrameHeaderParser,
    /// Number of calls that the client made and has not reset.
    pending_resets: f64,
    tokens: f64,
    /// When tokens were last added for time.
    refilled_at: Instant,
}

/// The client sent more control frames than it may.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooManyControlFrames;

impl ControlFrameLimiter {
    /// A limiter for a connection whose handshake has read `opening`: at most the header of the first frame.
    pub(super) fn new(opening: &[u8], now: Instant) -> Self {
        let mut limiter = Self {
            received: FrameHeaderParser::default(),
            sent: FrameHeaderParser::default(),
            pending_resets: 0.0,
            tokens: MAX_TOKENS,
            refilled_at: now,
        };
        // One frame never exceeds a full bucket.
        let _within_limit = limiter.received(opening, now);
        limiter
    }

    /// Counts the frames in bytes that the client sent.
    pub(super) fn received(&mut self, mut bytes: &[u8], now: Instant) -> Result<(), TooManyControlFrames> {
        while let Some(frame) = self.received.next(&mut bytes) {
            if !self.carries_call(&frame) {
                self.take_token(now)?;
            }
        }
        Ok(())
    }

    fn carries_call(&mut self, frame: &FrameHeader) -> bool {
        match frame.kind {
            DATA => frame.length > 0 || frame.flags & END_STREAM != 0,
            HEADERS => {
                self.pending_resets = (self.pending_resets + 1.0).min(MAX_PENDING_RESETS);
                true
            }
            // h2 counts the resets of calls in progress, but not those of streams that are over: one reset for each call is free.
            RST_STREAM if self.pending_resets >= 1.0 => {
                self.pending_resets -= 1.0;
                true
            }
            _ => false,
        }
    }

    fn take_token(&mut self, now: Instant) -> Result<(), TooManyControlFrames> {
        if self.tokens < 1.0 {
            let elapsed = now.saturating_duration_since(self.refilled_at);
            self.tokens = (self.tokens + TOKENS_PER_SECOND * elapsed.as_secs_f64()).min(MAX_TOKENS);
            self.refilled_at = now;
        }
        self.tokens -= 1.0;
        if self.tokens < 0.0 { Err(TooManyControlFrames) } else { Ok(()) }
    }

    /// Adds tokens for the data and headers in bytes that we sent; our acknowledgements add none.
    pub(super) fn sent(&mut self, mut bytes: &[u8]) {
        while let Some(frame) = self.sent.next(&mut bytes) {
            if matches!(frame.kind, DATA | HEADERS) {
                let bytes = (FRAME_HEADER_SIZE + frame.length) as f64;
                self.tokens = (self.tokens + bytes / BYTES_PER_TOKEN).min(MAX_TOKENS);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn limiter(now: Instant) -> ControlFrameLimiter {
        ControlFrameLimiter::new(&[], now)
    }

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let mut frame = vec![0, (length >> 8) as u8, length as u8, kind, flags, 0, 0, 0, 1];
        frame.resize(FRAME_HEADER_SIZE + length, 0xff);
        frame
    }

    #[test]
    fn s4_control_frames_are_limited_and_calls_are_free() {
        let now = Instant::now();
        let calls: Vec<u8> = (0..10_000).flat_map(|_| [frame(HEADERS, 4, 40), frame(DATA, 1, 0)].concat()).collect();
        assert_eq!(limiter(now).received(&calls, now), Ok(()));
        for (kind, length) in [(6, 8), (4, 0), (RST_STREAM, 4), (DATA, 0), (8, 4), (2, 5), (9, 10)] {
            let flood: Vec<u8> = (0..2_001).flat_map(|_| frame(kind, 0, length)).collect();
            assert_eq!(limiter(now).received(&flood, now), Err(TooManyControlFrames), "type {kind}");
            assert_eq!(limiter(now).received(&flood[..flood.len() / 2], now), Ok(()), "type {kind}");
        }
    }

    #[test]
    fn s4_our_acknowledgements_add_no_tokens() {
        let (now, mut limiter) = (Instant::now(), limiter(Instant::now()));
        let closed = (0..3_000).position(|_| {
            limiter.sent(&frame(6, 1, 8));
            limiter.received(&frame(6, 0, 8), now).is_err()
        });
        assert_eq!(closed, Some(2_000));
    }

    #[test]
    fn s4_frames_are_found_when_bytes_arrive_in_pieces() {
        let now = Instant::now();
        let flood: Vec<u8> = (0..2_001).flat_map(|_| [frame(DATA, 0, 300), frame(6, 0, 8)].concat()).collect();
        for size in [1, 7, 9, 64, 1_000] {
            let mut limiter = limiter(now);
            let read: Vec<_> = flood.chunks(size).map(|bytes| limiter.received(bytes, now)).collect();
            // At the last ping's header, before its eight bytes.
            let at = read.iter().position(Result::is_err).unwrap();
            assert!(at + 2 + 8 / size >= read.len(), "in pieces of {size}: {at} of {}", read.len());
        }
    }

    #[test]
    fn s4_a_client_that_acknowledges_many_small_answers_is_within_the_limit() {
        let now = Instant::now();
        let mut limiter = limiter(now);
        for _ in 0..100_000 {
            // An answer of 64 bytes, and window updates of the stream and the connection.
            limiter.sent(&frame(DATA, 0, 55));
            assert_eq!(limiter.received(&[frame(8, 0, 4), frame(8, 0, 4)].concat(), now), Ok(()));
        }
        for second in 0..100 {
            let now = now + Duration::from_secs(second);
            assert_eq!(limiter.received(&frame(6, 0, 8).repeat(200), now), Ok(()), "second {second}: 200 pings");
        }
    }

    #[test]
    fn s8_frames_count_the_same_in_whatever_pieces_they_arrive() {
        let frames = frontdesk_fuzz::bytes(256);
        frontdesk_fuzz::check!().with_generator((frames, 1_usize..40)).for_each(|(frames, piece)| {
            let now = Instant::now();
            let (mut whole, mut pieces) = (limiter(now), limiter(now));
            whole.sent(frames);
            frames.chunks(*piece).for_each(|part| pieces.sent(part));
            assert_eq!(whole.tokens, pieces.tokens);
            let received = whole.received(frames, now);
            assert_eq!(frames.chunks(*piece).try_for_each(|part| pieces.received(part, now)), received);
            assert_eq!(whole.pending_resets, pieces.pending_resets);
        });
    }
}
