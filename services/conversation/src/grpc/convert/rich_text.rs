//! Rich texts.

use frontdesk_api::FieldError;
use frontdesk_proto::{conversation::v1 as pb, conversation::v1::rich_text_block::Block as PbBlock, says_something};

use crate::domain::{Block, Line, RichText, Span};

/// Maximum number of characters of the plain text, as of a text without formatting.
const MAX_PLAIN_TEXT: usize = 10_000;
/// Maximum number of spans in all blocks.
const MAX_SPANS: usize = 1_000;
/// Maximum length of the addresses in all spans (bytes). The plain text has one address for the neighbours of one link.
const MAX_LINKS: usize = 20_000;

/// The text of a message: plain, or rich with its plain form.
pub(crate) fn message_text(
    text: String,
    rich_text: Option<pb::RichText>,
) -> Result<(String, Option<RichText>), Vec<FieldError>> {
    let Some(rich_text) = rich_text else { return Ok((text, None)) };
    let error = |field: &str, remedy: &str| Err(vec![FieldError::new(field, remedy)]);
    if !text.is_empty() {
        return error("text", "must be empty with rich_text, whose plain text the server makes");
    }
    let rich_text = RichText(rich_text.blocks.into_iter().filter_map(|block| block.block).map(block).collect());
    if rich_text.spans().count() > MAX_SPANS {
        return error("rich_text", "must have at most 1,000 spans in all blocks");
    }
    if rich_text.spans().map(|span| span.link.len()).sum::<usize>() > MAX_LINKS {
        return error("rich_text", "must have at most 20,000 bytes in the addresses of all spans");
    }
    let plain_text = rich_text.plain_text();
    if plain_text.chars().count() > MAX_PLAIN_TEXT {
        return error(
            "rich_text",
            "must have at most 10,000 characters as plain text, with the addresses of its links",
        );
    }
    if !rich_text.spans().any(|span| says_something(&span.text)) {
        return error("rich_text", "must say something: it holds only spaces, line breaks and invisible characters");
    }
    Ok((plain_text, Some(rich_text)))
}

fn block(block: PbBlock) -> Block {
    match block {
        PbBlock::Paragraph(line) => Block::Paragraph { spans: spans(line) },
        PbBlock::List(pb::RichTextList { numbered, items }) => {
            Block::List { numbered, items: items.into_iter().map(spans).collect() }
        }
    }
}

fn spans(line: pb::RichTextLine) -> Line {
    let span = |pb::RichTextSpan { text, bold, italic, link_url }| Span { text, bold, italic, link: link_url };
    line.spans.into_iter().map(span).collect()
}

pub(super) fn rich_text(text: &RichText) -> pb::RichText {
    let block = |block: &Block| match block {
        Block::Paragraph { spans } => Some(PbBlock::Paragraph(line(spans))),
        Block::List { numbered, items } => {
            Some(PbBlock::List(pb::RichTextList { numbered: *numbered, items: items.iter().map(line).collect() }))
        }
        Block::Unknown => None,
    };
    pb::RichText { blocks: text.0.iter().map(|one| pb::RichTextBlock { block: block(one) }).collect() }
}

fn line(spans: &Line) -> pb::RichTextLine {
    let span = |span: &Span| pb::RichTextSpan {
        text: span.text.clone(),
        bold: span.bold,
        italic: span.italic,
        link_url: span.link.clone(),
    };
    pb::RichTextLine { spans: spans.iter().map(span).collect() }
}
