//! Transcripts as JSON (rule T9).

use frontdesk_clock::Time;
use serde_json::{Value, json};

use super::{
    language::Language,
    transcript::{author_name, joined_name, local, zone_name},
};
use crate::domain::{Attachment, Author, Block, Content, File, Insert, InsertContent, Message, Span, Transcript};

/// Returns a transcript as JSON. Text is as it was written.
pub(crate) fn json(transcript: &Transcript, language: &Language) -> String {
    let time = |at: Time| {
        let at = local(at, &transcript.zone);
        at.timestamp().display_with_offset(at.offset()).to_string()
    };
    let lines: Vec<_> = transcript
        .lines
        .iter()
        .map(|line| match &line.content {
            Content::Message(message) => entry_of_message(message, &time(line.at), language),
            Content::Joined { name } => json!({
                "time": time(line.at), "kind": "joined", "author_kind": Author::Agent.as_str(),
                "author_name": joined_name(name, language),
            }),
            Content::Ended { visitor_inactive } => {
                json!({ "time": time(line.at), "kind": "ended", "visitor_inactive": visitor_inactive })
            }
            Content::Omitted { messages, url } => {
                json!({ "time": time(line.at), "kind": "left_out", "messages": messages, "url": url })
            }
            Content::Reopened => json!({ "time": time(line.at), "kind": "reopened" }),
        })
        .collect();
    json!({
        "language": language.tag,
        "channel": transcript.channel,
        "page_url": transcript.page_url,
        "page_title": transcript.page_title,
        "start_time": time(transcript.started_at),
        "time_zone": zone_name(transcript),
        "visitor": transcript.visitor,
        "links_expire_time": time(transcript.links_end_at),
        "entries": lines,
    })
    .to_string()
}

fn entry_of_message(message: &Message, time: &str, language: &Language) -> Value {
    let name = match message.name.trim() {
        "" => author_name(message.author, "", language),
        _ => message.name.clone(),
    };
    json!({
        "time": time,
        "kind": "message",
        "author_kind": message.author.as_str(),
        "author_name": name,
        "text": message.text,
        "rich_text": message.rich_text.iter().map(block).collect::<Vec<_>>(),
        "buttons": message.buttons,
        "inserts": message.inserts.iter().map(insert).collect::<Vec<_>>(),
        "attachments": message.attachments.iter().map(attachment).collect::<Vec<_>>(),
    })
}

fn block(block: &Block) -> Value {
    match block {
        Block::Paragraph(spans) => json!({ "kind": "paragraph", "spans": line(spans) }),
        Block::List { numbered, items } => {
            let items: Vec<Value> = items.iter().map(|item| line(item)).collect();
            json!({ "kind": "list", "numbered": numbered, "items": items })
        }
    }
}

fn line(spans: &[Span]) -> Value {
    let span = |span: &Span| json!({ "text": span.text, "bold": span.bold, "italic": span.italic, "url": span.link });
    spans.iter().map(span).collect()
}

fn insert(insert: &Insert) -> Value {
    let mut value = json!({
        "kind": insert.content.as_str(), "title": insert.title, "url": insert.url, "plain_text": insert.plain_text,
    });
    match &insert.content {
        InsertContent::Text | InsertContent::Video => {}
        InsertContent::Document { file_name } => value["file_name"] = json!(file_name),
        InsertContent::Meeting { minutes } => value["duration_minutes"] = json!(minutes),
        InsertContent::Article { summary } => value["summary"] = json!(summary),
        InsertContent::Quote { number, amount, currency, expire_date } => {
            value["number"] = json!(number);
            value["amount"] = json!(amount);
            value["currency_code"] = json!(currency);
            value["expire_date"] = json!(expire_date);
        }
    }
    value
}

fn attachment(attachment: &Attachment) -> Value {
    let url = if let File::Link(url) = &attachment.file { url.as_str() } else { "" };
    json!({
        "id": attachment.id, "file_name": attachment.file_name, "media_type": attachment.media_type,
        "size_bytes": attachment.bytes, "url": url, "removed": attachment.file == File::Removed,
    })
}
