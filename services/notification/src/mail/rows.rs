//! The rows of a transcript's mail, rendered page by page while the thread is read.

use frontdesk_clock::Time;

use super::{
    ComposeError, ComposedMail, Envelope,
    language::Language,
    message,
    parts::Style,
    quoted_printable::{self, Piece},
    templates::{self, HTML, TEXT},
    transcript::{rows, view_around_rows},
    values::fields,
};
use crate::domain::{Transcript, TranscriptLine};

/// The rows of consecutive lines in both parts of a mail, by the shipped templates.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    html: Piece,
    text: Piece,
}

/// Renders and encodes the rows of these lines. `previous`: time of the line before them.
pub(crate) fn render_rows(
    lines: &[TranscriptLine],
    style: &Style<'_>,
    previous: Option<Time>,
) -> Result<Rows, ComposeError> {
    let values = fields([("rows", rows(lines, style, previous).into_iter().collect())]);
    let piece =
        |name| -> Result<Piece, ComposeError> { Ok(Piece::new(templates::render_values(name, &values)?, false)) };
    Ok(Rows { html: piece(HTML.rows)?, text: piece(TEXT.rows)? })
}

/// Composes the mail of a transcript from the rows of all its lines, byte for byte as [`super::compose`] does with the shipped templates.
pub(crate) fn compose_rows(
    transcript: &Transcript,
    language: &Language,
    envelope: &Envelope,
    rows: Vec<Rows>,
) -> Result<ComposedMail, ComposeError> {
    let values = templates::values(&view_around_rows(transcript, language, &envelope.subject));
    let piece = |name, begins| -> Result<Piece, ComposeError> {
        Ok(Piece::new(templates::render_values(name, &values)?, begins))
    };
    let (mut html, mut text) = (vec![piece(HTML.top, true)?], vec![piece(TEXT.top, true)?]);
    for rows in rows {
        html.push(rows.html);
        text.push(rows.text);
    }
    html.push(piece(HTML.bottom, false)?);
    text.push(piece(TEXT.bottom, false)?);
    message::build_encoded(envelope, quoted_printable::body_of(text), quoted_printable::body_of(html))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        domain::{Author, Content, Message},
        mail::{OptionalHeaders, compose, default_subject, language, message_id, sample::sample},
    };

    fn envelope(subject: String) -> Envelope {
        let delivery = Uuid::from_u128(7);
        Envelope {
            delivery,
            message_id: message_id(delivery, "team@shop.example"),
            date: Time(1_772_582_300_000_000),
            from_name: "Shop".into(),
            from: "team@shop.example".into(),
            to_name: "Vera".into(),
            to: "vera@visitor.example".into(),
            subject,
            optional: OptionalHeaders::default(),
        }
    }

    /// The sample with messages of this text in the place of its lines.
    fn only(text: &str) -> Transcript {
        let sample = sample();
        let message = Message { author: Author::Agent, name: "Ada".into(), text: text.into(), ..Message::default() };
        let line = TranscriptLine { at: sample.started_at, content: Content::Message(message) };
        Transcript { page_url: String::new(), page_title: String::new(), lines: vec![line; 5], ..sample }
    }

    #[test]
    fn t6_a_mail_that_is_rendered_page_by_page_has_the_bytes_of_one_that_is_rendered_at_once() {
        // The plain text of the last one is in Base64.
        for transcript in [sample(), only("a long line ".repeat(20).trim()), only("short"), only(&"漢字".repeat(200))]
        {
            for tag in ["en", "it"] {
                let language = language(&[tag]).unwrap();
                let style = Style { language, zone: &transcript.zone, links_end_at: transcript.links_end_at };
                let envelope = envelope(default_subject(language, &transcript.channel, transcript.to_visitor));
                let at_once = compose(&transcript, language, &envelope).unwrap().bytes;
                for size in [1, 3, 100] {
                    let (mut rows, mut previous) = (Vec::new(), None);
                    for page in transcript.lines.chunks(size) {
                        rows.push(render_rows(page, &style, previous).unwrap());
                        previous = page.last().map(|line| line.at);
                    }
                    let by_page = compose_rows(&transcript, language, &envelope, rows).unwrap().bytes;
                    assert!(by_page == at_once, "{size}: {}", String::from_utf8_lossy(&by_page));
                }
            }
        }
    }

    #[test]
    fn t6_a_page_without_lines_has_no_rows() {
        let (transcript, language) = (only("short"), language(&["en"]).unwrap());
        let style = Style { language, zone: &transcript.zone, links_end_at: transcript.links_end_at };
        let envelope = envelope("Your chat".into());
        let rows = |pages: &[&[TranscriptLine]]| {
            let rows = pages.iter().map(|page| render_rows(page, &style, None).unwrap()).collect();
            compose_rows(&transcript, language, &envelope, rows).unwrap().bytes
        };
        let lines = transcript.lines.as_slice();
        assert!(rows(&[lines, &[]]) == rows(&[lines]));
    }
}
