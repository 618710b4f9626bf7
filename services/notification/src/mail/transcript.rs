//! Transcripts as HTML, as plain text and as JSON (rules T6, T7, T9).

use frontdesk_clock::Time;
use jiff::{Timestamp, ZonedDateTime, civil::Date, tz::TimeZone};
use serde::Serialize;
use serde_json::json;

use super::{
    ComposeError, ComposedMail, Envelope, message, templates,
    text::{body_lines, one_line, visible_url},
};
use crate::domain::{Author, Content, Transcript, TranscriptLine, link};

/// Values of the templates.
#[derive(Serialize)]
struct View {
    subject: String,
    preheader: String,
    channel: String,
    date: String,
    zone: String,
    page_title: String,
    page_url: String,
    page_linked: bool,
    reason: String,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct RowView {
    row: Row,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Row {
    Day {
        text: String,
    },
    Note {
        time: String,
        text: String,
    },
    Message {
        author: &'static str,
        label: &'static str,
        name: String,
        time: String,
        lines: Vec<String>,
        buttons: Vec<String>,
    },
}

/// Composes the mail of a transcript.
pub(crate) fn compose(transcript: &Transcript, envelope: &Envelope) -> Result<ComposedMail, ComposeError> {
    let (text, html) = (text(transcript, &envelope.subject)?, html(transcript, &envelope.subject)?);
    message::build(envelope, text, html)
}

/// Renders the HTML part.
pub(crate) fn html(transcript: &Transcript, subject: &str) -> Result<String, ComposeError> {
    templates::render("transcript.html", &view(transcript, subject))
}

/// Renders the plain text part.
pub(crate) fn text(transcript: &Transcript, subject: &str) -> Result<String, ComposeError> {
    templates::render("transcript.txt", &view(transcript, subject))
}

/// Maximum size of both parts without their lines (bytes); each value around the lines has a maximum length.
const MAX_BYTES_AROUND_LINES: usize = 64 * 1024;

/// Returns the maximum size of the lines in both parts together, when both parts may have `max_bytes`.
pub(crate) fn max_bytes_of_lines(max_bytes: usize) -> usize {
    max_bytes.saturating_sub(MAX_BYTES_AROUND_LINES)
}

/// Returns the size of a line in both parts together (bytes), with the heading of a day when it begins one. `previous`:
/// time of the line before.
pub(crate) fn rendered_size(
    line: &TranscriptLine,
    zone: &TimeZone,
    previous: Option<Time>,
) -> Result<usize, ComposeError> {
    let at = local(line.at, zone);
    let mut rows = vec![row(line, &at)];
    if previous.is_none_or(|previous| local(previous, zone).date() != at.date()) {
        rows.push(day(&at));
    }
    let mut bytes = 0;
    for row in rows {
        let view = RowView { row };
        for template in ["transcript_row.html", "transcript_row.txt"] {
            bytes += templates::render(template, &view)?.len();
        }
    }
    Ok(bytes)
}

fn view(transcript: &Transcript, subject: &str) -> View {
    let messages: usize = transcript
        .lines
        .iter()
        .map(|line| match line.content {
            Content::Message { .. } => 1,
            Content::Omitted { messages } => messages,
            _ => 0,
        })
        .sum();
    let plural = if messages == 1 { "" } else { "s" };
    let date = local(transcript.started_at, &transcript.zone).strftime("%A, %-d %B %Y").to_string();
    let channel = one_line(&transcript.channel, 200);
    let link = link(&transcript.page_url);
    let (whose, reason) = if transcript.to_visitor {
        ("Your", format!("You get this mail because you chatted with {channel}."))
    } else {
        ("A", format!("You get this mail because {channel} sent you the transcript of a chat."))
    };
    View {
        subject: one_line(subject, 200),
        preheader: format!("{whose} chat of {date}: {messages} message{plural}."),
        channel,
        date,
        zone: zone_name(transcript).to_owned(),
        page_title: one_line(&transcript.page_title, 300),
        page_linked: link.is_some(),
        page_url: link.unwrap_or_else(|| visible_url(&transcript.page_url)),
        reason,
        rows: rows(transcript),
    }
}

fn rows(transcript: &Transcript) -> Vec<Row> {
    let mut rows = Vec::with_capacity(transcript.lines.len() + 1);
    let mut shown: Option<Date> = None;
    for line in &transcript.lines {
        let at = local(line.at, &transcript.zone);
        if shown != Some(at.date()) {
            shown = Some(at.date());
            rows.push(day(&at));
        }
        rows.push(row(line, &at));
    }
    rows
}

fn day(at: &ZonedDateTime) -> Row {
    Row::Day { text: at.strftime("%A, %-d %B %Y").to_string() }
}

fn row(line: &TranscriptLine, at: &ZonedDateTime) -> Row {
    let time = at.strftime("%H:%M:%S %Z").to_string();
    match &line.content {
        Content::Message { author, name, text, buttons } => Row::Message {
            author: author.as_str(),
            label: author.label(),
            name: one_line(name, 100),
            time,
            lines: body_lines(text),
            buttons: buttons.iter().map(|label| one_line(label, 100)).collect(),
        },
        Content::Joined { name } => Row::Note { time, text: format!("{} joined", one_line(name, 100)) },
        Content::Ended { visitor_inactive: true } => {
            Row::Note { time, text: "The chat ended because nothing was written for a while".into() }
        }
        Content::Ended { visitor_inactive: false } => Row::Note { time, text: "The chat ended".into() },
        Content::Omitted { messages } => {
            let were = if *messages == 1 { "message was" } else { "messages were" };
            Row::Note { time, text: format!("{messages} {were} left out here: the chat is too long for a mail") }
        }
        Content::Reopened => Row::Note { time, text: "The chat was opened again".into() },
    }
}

fn local(at: Time, zone: &TimeZone) -> ZonedDateTime {
    Timestamp::from_microsecond(at.0).unwrap_or_default().to_zoned_datetime(zone.clone())
}

fn zone_name(transcript: &Transcript) -> &str {
    transcript.zone.iana_name().unwrap_or("UTC")
}

/// Returns a transcript as JSON. Text is as it was written.
pub(crate) fn json(transcript: &Transcript) -> String {
    let time = |at: Time| {
        let at = local(at, &transcript.zone);
        at.timestamp().display_with_offset(at.offset()).to_string()
    };
    let lines: Vec<_> = transcript
        .lines
        .iter()
        .map(|line| match &line.content {
            Content::Message { author, name, text, buttons } => json!({
                "time": time(line.at), "kind": "message", "author_kind": author.as_str(), "author_name": name, "text": text,
                "buttons": buttons,
            }),
            Content::Joined { name } => json!({
                "time": time(line.at), "kind": "joined", "author_kind": Author::Agent.as_str(), "author_name": name,
            }),
            Content::Ended { visitor_inactive } => {
                json!({ "time": time(line.at), "kind": "ended", "visitor_inactive": visitor_inactive })
            }
            Content::Omitted { messages } => {
                json!({ "time": time(line.at), "kind": "left_out", "messages": messages })
            }
            Content::Reopened => json!({ "time": time(line.at), "kind": "reopened" }),
        })
        .collect();
    json!({
        "channel": transcript.channel,
        "page_url": transcript.page_url,
        "page_title": transcript.page_title,
        "start_time": time(transcript.started_at),
        "time_zone": zone_name(transcript),
        "visitor": transcript.visitor,
        "entries": lines,
    })
    .to_string()
}
