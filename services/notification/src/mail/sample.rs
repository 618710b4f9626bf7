//! A transcript with every kind of line: an account's template is tried with it, and the golden files show it.

use std::time::Duration;

use frontdesk_clock::Time;

use crate::domain::{
    Attachment, Author, Block, Content, File, Insert, InsertContent, Message, Span, Transcript, TranscriptLine, zone,
};

/// 2026-03-03 22:58:20 UTC: the chat goes on after midnight in Rome.
const START: Time = Time(1_772_578_700_000_000);

fn span(text: &str) -> Span {
    Span { text: text.into(), ..Span::default() }
}

fn insert(title: &str, path: &str, content: InsertContent) -> Insert {
    let url = format!("https://shop.example/{path}");
    Insert { title: title.into(), plain_text: format!("{title}: {url}"), url, content }
}

fn attachment(file_name: &str, bytes: i32, file: File) -> Attachment {
    Attachment { id: file_name.into(), file_name: file_name.into(), media_type: "application/pdf".into(), bytes, file }
}

fn rich_text() -> Vec<Block> {
    let bold = Span { bold: true, ..span("two ways") };
    let italic = Span { italic: true, ..span("free of charge") };
    let link = Span { link: "https://shop.example/returns?order=12".into(), ..span("our page on returns") };
    vec![
        Block::Paragraph(vec![span("You can return it in "), bold, span(", both "), italic, span(":")]),
        Block::List {
            numbered: true,
            items: vec![vec![span("In the shop in Via Roma 1.")], vec![span("By mail: see "), link, span(".")]],
        },
    ]
}

fn quote() -> InsertContent {
    InsertContent::Quote {
        number: "Q-17".into(),
        amount: "1200.50".into(),
        currency: "EUR".into(),
        expire_date: "2026-12-31".into(),
    }
}

/// A transcript with every kind of line.
pub(super) fn sample() -> Transcript {
    let named =
        |author, name: &str, text: &str| Message { author, name: name.into(), text: text.into(), ..Message::default() };
    let plain = "You can return it in two ways, both free of charge:\n\n1. In the shop in Via Roma 1.\n\
                 2. By mail: see our page on returns (https://shop.example/returns?order=12).";
    let contents = [
        Content::Message(Message {
            buttons: vec!["Orders".into(), "Returns".into()],
            ..named(Author::Bot, "Robo", "Hello! What is it about?")
        }),
        Content::Message(named(Author::Visitor, "Vera", "Returns <of order 12>\n\n    Größe 38\u{20AC}")),
        Content::Joined { name: "Ada".into() },
        Content::Message(Message { rich_text: rich_text(), ..named(Author::Agent, "Ada", plain) }),
        Content::Message(Message {
            inserts: vec![
                insert("New bicycle", "quotes/17", quote()),
                insert("Fitting", "book", InsertContent::Meeting { minutes: 30 }),
                insert(
                    "How to pack it",
                    "pack",
                    InsertContent::Article { summary: "Use the box.\nKeep the bill.".into() },
                ),
                insert("Prices", "prices.pdf", InsertContent::Document { file_name: "prices.pdf".into() }),
                insert("Packing in a minute", "video", InsertContent::Video),
            ],
            ..named(Author::Agent, "Ada", "Here is what you need.")
        }),
        Content::Omitted { messages: 1_234, url: "https://chat.example/transcripts/1234".into() },
        Content::Message(Message {
            attachments: vec![
                attachment(
                    "label.pdf",
                    12_500,
                    File::Link(format!("https://chat.example/attachments/{}", "a1".repeat(120))),
                ),
                attachment("photo of the saddle.jpg", 2_500_000, File::Removed),
            ],
            ..named(Author::Team, "", "")
        }),
        Content::Message(named(Author::You, "", &"A-word-that-never-ends-".repeat(8))),
        Content::Ended { visitor_inactive: true },
        Content::Reopened,
        Content::Ended { visitor_inactive: false },
    ];
    let at = |minutes: u64| START.plus(Duration::from_secs(minutes * 60));
    let lines = (0..).zip(contents).map(|(minutes, content)| TranscriptLine { at: at(minutes), content });
    Transcript {
        channel: "Rossi Bicycles".into(),
        page_url: "https://shop.example/orders/12".into(),
        page_title: "Your order & its parts".into(),
        started_at: START,
        visitor: "Vera".into(),
        to_visitor: true,
        zone: zone(&["Europe/Rome"]),
        links_end_at: START.plus(Duration::from_secs(30 * 24 * 3600)),
        lines: lines.collect(),
    }
}
