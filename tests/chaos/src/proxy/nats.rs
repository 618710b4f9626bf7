//! The frames of NATS: a line, followed by a payload for messages and publishes.

/// Splits a stream of bytes into frames.
#[derive(Default)]
pub(super) struct Frames {
    /// The beginning of an incomplete frame.
    buffer: Vec<u8>,
}

impl Frames {
    /// Adds bytes. Complete frames are appended to `out`, except those that `drops` selects.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>, mut drops: impl FnMut(&[u8]) -> bool) {
        self.buffer.extend_from_slice(bytes);
        let mut begin = 0;
        while let Some(length) = length(&self.buffer[begin..]) {
            let frame = &self.buffer[begin..begin + length];
            if !drops(frame) {
                out.extend_from_slice(frame);
            }
            begin += length;
        }
        self.buffer.drain(..begin);
    }
}

/// Length of the first frame in bytes, if it is complete.
fn length(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|pair| pair == b"\r\n")? + 2;
    let payload = match first_word(bytes) {
        b"PUB" | b"HPUB" | b"MSG" | b"HMSG" => last_number(&bytes[..line - 2])? + 2,
        _ => 0,
    };
    (bytes.len() >= line + payload).then_some(line + payload)
}

fn first_word(bytes: &[u8]) -> &[u8] {
    bytes.split(u8::is_ascii_whitespace).next().unwrap_or_default()
}

fn last_number(line: &[u8]) -> Option<usize> {
    std::str::from_utf8(line.rsplit(u8::is_ascii_whitespace).next()?).ok()?.parse().ok()
}

/// Whether the frame is a consumer's acknowledgement of a message.
pub(super) fn is_ack(frame: &[u8]) -> bool {
    frame.starts_with(b"PUB $JS.ACK.") && payload(frame).is_some_and(|payload| matches!(payload, b"+ACK" | b""))
}

/// Whether the frame is JetStream's acknowledgement of a published message.
pub(super) fn is_publish_ack(frame: &[u8]) -> bool {
    matches!(first_word(frame), b"MSG" | b"HMSG")
        && payload(frame).is_some_and(|payload| {
            payload.starts_with(b"{\"stream\":") && payload.windows(6).any(|window| window == b"\"seq\":")
        })
}

fn payload(frame: &[u8]) -> Option<&[u8]> {
    let line = frame.windows(2).position(|pair| pair == b"\r\n")? + 2;
    frame.get(line..frame.len().checked_sub(2)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_however_the_bytes_are_split() {
        let stream = b"PING\r\nPUB $JS.ACK.S.c.1.2.3.4.0 4\r\n+ACK\r\nMSG _INBOX.a 1 31\r\n{\"stream\":\"S\",\"seq\":1,\"x\":\"yy\"}\r\nPUB a 2\r\nhi\r\n";
        for step in 1..stream.len() {
            let (mut frames, mut out) = (Frames::default(), Vec::new());
            for bytes in stream.chunks(step) {
                frames.push(bytes, &mut out, |frame| is_ack(frame) || is_publish_ack(frame));
            }
            assert_eq!(String::from_utf8_lossy(&out), "PING\r\nPUB a 2\r\nhi\r\n", "in steps of {step}");
        }
    }

    #[test]
    fn a_negative_acknowledgement_is_no_acknowledgement() {
        assert!(!is_ack(b"PUB $JS.ACK.S.c.1.2.3.4.0 4\r\n-NAK\r\n"));
        assert!(!is_publish_ack(b"MSG _INBOX.a 1 13\r\n{\"stream\":\"S\"}\r\n"));
    }
}
