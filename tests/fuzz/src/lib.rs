//! Fuzzing of the parsers that read untrusted bytes (row S8).
//!
//! A crate with such a parser has a test that begins with `s8_` and calls [`check!`]. `cargo test` gives it random input for one
//! second, `make test` for ten; `make fuzz` runs the same test under libFuzzer, which searches for input that reaches new code.

pub use bolero::check;
use bolero::{TypeGenerator, ValueGenerator, produce};

/// A character of a generated text.
#[derive(Clone, Copy, Debug, TypeGenerator)]
enum Part {
    /// One of the pieces of the format, by its place.
    Piece(u8),
    /// A printable character of ASCII or a control character.
    Ascii(u8),
    /// Any character.
    Any(char),
}

/// Texts of at most `max_parts` parts, each a piece to which the format gives a meaning, or a character.
pub fn text(pieces: &'static [&'static str], max_parts: usize) -> impl ValueGenerator<Output = String> {
    let parts = produce::<Vec<Part>>().with().len(0..=max_parts);
    parts.map_gen(move |parts| parts.into_iter().fold(String::new(), |text, part| text + &write(pieces, part)))
}

fn write(pieces: &[&str], part: Part) -> String {
    match part {
        Part::Piece(place) => {
            pieces.get(usize::from(place) % pieces.len().max(1)).copied().unwrap_or_default().to_owned()
        }
        Part::Ascii(byte) => char::from(byte & 0x7f).to_string(),
        Part::Any(char) => char.to_string(),
    }
}

/// Bytes of at most `max` length.
pub fn bytes(max: usize) -> impl ValueGenerator<Output = Vec<u8>> {
    produce::<Vec<u8>>().with().len(0..=max)
}
