//! What a message shows, as the parts that the templates lay out and as the lines of the plain text (rules T6, T7).

use frontdesk_clock::Time;
use jiff::{civil::Date, tz::TimeZone};
use minijinja::Value;

use super::{
    language::{Language, fill},
    text::{body_lines, one_line, visible_url},
    transcript::local,
    values::fields,
};
use crate::domain::{Attachment, Block, File, Insert, InsertContent, Message, Span, link};

/// A part of a message in HTML.
pub(super) enum Part {
    Paragraph { lines: Vec<Line> },
    List { numbered: bool, points: Vec<Vec<Line>> },
    Card(Card),
}

/// A line as its spans. Empty: a blank line.
type Line = Vec<SpanView>;

/// A part of a line. A link shows its whole address, which alone is clickable (rule T7).
pub(super) struct SpanView {
    text: String,
    bold: bool,
    italic: bool,
    /// The address that is shown after the text. Empty: none.
    url: String,
    /// False: the address can be mistaken for another one, and is text.
    linked: bool,
}

/// An insert or an attachment.
pub(super) struct Card {
    title: String,
    lines: Vec<String>,
    /// Empty: it has no page.
    url: String,
    linked: bool,
    note: String,
}

impl From<Part> for Value {
    fn from(part: Part) -> Self {
        match part {
            Part::Paragraph { lines } => fields([("kind", "paragraph".into()), ("lines", line_values(lines))]),
            Part::List { numbered, points } => fields([
                ("kind", "list".into()),
                ("numbered", numbered.into()),
                ("points", points.into_iter().map(line_values).collect()),
            ]),
            Part::Card(Card { title, lines, url, linked, note }) => fields([
                ("kind", "card".into()),
                ("title", title.into()),
                ("lines", lines.into_iter().collect()),
                ("url", url.into()),
                ("linked", linked.into()),
                ("note", note.into()),
            ]),
        }
    }
}

fn line_values(lines: Vec<Line>) -> Value {
    lines.into_iter().map(|line| line.into_iter().collect::<Value>()).collect()
}

impl From<SpanView> for Value {
    fn from(span: SpanView) -> Self {
        let SpanView { text, bold, italic, url, linked } = span;
        fields([
            ("text", text.into()),
            ("bold", bold.into()),
            ("italic", italic.into()),
            ("url", url.into()),
            ("linked", linked.into()),
        ])
    }
}

/// How a transcript is written.
#[derive(Clone, Copy)]
pub(crate) struct Style<'a> {
    pub(crate) language: &'a Language,
    pub(crate) zone: &'a TimeZone,
    /// When the links to attachments end.
    pub(crate) links_end_at: Time,
}

/// Returns the parts of a message in their order, and its lines of plain text.
pub(super) fn parts(message: &Message, style: &Style<'_>) -> (Vec<Part>, Vec<String>) {
    let (mut parts, mut lines) = (Vec::new(), Vec::new());
    if message.rich_text.is_empty() {
        add_text(&message.text, &mut parts, &mut lines);
    } else {
        parts.extend(message.rich_text.iter().map(block));
        lines.extend(body_lines(&message.text));
    }
    for insert in &message.inserts {
        match card_of_insert(insert, style) {
            Some(card) => add_card(card, &mut parts, &mut lines),
            None => add_text(&insert.plain_text, &mut parts, &mut lines),
        }
    }
    for attachment in &message.attachments {
        add_card(card_of_attachment(attachment, style), &mut parts, &mut lines);
    }
    (parts, lines)
}

fn add_text(text: &str, parts: &mut Vec<Part>, lines: &mut Vec<String>) {
    if text.is_empty() {
        return;
    }
    let plain = body_lines(text);
    parts.push(Part::Paragraph { lines: plain.iter().map(|line| plain_line(line)).collect() });
    lines.extend(plain);
}

fn add_card(card: Card, parts: &mut Vec<Part>, lines: &mut Vec<String>) {
    lines.push(card.title.clone());
    lines.extend(card.lines.iter().cloned());
    if !card.url.is_empty() {
        lines.push(if card.linked { format!("<{}>", card.url) } else { card.url.clone() });
    }
    if !card.note.is_empty() {
        lines.push(card.note.clone());
    }
    parts.push(Part::Card(card));
}

fn plain_line(text: &str) -> Line {
    if text.is_empty() { Vec::new() } else { vec![span(text.to_owned(), &Span::default())] }
}

/// A span of this text in the shape of another one, without its link.
fn span(text: String, shape: &Span) -> SpanView {
    SpanView { text, bold: shape.bold, italic: shape.italic, url: String::new(), linked: false }
}

fn only_address(url: String, linked: bool) -> SpanView {
    SpanView { url, linked, ..span(String::new(), &Span::default()) }
}

fn block(block: &Block) -> Part {
    match block {
        Block::Paragraph(spans) => Part::Paragraph { lines: span_lines(spans) },
        Block::List { numbered, items } => {
            Part::List { numbered: *numbered, points: items.iter().map(|item| span_lines(item)).collect() }
        }
    }
}

/// Returns the lines of the spans. The neighbours of one link have its address once, after them.
fn span_lines(spans: &[Span]) -> Vec<Line> {
    let mut lines = vec![Line::new()];
    for neighbours in spans.chunk_by(|one, next| one.link == next.link) {
        let text: String = neighbours.iter().map(|span| span.text.as_str()).collect();
        let url = neighbours.first().map_or("", |span| span.link.as_str());
        let address = (!url.is_empty()).then(|| address(url));
        if let Some((address, linked)) = &address
            && (text.trim() == url || text.trim() == address)
        {
            lines.last_mut().into_iter().for_each(|line| line.push(only_address(address.clone(), *linked)));
            continue;
        }
        for one in neighbours {
            for (place, text) in body_lines(&one.text).into_iter().enumerate() {
                if place > 0 {
                    lines.push(Line::new());
                }
                if let Some(line) = lines.last_mut().filter(|_| !text.is_empty()) {
                    line.push(span(text, one));
                }
            }
        }
        if let (Some((address, linked)), Some(line)) = (address, lines.last_mut()) {
            match line.last_mut() {
                Some(last) => (last.url, last.linked) = (address, linked),
                None => line.push(only_address(address, linked)),
            }
        }
    }
    lines
}

/// Returns an address as it is shown, and whether it is linked.
pub(super) fn address(url: &str) -> (String, bool) {
    match link(url) {
        Some(link) => (link, true),
        None => (visible_url(url), false),
    }
}

/// None: its plain text says it all.
fn card_of_insert(insert: &Insert, style: &Style<'_>) -> Option<Card> {
    let (language, words) = (style.language, &style.language.words);
    let title = one_line(&insert.title, 300);
    let titled = |pattern: &str| fill(pattern, &[("title", &title)]);
    let (title, lines) = match &insert.content {
        InsertContent::Text => return None,
        InsertContent::Document { file_name } => (titled(&words.document), vec![one_line(file_name, 300)]),
        InsertContent::Meeting { minutes } => {
            let count = usize::try_from(*minutes).unwrap_or_default();
            let duration = language.counted(count, &words.minutes_one, &words.minutes_other);
            (titled(&words.meeting), if count > 0 { vec![duration] } else { Vec::new() })
        }
        InsertContent::Article { summary } => (titled(&words.article), body_lines(summary)),
        InsertContent::Quote { number, amount, currency, expire_date } => {
            let number = one_line(number, 100);
            let amount = language.amount(&one_line(amount, 50), &one_line(currency, 10));
            let total = fill(&words.total, &[("amount", &amount)]);
            let valid_until = match expire_date.parse::<Date>() {
                Ok(date) => fill(&words.valid_until, &[("date", &language.date(date))]),
                Err(_) => String::new(),
            };
            (fill(&words.quote, &[("number", &number), ("title", &title)]), vec![total, valid_until])
        }
        InsertContent::Video => (titled(&words.video), Vec::new()),
    };
    let (url, linked) = if insert.url.is_empty() { (String::new(), false) } else { address(&insert.url) };
    let lines = lines.into_iter().filter(|line| !line.is_empty()).collect();
    Some(Card { title, lines, url, linked, note: String::new() })
}

fn card_of_attachment(attachment: &Attachment, style: &Style<'_>) -> Card {
    let (language, words) = (style.language, &style.language.words);
    let (name, size) = (one_line(&attachment.file_name, 300), language.size(attachment.bytes));
    let title = fill(&words.file, &[("name", &name), ("size", &size)]);
    let (url, linked) = match &attachment.file {
        File::Link(url) => address(url),
        File::NotLinked | File::Removed => (String::new(), false),
    };
    let note = match &attachment.file {
        File::Link(_) => {
            let end = language.date(local(style.links_end_at, style.zone).date());
            fill(&words.link_works_until, &[("date", &end)])
        }
        File::NotLinked => String::new(),
        File::Removed => words.no_longer_available.clone(),
    };
    Card { title, lines: Vec::new(), url, linked, note }
}
