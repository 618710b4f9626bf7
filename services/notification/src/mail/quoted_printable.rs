//! The quoted-printable encoding (RFC 2045, 6.7), byte for byte that of the mail library, which takes several times as long for a long
//! transcript.

use lettre::message::{Body, header::ContentTransferEncoding};

/// Maximum length of a line (characters), with the `=` at its end.
const MAX_LINE: usize = 76;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Returns the body of a part: encoded here if the mail library would choose this encoding, otherwise by the library.
pub(super) fn body(text: String) -> Body {
    if is_chosen(&text) {
        Body::dangerous_pre_encoded(encode(text.as_bytes()), ContentTransferEncoding::QuotedPrintable)
    } else {
        Body::new(text)
    }
}

/// Returns whether the mail library encodes the text so, and the text has the line ends of mails.
fn is_chosen(text: &str) -> bool {
    Shape::of(text, true).is_chosen(text.len())
}

/// What decides about the encoding of a text.
#[derive(Clone, Copy, Debug)]
struct Shape {
    /// Each line ends as in mails.
    has_line_ends: bool,
    /// A line is longer than an encoded one.
    is_long: bool,
    is_ascii: bool,
    /// Number of bytes that are no visible characters of ASCII, nor blanks.
    escaped: usize,
}

impl Shape {
    /// `begins`: no other piece of the text is before this one.
    fn of(text: &str, begins: bool) -> Self {
        // The library counts the end of the line before, which the first one does not have.
        let (mut start, mut end_before, mut is_long, mut has_line_ends) = (0, usize::from(!begins), false, true);
        for (at, _) in text.match_indices('\n') {
            has_line_ends &= text[..at].ends_with('\r');
            is_long |= at - start + end_before >= MAX_LINE;
            (start, end_before) = (at + 1, 1);
        }
        is_long |= text.len() - start + end_before >= MAX_LINE;
        let escaped = text.bytes().filter(|byte| !matches!(byte, b'\t' | b' '..=b'~')).count();
        Self { has_line_ends, is_long, is_ascii: text.is_ascii(), escaped }
    }

    /// Returns the shape of a text of two pieces, the first of which ends with a line.
    fn and(self, next: Self) -> Self {
        Self {
            has_line_ends: self.has_line_ends && next.has_line_ends,
            is_long: self.is_long || next.is_long,
            is_ascii: self.is_ascii && next.is_ascii,
            escaped: self.escaped + next.escaped,
        }
    }

    /// `length`: that of the text (bytes).
    fn is_chosen(self, length: usize) -> bool {
        self.has_line_ends && (self.is_long || !self.is_ascii) && self.escaped <= length / 3
    }
}

/// A piece of a text, and its encoding, which is used if the whole text is encoded so.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    text: String,
    encoded: Vec<u8>,
    shape: Shape,
}

impl Piece {
    /// Encodes a piece. `begins`: no other one is before it.
    pub(super) fn new(text: String, begins: bool) -> Self {
        Self { encoded: encode(text.as_bytes()), shape: Shape::of(&text, begins), text }
    }
}

/// Returns the body of a part that consists of these pieces, each of which ends with a line, but for the last. It is that of [`body`] for the
/// whole text.
pub(super) fn body_of(pieces: Vec<Piece>) -> Body {
    let length: usize = pieces.iter().map(|piece| piece.text.len()).sum();
    let shape = pieces.iter().map(|piece| piece.shape).reduce(Shape::and);
    if shape.is_some_and(|shape| shape.is_chosen(length)) {
        let mut encoded = Vec::with_capacity(pieces.iter().map(|piece| piece.encoded.len()).sum());
        // Each is freed when it is copied.
        for piece in pieces {
            encoded.extend_from_slice(&piece.encoded);
        }
        Body::dangerous_pre_encoded(encoded, ContentTransferEncoding::QuotedPrintable)
    } else {
        Body::new(pieces.into_iter().map(|piece| piece.text).collect::<String>())
    }
}

/// Returns whether the byte stands for itself.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~') && byte != b'='
}

fn encode(text: &[u8]) -> Vec<u8> {
    let mut lines = Lines { encoded: Vec::with_capacity(text.len() + text.len() / 8), on_line: 0, last: 0 };
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'\r' && after.first() == Some(&b'\n') {
            lines.end();
            rest = &after[1..];
            continue;
        }
        // As many as fit before the last two characters of the line.
        let room = (MAX_LINE - lines.on_line).saturating_sub(2);
        let run = rest.iter().take(room).take_while(|byte| is_plain(**byte)).count();
        if run > 0 {
            lines.push_run(&rest[..run]);
            rest = &rest[run..];
            continue;
        }
        lines.push_byte(byte);
        rest = after;
    }
    lines.encode_last_blank();
    lines.encoded
}

/// The lines that are encoded so far.
struct Lines {
    encoded: Vec<u8>,
    /// Length of the last line.
    on_line: usize,
    /// Where what was pushed last begins; after a run its end.
    last: usize,
}

impl Lines {
    fn push_run(&mut self, run: &[u8]) {
        self.encoded.extend_from_slice(run);
        self.on_line += run.len();
        self.last = self.encoded.len();
    }

    fn push_byte(&mut self, byte: u8) {
        if is_plain(byte) {
            self.push(&[byte]);
        } else {
            self.push(&[b'=', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }

    /// Pushes what must not be divided, on the next line if it does not fit.
    fn push(&mut self, one: &[u8]) {
        if self.on_line + one.len() > MAX_LINE {
            if self.on_line == MAX_LINE {
                // The line has no room for its `=`: what was pushed last is on the next one.
                self.on_line = self.encoded.len() - self.last;
                drop(self.encoded.splice(self.last..self.last, *b"=\r\n"));
            } else {
                self.encoded.extend_from_slice(b"=\r\n");
                self.on_line = 0;
            }
        }
        self.last = self.encoded.len();
        self.encoded.extend_from_slice(one);
        self.on_line += one.len();
    }

    fn end(&mut self) {
        self.encode_last_blank();
        self.encoded.extend_from_slice(b"\r\n");
        self.on_line = 0;
    }

    /// A line does not end with a blank, which mail servers may remove.
    fn encode_last_blank(&mut self) {
        if let Some(&blank @ (b' ' | b'\t')) = self.encoded.last() {
            self.encoded.pop();
            self.on_line -= 1;
            self.push(&[b'=', HEX[usize::from(blank >> 4)], HEX[usize::from(blank & 15)]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &str) -> (String, ContentTransferEncoding) {
        let body = body(text.to_owned());
        (String::from_utf8(body.as_ref().to_vec()).unwrap(), body.encoding())
    }

    #[test]
    fn t6_a_long_line_is_broken_and_what_is_not_ascii_is_escaped() {
        let (text, encoding) = encoded(&format!("{}\r\nGrüße=\r\nblank \r\n", "x".repeat(80)));
        let first = format!("{}=\r\n{}", "x".repeat(75), "x".repeat(5));
        assert_eq!(text, format!("{first}\r\nGr=C3=BC=C3=9Fe=3D\r\nblank=20\r\n"));
        assert_eq!(encoding, ContentTransferEncoding::QuotedPrintable);
        assert_eq!(encoded("short\r\n").1, ContentTransferEncoding::SevenBit);
        assert_eq!(encoded("漢字").1, ContentTransferEncoding::Base64);
    }

    #[test]
    fn t6_s8_any_text_has_the_bytes_of_the_mail_librarys_encoding() {
        const PIECES: &[&str] = &[
            "\r\n",
            "\n",
            "\r",
            " ",
            "\t",
            "=",
            "ü",
            "漢",
            "a",
            "0123456789",
            "the quick brown fox jumps over the lazy dog, twice and then once more",
            "<div dir=\"auto\" style=\"text-align:start\">",
            "\u{1f600}",
        ];
        frontdesk_fuzz::check!().with_generator(frontdesk_fuzz::text(PIECES, 64)).for_each(|text| {
            let (ours, library) = (body(text.clone()), Body::new(text.clone()));
            assert_eq!(ours.encoding(), library.encoding(), "{text:?}");
            assert!(ours.as_ref() == library.as_ref(), "{text:?}: {:?}", String::from_utf8_lossy(ours.as_ref()));
            let lines = text.split_inclusive("\r\n").enumerate();
            let pieces = body_of(lines.map(|(number, line)| Piece::new(line.to_owned(), number == 0)).collect());
            assert_eq!(pieces.encoding(), library.encoding(), "{text:?}");
            assert!(pieces.as_ref() == library.as_ref(), "{text:?}: {:?}", String::from_utf8_lossy(pieces.as_ref()));
        });
    }
}
