//! Transcripts as HTML, as plain text and as JSON (rules T6, T7, T9).

use chrono::{DateTime, NaiveDate};
use chrono_tz::Tz;
use frontdesk_clock::Time;
use serde::Serialize;
use serde_json::json;

use super::{ComposeError, Composed, Envelope, message, templates};
use crate::domain::{Author, Content, Line, Transcript, body_lines, link, one_line};

#[derive(Serialize)]
struct View {
    subject: String,
    preheader: String,
    channel: String,
    date: String,
    zone: String,
    page_title: String,
    page_url: String,
    rows: Vec<Row>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Row {
    Day { text: String },
    Note { time: String, text: String },
    Message { author: &'static str, name: String, time: String, lines: Vec<String>, buttons: Vec<String> },
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

fn view(transcript: &Transcript, subject: &str) -> View {
    let messages = transcript.lines.iter().filter(|line| matches!(line.content, Content::Message { .. })).count();
    let plural = if messages == 1 { "" } else { "s" };
    let date = local(transcript.started_at, transcript.zone).format("%A, %-d %B %Y").to_string();
    View {
        subject: one_line(subject, 200),
        preheader: format!("Your chat of {date}: {messages} message{plural}."),
        channel: one_line(&transcript.channel, 200),
        date,
        zone: transcript.zone.name().to_owned(),
        page_title: one_line(&transcript.page_title, 300),
        page_url: link(&transcript.page_url).unwrap_or_default().to_owned(),
        rows: rows(transcript),
    }
}

fn rows(transcript: &Transcript) -> Vec<Row> {
    let mut rows = Vec::with_capacity(transcript.lines.len() + 1);
    let mut day: Option<NaiveDate> = None;
    for line in &transcript.lines {
        let at = local(line.at, transcript.zone);
        if day != Some(at.date_naive()) {
            day = Some(at.date_naive());
            rows.push(Row::Day { text: at.format("%A, %-d %B %Y").to_string() });
        }
        rows.push(row(line, &at));
    }
    rows
}

fn row(line: &Line, at: &DateTime<Tz>) -> Row {
    let time = at.format("%H:%M:%S %Z").to_string();
    match &line.content {
        Content::Message { author, name, text, buttons } => Row::Message {
            author: author.as_str(),
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
