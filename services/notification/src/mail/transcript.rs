//! Transcripts as HTML and as plain text (rules T6, T7).

use frontdesk_clock::Time;
use frontdesk_proto::characters::is_line_break;
use jiff::{Timestamp, ZonedDateTime, tz::TimeZone};
use minijinja::Value;
use serde::Serialize;

use super::{
    ComposeError, ComposedMail, Envelope, TemplateFault,
    language::{Language, fill},
    message,
    own_template::{self, MailPart},
    parts::{Part, Style, address, parts},
    quoted_printable,
    sample::sample,
    templates,
    text::one_line,
    values::fields,
};
use crate::domain::{Author, Content, Transcript, TranscriptLine};

/// Values of the templates.
#[derive(Serialize)]
pub(super) struct View<'a> {
    language: &'a str,
    subject: String,
    pub(super) preheader: String,
    channel: String,
    when: String,
    began_on: &'a str,
    page_title: String,
    page_url: String,
    page_linked: bool,
    reason: String,
    rows: Vec<Value>,
}

/// A row of a transcript. Its kind and its fields are values of the templates.
pub(super) enum Row<'a> {
    Day {
        text: String,
    },
    Note {
        time: String,
        text: String,
        /// What the link is. Empty: there is none.
        link_text: String,
        url: String,
    },
    Message {
        author: &'static str,
        label: &'a str,
        name: String,
        time: String,
        /// For HTML.
        parts: Vec<Part>,
        /// For plain text.
        lines: Vec<String>,
        buttons: Vec<String>,
    },
}

impl From<Row<'_>> for Value {
    fn from(row: Row<'_>) -> Self {
        match row {
            Row::Day { text } => fields([("kind", "day".into()), ("text", text.into())]),
            Row::Note { time, text, link_text, url } => fields([
                ("kind", "note".into()),
                ("time", time.into()),
                ("text", text.into()),
                ("link_text", link_text.into()),
                ("url", url.into()),
            ]),
            Row::Message { author, label, name, time, parts, lines, buttons } => fields([
                ("kind", "message".into()),
                ("author", author.into()),
                ("label", label.into()),
                ("name", name.into()),
                ("time", time.into()),
                ("parts", parts.into_iter().collect()),
                ("lines", lines.into_iter().collect()),
                ("buttons", buttons.into_iter().collect()),
            ]),
        }
    }
}

/// Composes the mail of a transcript.
pub(crate) fn compose(
    transcript: &Transcript,
    language: &Language,
    envelope: &Envelope,
) -> Result<ComposedMail, ComposeError> {
    let values = templates::values(&view(transcript, language, &envelope.subject));
    let encode = |mail_part| -> Result<_, ComposeError> {
        let rendered = part(mail_part, &values, transcript, language).map_err(|fault| unusable(language, &fault))?;
        Ok(quoted_printable::body(rendered))
    };
    // At the same time: of a long transcript each takes tens of milliseconds.
    let (text, html) = std::thread::scope(|scope| {
        let text = scope.spawn(|| encode(MailPart::Text));
        let html = encode(MailPart::Html);
        (text.join(), html)
    });
    let text = text.map_err(|_| ComposeError("rendering the plain text ended unexpectedly".into()))?;
    message::build_encoded(envelope, text?, html?)
}

/// Renders the HTML part.
pub(crate) fn html(transcript: &Transcript, language: &Language, subject: &str) -> Result<String, ComposeError> {
    let values = templates::values(&view(transcript, language, subject));
    part(MailPart::Html, &values, transcript, language).map_err(|fault| unusable(language, &fault))
}

/// Renders the plain text part.
pub(crate) fn text(transcript: &Transcript, language: &Language, subject: &str) -> Result<String, ComposeError> {
    let values = templates::values(&view(transcript, language, subject));
    part(MailPart::Text, &values, transcript, language).map_err(|fault| unusable(language, &fault))
}

fn unusable(language: &Language, fault: &TemplateFault) -> ComposeError {
    ComposeError(format!("the template in the language {} cannot be used: {fault}", language.tag))
}

/// Renders a part with the account's template, or with the shipped one.
fn part(part: MailPart, values: &Value, transcript: &Transcript, language: &Language) -> Result<String, TemplateFault> {
    let own = match part {
        MailPart::Html => &language.html,
        MailPart::Text => &language.text,
    };
    if own.is_empty() {
        let shipped = templates::render_values(part.shipped(), values);
        return shipped.map_err(|error| TemplateFault { field: part.shipped(), line: 0, problem: error.to_string() });
    }
    own_template::render(part, own, values, transcript.lines.len())
}

/// The mail of a sample transcript.
#[derive(Clone, Debug)]
pub(crate) struct SampleMail {
    pub(crate) subject: String,
    pub(crate) html: String,
    pub(crate) text: String,
}

/// Renders a sample with every kind of line, to the visitor.
pub(crate) fn sample_mail(language: &Language) -> Result<SampleMail, TemplateFault> {
    let transcript = sample();
    let subject = default_subject(language, &transcript.channel, transcript.to_visitor);
    let values = templates::values(&view(&transcript, language, &subject));
    let render = |mail_part| part(mail_part, &values, &transcript, language);
    Ok(SampleMail { html: render(MailPart::Html)?, text: render(MailPart::Text)?, subject })
}

/// Returns the sources of the shipped HTML part and of the shipped plain text part.
pub(crate) fn shipped_sources() -> [&'static str; 2] {
    [MailPart::Html, MailPart::Text].map(|part| templates::source(part.shipped()))
}

/// Returns the subject of a mail for which none was requested.
pub(crate) fn default_subject(language: &Language, channel: &str, to_visitor: bool) -> String {
    // Maximum length of the channel's name in a subject (characters).
    const MAX_CHANNEL_CHARS: usize = 180;
    let words = &language.words;
    let pattern = if to_visitor { &words.subject_to_visitor } else { &words.subject_to_other };
    fill(pattern, &[("channel", &one_line(channel, MAX_CHANNEL_CHARS))])
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
    style: &Style<'_>,
    previous: Option<Time>,
) -> Result<usize, ComposeError> {
    let at = local(line.at, style.zone);
    Ok(heading_size(&at, style, previous)? + row_size(row(line, &at, style))?)
}

/// Returns a size that [`rendered_size`] does not exceed; of a message of plain text without rendering it.
pub(crate) fn max_rendered_size(
    line: &TranscriptLine,
    style: &Style<'_>,
    previous: Option<Time>,
) -> Result<usize, ComposeError> {
    /// Maximum size of what is around the text of a message, in both parts (bytes).
    const MESSAGE: usize = 3_000;
    /// The same of what is around a line of it.
    const TEXT_LINE: usize = 150;
    /// Maximum size of a byte of text in both parts (bytes): HTML has `&quot;` for a quotation mark.
    const TEXT_BYTE: usize = 8;
    let message = match &line.content {
        Content::Message(message) if message.is_plain() => message,
        _ => return rendered_size(line, style, previous),
    };
    let name = author_name(message.author, &message.name, style.language);
    let text = name.len() + label(message.author, style.language).len() + message.text.len();
    let lines = 1 + message.text.chars().filter(|char| is_line_break(*char)).count();
    let heading = heading_size(&local(line.at, style.zone), style, previous)?;
    Ok(heading + MESSAGE + TEXT_LINE * lines + TEXT_BYTE * text)
}

/// Returns the size of the heading of a day (bytes). 0: the line before is of the same day.
fn heading_size(at: &ZonedDateTime, style: &Style<'_>, previous: Option<Time>) -> Result<usize, ComposeError> {
    match previous {
        Some(previous) if local(previous, style.zone).date() == at.date() => Ok(0),
        _ => row_size(day(at, style.language)),
    }
}

fn row_size(row: Row<'_>) -> Result<usize, ComposeError> {
    let values = fields([("row", row.into())]);
    let mut bytes = 0;
    for template in ["transcript_row.html", "transcript_row.txt"] {
        bytes += templates::render_values(template, &values)?.len();
    }
    Ok(bytes)
}

pub(super) fn view<'a>(transcript: &'a Transcript, language: &'a Language, subject: &str) -> View<'a> {
    let style = Style { language, zone: &transcript.zone, links_end_at: transcript.links_end_at };
    let rows = rows(&transcript.lines, &style, None).into_iter().map(Value::from).collect();
    View { rows, ..view_around_rows(transcript, language, subject) }
}

/// Returns the values of what is around the rows.
pub(super) fn view_around_rows<'a>(transcript: &'a Transcript, language: &'a Language, subject: &str) -> View<'a> {
    let words = &language.words;
    let messages: usize = transcript
        .lines
        .iter()
        .map(|line| match line.content {
            Content::Message(_) => 1,
            Content::Omitted { messages, .. } => messages,
            _ => 0,
        })
        .sum();
    let messages = language.counted(messages, &words.messages_one, &words.messages_other);
    let date = language.date_with_weekday(local(transcript.started_at, &transcript.zone).date());
    let channel = one_line(&transcript.channel, 200);
    let (preheader, reason) = if transcript.to_visitor {
        (&words.preheader_to_visitor, &words.reason_to_visitor)
    } else {
        (&words.preheader_to_other, &words.reason_to_other)
    };
    let (page_url, page_linked) = address(&transcript.page_url);
    View {
        language: &language.tag,
        subject: one_line(subject, 200),
        preheader: fill(preheader, &[("date", &date), ("messages", &messages)]),
        reason: fill(reason, &[("channel", &channel)]),
        when: fill(&words.when, &[("date", &date), ("zone", zone_name(transcript))]),
        channel,
        began_on: &words.began_on,
        page_title: one_line(&transcript.page_title, 300),
        page_url,
        page_linked,
        rows: Vec::new(),
    }
}

/// Returns the rows of consecutive lines, and a heading where a day begins. `previous`: time of the line before them.
pub(super) fn rows<'a>(lines: &[TranscriptLine], style: &Style<'a>, previous: Option<Time>) -> Vec<Row<'a>> {
    let mut shown = previous.map(|at| local(at, style.zone).date());
    let mut rows = Vec::with_capacity(lines.len() + 1);
    for line in lines {
        let at = local(line.at, style.zone);
        if shown.replace(at.date()) != Some(at.date()) {
            rows.push(day(&at, style.language));
        }
        rows.push(row(line, &at, style));
    }
    rows
}

fn day<'a>(at: &ZonedDateTime, language: &Language) -> Row<'a> {
    Row::Day { text: language.date_with_weekday(at.date()) }
}

fn row<'a>(line: &TranscriptLine, at: &ZonedDateTime, style: &Style<'a>) -> Row<'a> {
    let time = at.strftime("%H:%M:%S %Z").to_string();
    let (language, words) = (style.language, &style.language.words);
    let text = match &line.content {
        Content::Message(message) => {
            let (parts, lines) = parts(message, style);
            return Row::Message {
                author: message.author.as_str(),
                label: label(message.author, language),
                name: author_name(message.author, &message.name, language),
                time,
                parts,
                lines,
                buttons: message.buttons.iter().map(|label| one_line(label, 100)).collect(),
            };
        }
        Content::Joined { name } => fill(&words.joined, &[("name", &joined_name(name, language))]),
        Content::Ended { visitor_inactive: true } => words.ended_inactive.clone(),
        Content::Ended { visitor_inactive: false } => words.ended.clone(),
        Content::Omitted { messages, .. } => language.counted(*messages, &words.omitted_one, &words.omitted_other),
        Content::Reopened => words.reopened.clone(),
    };
    let url = if let Content::Omitted { url, .. } = &line.content { url.as_str() } else { "" };
    let end = language.date(local(style.links_end_at, style.zone).date());
    let link_text = if url.is_empty() { String::new() } else { fill(&words.whole_chat, &[("date", &end)]) };
    Row::Note { time, text, link_text, url: url.to_owned() }
}

/// Returns the name of an author, on one line; without one the word of the language.
pub(super) fn author_name(author: Author, name: &str, language: &Language) -> String {
    let words = &language.words;
    let word = match author {
        Author::You => &words.you,
        Author::UnnamedVisitor | Author::Visitor => &words.visitor,
        Author::Agent => &words.agent,
        Author::Team => &words.team,
        Author::Bot => &words.bot,
    };
    if name.trim().is_empty() { word.clone() } else { one_line(name, 100) }
}

/// Returns the name of an agent who joined.
pub(super) fn joined_name(name: &str, language: &Language) -> String {
    if name.trim().is_empty() { language.words.an_agent.clone() } else { one_line(name, 100) }
}

/// Returns the label beside the name. People choose their names, so the label shows that a visitor named like an agent is a visitor.
fn label(author: Author, language: &Language) -> &str {
    let words = &language.words;
    match author {
        Author::You | Author::UnnamedVisitor => "",
        Author::Visitor => &words.label_visitor,
        Author::Agent | Author::Team => &words.label_team,
        Author::Bot => &words.label_bot,
    }
}

pub(super) fn local(at: Time, zone: &TimeZone) -> ZonedDateTime {
    Timestamp::from_microsecond(at.0).unwrap_or_default().to_zoned_datetime(zone.clone())
}

pub(super) fn zone_name(transcript: &Transcript) -> &str {
    transcript.zone.iana_name().unwrap_or("UTC")
}
