//! Texts with paragraphs, lists, bold and italic parts and links (rule C4).

use serde::{Deserialize, Serialize};

/// A text as its blocks. Stored as JSON: add, never rename.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RichText(pub(crate) Vec<Block>);

/// A block of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Block {
    Paragraph {
        spans: Line,
    },
    List {
        numbered: bool,
        items: Vec<Line>,
    },
    /// A block of a later release, which a replica of this one cannot show.
    #[serde(other)]
    Unknown,
}

/// A paragraph, or an item of a list, as its parts.
pub(crate) type Line = Vec<Span>;

/// A part of a line whose characters look alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Span {
    pub(crate) text: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) bold: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) italic: bool,
    /// The address that it leads to. Empty: it is no link.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) link: String,
}

impl RichText {
    /// The text without formatting, in which each link is followed by its address.
    pub(crate) fn plain_text(&self) -> String {
        let blocks: Vec<_> = self.0.iter().filter_map(Block::plain_text).collect();
        blocks.join("\n\n")
    }

    /// The spans of all blocks.
    pub(crate) fn spans(&self) -> impl Iterator<Item = &Span> {
        self.0.iter().flat_map(Block::lines).flatten()
    }
}

impl Block {
    fn lines(&self) -> &[Line] {
        match self {
            Self::Paragraph { spans } => std::slice::from_ref(spans),
            Self::List { items, .. } => items,
            Self::Unknown => &[],
        }
    }

    fn plain_text(&self) -> Option<String> {
        match self {
            Self::Paragraph { spans } => Some(plain_line(spans)),
            Self::List { numbered, items } => {
                let item = |(place, item): (usize, &Line)| match numbered {
                    true => format!("{}. {}", place + 1, plain_line(item)),
                    false => format!("- {}", plain_line(item)),
                };
                let items: Vec<_> = items.iter().enumerate().map(item).collect();
                Some(items.join("\n"))
            }
            Self::Unknown => None,
        }
    }
}

/// The texts of the spans. A link may have several, and one address behind them.
fn plain_line(spans: &[Span]) -> String {
    let mut line = String::new();
    for link in spans.chunk_by(|one, next| one.link == next.link) {
        let text: String = link.iter().map(|span| span.text.as_str()).collect();
        let address = link.first().map_or("", |span| &span.link);
        line.push_str(&text);
        if !address.is_empty() && text.trim() != address {
            line.push_str(&format!(" ({address})"));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(text: &str) -> Span {
        Span { text: text.into(), ..Span::default() }
    }

    fn link(text: &str, address: &str) -> Span {
        Span { link: address.into(), ..span(text) }
    }

    #[test]
    fn c4_the_plain_text_has_blank_lines_between_blocks_and_marks_the_items_of_lists() {
        let items = || vec![vec![span("Brakes")], vec![Span { bold: true, ..span("Tyres") }, span(" and tubes")]];
        let text = RichText(vec![
            Block::Paragraph { spans: vec![span("We "), Span { italic: true, ..span("check") }, span(":")] },
            Block::List { numbered: false, items: items() },
            Block::Unknown,
            Block::List { numbered: true, items: items() },
        ]);
        let plain = "We check:\n\n- Brakes\n- Tyres and tubes\n\n1. Brakes\n2. Tyres and tubes";
        assert_eq!(text.plain_text(), plain);
        assert_eq!(text.spans().count(), 9);
    }

    #[test]
    fn c4_links_show_where_they_lead() {
        let plain = |spans: Vec<Span>| RichText(vec![Block::Paragraph { spans }]).plain_text();
        let address = "https://shop.example/prices";
        assert_eq!(
            plain(vec![span("See "), link("our prices", address), span(".")]),
            format!("See our prices ({address}).")
        );
        assert_eq!(plain(vec![link(address, address)]), address, "the text is the address");
        let other = "https://evil.example/";
        assert_eq!(plain(vec![link(address, other)]), format!("{address} ({other})"));
        // One link with a bold part.
        let parts = vec![link("our ", address), Span { bold: true, ..link("prices", address) }];
        assert_eq!(plain(parts), format!("our prices ({address})"));
        let two = vec![link("A", "https://a.example"), link("B", "https://b.example")];
        assert_eq!(plain(two), "A (https://a.example)B (https://b.example)");
    }

    #[test]
    fn c4_rich_texts_are_read_as_they_were_written_and_blocks_of_later_releases_do_not_hide_them() {
        let text = RichText(vec![
            Block::Paragraph { spans: vec![Span { bold: true, italic: true, ..link("X", "https://x.example") }] },
            Block::List { numbered: true, items: vec![vec![span("Y")]] },
        ]);
        let json = serde_json::to_string(&text).unwrap();
        assert_eq!(serde_json::from_str::<RichText>(&json).unwrap(), text, "{json}");
        let later = serde_json::from_str::<RichText>(r#"[{"type":"table","rows":[]}]"#).unwrap();
        assert_eq!(later, RichText(vec![Block::Unknown]));
    }
}
