//! Transcripts as HTML, as plain text and as JSON (rules T6, T7, T9).

use chrono::{DateTime, NaiveDate};
use chrono_tz::Tz;
use frontdesk_clock::Time;
use serde::Serialize;
use serde_json::json;

use super::{ComposeError, Composed, Envelope, message, templates};
use crate::domain::{Author, Content, Line, Transcript, body_lines, link, one_line, shown_address};

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
        mark: &'static str,
        name: String,
        time: String,
        lines: Vec<String>,
        buttons: Vec<String>,
    },
}

/// The whole mail.
pub(crate) fn compose(transcript: &Transcript, envelope: &Envelope) -> Result<Composed, ComposeError> {
    let (html, text) = render(transcript, &envelope.subject)?;
    message::build(envelope, text, html)
}

/// The HTML part and the text part.
pub(crate) fn render(transcript: &Transcript, subject: &str) -> Result<(String, String), ComposeError> {
    let view = view(transcript, subject);
    Ok((templates::render("transcript.html", &view)?, templates::render("transcript.txt", &view)?))
}

/// Whatever is around the lines takes less than this: every part of it is cut.
const AROUND_LINES: usize = 64 * 1024;

/// So many bytes are left for lines when both parts together may have `bytes`.
pub(crate) fn room_for_lines(bytes: usize) -> usize {
    bytes.saturating_sub(AROUND_LINES)
}

/// So many bytes a line takes in both parts together, with the heading of a new day when it may begin one.
pub(crate) fn size_of(line: &Line, zone: Tz, before: Option<Time>) -> Result<usize, ComposeError> {
    let at = local(line.at, zone);
    let mut rows = vec![row(line, &at)];
    if before.is_none_or(|before| local(before, zone).date_naive() != at.date_naive()) {
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
            Content::LeftOut { messages } => messages,
            _ => 0,
        })
        .sum();
    let plural = if messages == 1 { "" } else { "s" };
    let date = local(transcript.started_at, transcript.zone).format("%A, %-d %B %Y").to_string();
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
        zone: transcript.zone.name().to_owned(),
        page_title: one_line(&transcript.page_title, 300),
        page_linked: link.is_some(),
        page_url: link.unwrap_or_else(|| shown_address(&transcript.page_url)),
        reason,
        rows: rows(transcript),
    }
}

fn rows(transcript: &Transcript) -> Vec<Row> {
    let mut rows = Vec::with_capacity(transcript.lines.len() + 1);
    let mut shown: Option<NaiveDate> = None;
    for line in &transcript.lines {
        let at = local(line.at, transcript.zone);
        if shown != Some(at.date_naive()) {
            shown = Some(at.date_naive());
            rows.push(day(&at));
        }
        rows.push(row(line, &at));
    }
    rows
}

fn day(at: &DateTime<Tz>) -> Row {
    Row::Day { text: at.format("%A, %-d %B %Y").to_string() }
}

fn row(line: &Line, at: &DateTime<Tz>) -> Row {
    let time = at.format("%H:%M:%S %Z").to_string();
    match &line.content {
        Content::Message { author, name, text, buttons } => Row::Message {
            author: author.as_str(),
            mark: author.mark(),
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
        Content::LeftOut { messages } => {
            let were = if *messages == 1 { "message was" } else { "messages were" };
            Row::Note { time, text: format!("{messages} {were} left out here: the chat is too long for a mail") }
        }
        Content::Reopened => Row::Note { time, text: "The chat was opened again".into() },
    }
}

fn local(at: Time, zone: Tz) -> DateTime<Tz> {
    at.to_utc().with_timezone(&zone)
}

/// The same content for programs. Text is as it was written.
pub(crate) fn json(transcript: &Transcript) -> String {
    let time = |at: Time| local(at, transcript.zone).to_rfc3339();
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
            Content::LeftOut { messages } => {
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
        "time_zone": transcript.zone.name(),
        "visitor": transcript.visitor,
        "entries": lines,
    })
    .to_string()
}
