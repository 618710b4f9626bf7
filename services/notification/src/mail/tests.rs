use std::time::{Duration, Instant};

use frontdesk_clock::Time;
use mail_parser::{Address, HeaderValue, Message, MessageParser};
use uuid::Uuid;

use super::*;
use crate::domain::{
    Attachment, Author, Block, Content, File, Insert, InsertContent, Message as ChatMessage, Span, Transcript,
    TranscriptLine,
};

/// 2026-03-03 13:03:22 UTC.
const START: Time = Time(1_772_543_002_000_000);

fn message(author: Author, name: &str, text: &str) -> TranscriptLine {
    of(ChatMessage { author, name: name.into(), text: text.into(), ..ChatMessage::default() })
}

fn of(message: ChatMessage) -> TranscriptLine {
    TranscriptLine { at: START, content: Content::Message(message) }
}

fn english() -> &'static Language {
    language(&["en"]).unwrap()
}

fn transcript(lines: Vec<TranscriptLine>) -> Transcript {
    Transcript {
        channel: "Acme Support".into(),
        page_url: "https://acme.example/pricing?plan=1".into(),
        page_title: "Pricing & plans".into(),
        started_at: START,
        visitor: "Vera".into(),
        to_visitor: true,
        zone: frontdesk_time_zone::parse("Europe/Rome").unwrap(),
        links_end_at: START.plus(Duration::from_secs(30 * 24 * 3600)),
        lines,
    }
}

fn envelope() -> Envelope {
    Envelope {
        delivery: Uuid::from_u128(7),
        message_id: message_id(Uuid::from_u128(7), "team@acme.example"),
        date: START,
        from_name: "Acme".into(),
        from: "team@acme.example".into(),
        to_name: "Vera".into(),
        to: "vera@visitor.example".into(),
        subject: "Your chat with Acme".into(),
        optional: OptionalHeaders::default(),
    }
}

fn composed(transcript: &Transcript, envelope: &Envelope) -> Vec<u8> {
    compose(transcript, english(), envelope).unwrap().bytes
}

fn parse(bytes: &[u8]) -> Message<'_> {
    MessageParser::default().parse(bytes).unwrap()
}

fn only_address(address: Option<&Address<'_>>) -> (String, String) {
    let addresses: Vec<_> = address.unwrap().iter().collect();
    assert_eq!(addresses.len(), 1);
    (addresses[0].name().unwrap_or_default().into(), addresses[0].address().unwrap().into())
}

/// The HTML part and the plain text part.
fn render(transcript: &Transcript, subject: &str) -> Result<(String, String), ComposeError> {
    Ok((html(transcript, english(), subject)?, text(transcript, english(), subject)?))
}

fn linked(text: &str, link: &str) -> Span {
    Span { text: text.into(), link: link.into(), ..Span::default() }
}

fn insert(content: InsertContent) -> Insert {
    let (title, url) = ("Prices <2026>".into(), "https://shop.example/prices".into());
    Insert { title, url, plain_text: "its plain text".into(), content }
}

fn attachment(file_name: &str, file: File) -> Attachment {
    let (id, media_type) = ("7".into(), "application/pdf".into());
    Attachment { id, file_name: file_name.into(), media_type, bytes: 12_500, file }
}

#[test]
fn t6_a_transcript_is_html_and_text_with_times_names_and_the_page() {
    let lines = vec![
        message(Author::Bot, "Robo", "Hello!"),
        TranscriptLine { at: START.plus(Duration::from_secs(60)), content: Content::Joined { name: "Ada".into() } },
        message(Author::Agent, "Ada", "How can I help?"),
        message(Author::Visitor, "Vera", "Größe?\nZweite Zeile"),
        TranscriptLine {
            at: START.plus(Duration::from_secs(40_000)),
            content: Content::Ended { visitor_inactive: false },
        },
    ];
    let (envelope, transcript) = (envelope(), transcript(lines));
    let bytes = composed(&transcript, &envelope);
    let mail = parse(&bytes);
    assert_eq!(mail.message_id().unwrap(), format!("{}@acme.example", envelope.delivery));
    assert_eq!(mail.subject(), Some("Your chat with Acme"));
    assert_eq!(mail.date().unwrap().to_timestamp(), START.0 / 1_000_000);
    assert_eq!(only_address(mail.from()), ("Acme".into(), "team@acme.example".into()));
    assert_eq!(only_address(mail.to()), ("Vera".into(), "vera@visitor.example".into()));
    assert!(matches!(mail.header("Auto-Submitted"), Some(HeaderValue::Text(text)) if text == "auto-generated"));
    assert!(mail.content_type_is_alternative());

    let (html, text) = (mail.body_html(0).unwrap(), mail.body_text(0).unwrap());
    for part in [&html, &text] {
        for expected in [
            "14:03:22 CET",
            "Ada joined",
            "Tuesday, 3 March 2026",
            "Wednesday, 4 March 2026",
            "Europe/Rome",
            "The chat ended",
            "Größe?",
        ] {
            assert!(part.replace("&#x2f;", "/").contains(expected), "{expected} in {part}");
        }
    }
    assert!(text.contains("<https://acme.example/pricing?plan=1>"));
    for by in ["CET] Robo (bot):", "CET] Ada (team):", "CET] Vera (visitor):"] {
        assert!(text.contains(by), "{by} in {text}");
    }
    assert!(text.contains("because you chatted with Acme Support."));
    assert!(html.contains(">Größe?</div>"));
    assert!(html.contains("Pricing &amp; plans"));
    assert!(text.contains("\r\n    Größe?\r\n    Zweite Zeile\r\n"), "{text:?}");
}

trait Alternative {
    fn content_type_is_alternative(&self) -> bool;
}

impl Alternative for Message<'_> {
    fn content_type_is_alternative(&self) -> bool {
        use mail_parser::MimeHeaders;
        self.content_type().is_some_and(|kind| kind.subtype() == Some("alternative")) && self.parts.len() == 3
    }
}

#[test]
fn t7_what_people_wrote_never_becomes_markup() {
    let attack = "<script>alert(1)</script>\n<a href=\"https://evil.example\">bank</a> {{ channel }} {% raw %}";
    let mut transcript = transcript(vec![
        message(Author::Visitor, "<img src=x onerror=1>", attack),
        TranscriptLine { at: START, content: Content::Joined { name: "<b>Ada</b>".into() } },
    ]);
    transcript.channel = "<i>Acme</i>".into();
    transcript.page_title = "\"><script>".into();
    let (html, text) = render(&transcript, "<u>subject</u>").unwrap();
    for tag in ["<script", "<img", "<b>", "<i>", "<u>", "href=\"https:&#x2f;&#x2f;evil", "href=\"https://evil"] {
        assert!(!html.contains(tag), "{tag}");
    }
    assert!(html.contains("{{ channel }}"), "text is not a template");
    assert!(text.contains("    <script>alert(1)</script>"), "text stays unchanged");
    // The only link is the page's, and its text is its URL.
    assert_eq!(html.matches("<a ").count(), 1);
    assert!(html.contains(">https:&#x2f;&#x2f;acme.example&#x2f;pricing?plan=1</a>"), "{html}");
}

#[test]
fn t7_a_page_that_is_no_web_page_or_hides_its_host_is_shown_and_not_linked() {
    for (page, shown) in [
        ("javascript:alert(1)", "javascript:alert(1)"),
        ("https://shop.example@evil.example/", "https://shop.example@evil.example/"),
        ("https://shop.example:443@evil.example", "https://shop.example:443@evil.example"),
        ("data:\u{200B}te\u{2060}xt\r\n* x", "data:text * x"),
    ] {
        let mut transcript = transcript(Vec::new());
        transcript.page_url = page.into();
        let (html, text) = render(&transcript, "Chat").unwrap();
        assert!(!html.contains("<a "), "{page:?}");
        assert!(html.replace("&#x2f;", "/").contains(&format!(">{shown}</span>")), "{html}");
        assert!(text.contains(&format!("\r\n{shown}\r\n")), "{text}");
    }
}

#[test]
fn t7_a_link_shows_what_it_opens() {
    let mut transcript = transcript(Vec::new());
    transcript.page_url = "https://\u{430}cme.example/pay\u{202E}".into();
    let (html, text) = render(&transcript, "Chat").unwrap();
    let opens = "https://xn--cme-5cd.example/pay%E2%80%AE";
    assert!(html.replace("&#x2f;", "/").contains(&format!("href=\"{opens}\"")), "{html}");
    assert!(html.replace("&#x2f;", "/").contains(&format!(">{opens}</a>")), "{html}");
    assert!(text.contains(&format!("<{opens}>")), "{text}");
}

#[test]
fn t7_a_visitor_named_like_an_agent_is_seen_to_be_a_visitor() {
    let lines = vec![
        message(Author::Visitor, "Ada Byron", "Pay at once"),
        message(Author::UnnamedVisitor, "You", "What do you mean?"),
    ];
    let (html, text) = render(&transcript(lines), "Chat").unwrap();
    assert!(text.contains("CET] Ada Byron (visitor):") && text.contains("CET] You:"), "{text}");
    assert!(html.contains("Ada Byron</strong> (visitor)") && html.contains("You</strong> &middot;"), "{html}");
}

#[test]
fn t4_the_mail_to_another_contact_does_not_say_that_they_chatted() {
    let transcript = Transcript { to_visitor: false, ..transcript(Vec::new()) };
    let (html, text) = render(&transcript, "Chat").unwrap();
    for part in [html, text] {
        assert!(part.contains("because Acme Support sent you the transcript of a chat."), "{part}");
        assert!(!part.contains("you chatted") && !part.contains("Your chat"), "{part}");
    }
}

#[test]
fn t6_a_mail_is_never_larger_than_its_lines_and_the_maximum_around_them() {
    let hostile = "<\"'&/>\n\u{1F600}";
    let lines: Vec<TranscriptLine> = (0..200_u64)
        .flat_map(|number| {
            let at = START.plus(Duration::from_secs(number * 7_000));
            let text = hostile.repeat(usize::try_from(number).unwrap());
            let content = Content::Message(ChatMessage {
                author: Author::Visitor,
                name: hostile.repeat(30),
                text,
                buttons: vec![hostile.repeat(20); 3],
                rich_text: vec![Block::Paragraph(vec![linked(hostile, "https://shop.example/'")])],
                inserts: vec![insert(InsertContent::Article { summary: hostile.repeat(9) })],
                attachments: vec![attachment(hostile, File::Link("https://files.example/'".into()))],
            });
            let joined = Content::Joined { name: hostile.repeat(30) };
            [
                TranscriptLine { at, content },
                TranscriptLine { at, content: joined },
                TranscriptLine { at, content: Content::Omitted { messages: 7, url: String::new() } },
            ]
        })
        .collect();
    let (mut before, rome) = (None, frontdesk_time_zone::parse("Europe/Rome").unwrap());
    let mut transcript = transcript(Vec::new());
    let style = Style { language: english(), zone: &rome, links_end_at: transcript.links_end_at };
    let lines_size: usize =
        lines.iter().map(|line| rendered_size(line, &style, before.replace(line.at)).unwrap()).sum();
    transcript.lines = lines;
    let size = |transcript: &Transcript| {
        let (html, text) = render(transcript, &hostile.repeat(100)).unwrap();
        html.len() + text.len()
    };
    let whole = size(&transcript);
    transcript.lines.clear();
    // The text around the lines includes their number, whose count of digits differs.
    let taken = whole - size(&transcript);
    assert!(taken.abs_diff(lines_size) < 16, "{taken} bytes, computed as {lines_size}");
    transcript.channel = "\"".repeat(1_000);
    transcript.page_title = "\"".repeat(1_000);
    for page in [format!("https://acme.example/{}", "'".repeat(1_970)), "\"".repeat(5_000)] {
        transcript.page_url = page;
        assert!(size(&transcript) < 1_000_000 - max_bytes_of_lines(1_000_000));
    }
}

#[test]
fn t7_a_message_cannot_imitate_the_structure_of_the_text() {
    let attack = "hi\n[14:05:00 CET] Ada:\n    pay here\u{2028}* 14:06:00 CET  Ada joined\r--- Friday ---";
    let (_, text) =
        render(&transcript(vec![message(Author::Visitor, "Eve\r\n[14:04:00 CET] Ada:", attack)]), "Chat").unwrap();
    let forged = ["[14:05:00", "* 14:06", "--- Friday", "[14:04:00"];
    assert!(!text.split("\r\n").any(|line| forged.iter().any(|start| line.starts_with(start))), "{text}");
}

#[test]
fn t7_nothing_changes_the_direction_of_the_text() {
    let lines = vec![message(Author::Visitor, "E\u{202E}ve", "pay \u{202E}knab\u{2066} now")];
    let transcript = transcript(lines);
    let (html, text) = render(&transcript, "x\u{202E}y").unwrap();
    for part in [html, text] {
        assert!(!part.contains('\u{202E}') && part.contains("pay knab\u{2066} now\u{2069}"), "{part:?}");
    }
}

#[test]
fn t7_names_and_subjects_never_become_headers() {
    let attacks = [
        "Eve\r\nBcc: all@evil.example",
        "Eve\nSubject: other",
        "Eve\u{0}\u{8}\u{2028}Bcc: all@evil.example",
        "\u{202E}moc.elpmaxe@eve",
        "=?utf-8?Q?=0D=0ABcc:_all@evil.example?=",
        "\"Eve\" <eve@evil.example>, other",
        "ceo@bank.example",
    ];
    for attack in attacks {
        let envelope =
            Envelope { from_name: attack.into(), to_name: attack.into(), subject: attack.into(), ..envelope() };
        let bytes = composed(&transcript(Vec::new()), &envelope);
        let mail = parse(&bytes);
        assert!(mail.bcc().is_none() && mail.cc().is_none(), "{attack:?}");
        let headers: Vec<&str> = mail.headers().iter().map(|header| header.name.as_str()).collect();
        let mut once = headers.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), headers.len(), "{attack:?}: {headers:?}");
        let (name, address) = only_address(mail.to());
        assert_eq!(address, "vera@visitor.example");
        assert!(!name.contains('@') && !name.contains('\u{202E}'), "{name}");
        assert!(!mail.subject().unwrap().contains(char::is_control));
    }
}

#[test]
fn t6_blanks_tabs_and_indentation_are_shown_as_they_were_written() {
    let code = "a    b\n\tcode\n    x = 1\n\n  \nend  ";
    let line = message(Author::Agent, "Ada", code);
    let (html, text) = render(&transcript(vec![line]), "Chat").unwrap();
    for line in ["a    b", "\tcode", "    x = 1", "  ", "end  "] {
        let shown = format!("white-space:pre-wrap;\">{line}</div>");
        assert!(html.contains(&shown), "{shown} in {html}");
        assert!(text.contains(&format!("\r\n    {line}\r\n")), "{text}");
    }
    assert!(html.contains("<div><br></div>"), "an empty line keeps its height: {html}");
}

#[test]
fn t6_each_line_has_its_own_direction() {
    let line = message(Author::Agent, "Ada", "Hello\nשלום");
    let (html, _) = render(&transcript(vec![line]), "Chat").unwrap();
    for line in ["Hello", "שלום"] {
        let own = html.lines().find(|shown| shown.contains(line)).unwrap();
        assert!(own.starts_with("<div dir=\"auto\""), "{own}");
    }
}

#[test]
fn t6_t7_marks_and_isolates_are_kept_and_end_with_their_line() {
    let order = "הזמנה C++\u{200F} מס' 12-34 \u{2066}ACME-7\u{2069} מוכנה.";
    let open = "\u{2067}פתוח\u{2068}\nnext\u{2069} \u{61C}1\u{200E}\u{202E}2\u{202C}";
    let lines = vec![message(Author::Agent, "Ada C++\u{200F}", order), message(Author::Visitor, "Vera", open)];
    let (html, text) = render(&transcript(lines), "Chat").unwrap();
    for part in [html.replace("&#x27;", "'"), text] {
        let kept = ["Ada C++\u{200F}", order, "\u{2067}פתוח\u{2068}\u{2069}\u{2069}", "next \u{61C}1\u{200E}2"];
        for line in kept {
            assert!(part.contains(line), "{line:?} in {part:?}");
        }
        assert!(!part.contains("next\u{2069}"), "nothing ends what another line began");
    }
}

#[test]
fn t6_a_name_with_a_full_stop_is_quoted() {
    for name in ["Booking.com", "J.R.R.", ".", "Acme Inc.", "Dr. \"Who\"", "Größe GmbH & Co.", "Acme_1-2"] {
        let envelope = Envelope { from_name: name.into(), to_name: name.into(), ..envelope() };
        let bytes = composed(&transcript(Vec::new()), &envelope);
        let mail = parse(&bytes);
        assert_eq!(only_address(mail.from()), (name.into(), "team@acme.example".into()));
        assert_eq!(only_address(mail.to()), (name.into(), "vera@visitor.example".into()));
        let head = String::from_utf8(bytes).unwrap();
        for header in ["From: ", "To: "] {
            let value = head.lines().find_map(|line| line.strip_prefix(header)).unwrap();
            let atom = value.split(" <").next().unwrap();
            assert!(atom.starts_with('"') || !atom.contains('.'), "{value}");
        }
    }
}

#[test]
fn t8_every_line_ends_with_crlf_and_none_is_too_long() {
    let long = "word ".repeat(1_000) + &"ü".repeat(3_000);
    let bytes = composed(&transcript(vec![message(Author::Visitor, "Vera", &long)]), &envelope());
    assert!(bytes.is_ascii(), "servers without 8BITMIME accept it");
    for (index, byte) in bytes.iter().enumerate() {
        match byte {
            b'\n' => assert_eq!(bytes[index - 1], b'\r'),
            b'\r' => assert_eq!(bytes[index + 1], b'\n'),
            _ => {}
        }
    }
    assert!(bytes.split(|byte| *byte == b'\n').all(|line| line.len() <= 999));
}

#[test]
fn t8_the_same_delivery_gives_the_same_bytes() {
    let (transcript, envelope) = (transcript(vec![message(Author::Visitor, "Vera", "Hi ü")]), envelope());
    assert_eq!(composed(&transcript, &envelope), composed(&transcript, &envelope));
}

#[test]
fn t6_ten_thousand_messages_compose_quickly() {
    let lines = (0..10_000)
        .map(|number| message(Author::Visitor, "Vera", &format!("Nachricht {number}: größer\nund weiter")))
        .collect();
    let start = Instant::now();
    let bytes = composed(&transcript(lines), &envelope());
    assert!(bytes.len() > 1_000_000);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn t9_the_json_has_the_same_lines() {
    let lines = vec![message(Author::Visitor, "Vera", "<b>"), TranscriptLine { at: START, content: Content::Reopened }];
    let value: serde_json::Value = serde_json::from_str(&json(&transcript(lines), english())).unwrap();
    assert_eq!(value["entries"][0]["text"], "<b>");
    assert_eq!(value["entries"][0]["time"], "2026-03-03T14:03:22+01:00");
    assert_eq!(value["entries"][1]["kind"], "reopened");
}

#[test]
fn t5_the_code_is_mailed_from_the_installation() {
    let envelope = Envelope { to_name: String::new(), to: "team@acme.example".into(), ..envelope() };
    let bytes = compose_code(&envelope, "01234567", CodeMail::Sender, english()).unwrap().bytes;
    let mail = parse(&bytes);
    assert!(mail.body_text(0).unwrap().contains("01234567") && mail.body_html(0).unwrap().contains("01234567"));
}

#[test]
fn x1_the_code_of_a_visitor_is_mailed_with_no_other_text_than_their_address() {
    let envelope = Envelope {
        to_name: String::new(),
        to: "vera@visitor.example".into(),
        subject: CodeMail::Visitor.subject(english()).into(),
        ..envelope()
    };
    let bytes = compose_code(&envelope, "01234567", CodeMail::Visitor, english()).unwrap().bytes;
    let mail = parse(&bytes);
    assert_eq!(mail.subject(), Some("Your code for the chat"));
    for part in [mail.body_text(0).unwrap(), mail.body_html(0).unwrap()] {
        assert!(part.contains("01234567") && part.contains("vera@visitor.example"), "{part}");
        assert!(!part.contains("transcripts") && !part.contains("Acme"), "{part}");
    }
}

#[test]
fn s4_no_mail_is_composed_to_an_odd_address() {
    for odd in ["a@[127.0.0.1]", "a%b@c.example", "a@b\r\nRCPT TO:<x@y.example>", ""] {
        let envelope = Envelope { to: odd.into(), ..envelope() };
        assert!(compose(&transcript(Vec::new()), english(), &envelope).is_err(), "{odd:?}");
    }
}

#[test]
fn s8_a_text_fills_its_place_in_a_mail_and_no_other() {
    const PIECES: &[&str] = &[
        "<",
        ">",
        "&",
        "&lt;",
        "\"",
        "'",
        "</title>",
        "<!--",
        "-->",
        "]]>",
        "<script>",
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "\r\n",
        "\r\n.\r\n",
        "\0",
        "\u{2028}",
        "\u{202E}",
        "https://",
        "=?utf-8?B?",
    ];
    let tags = |html: &str| -> Vec<String> {
        html.split('<').skip(1).map(|tag| tag.split('>').next().unwrap_or_default().to_owned()).collect()
    };
    let with = |written: &str| {
        let line: String = written.chars().filter(|char| !char.is_whitespace() && !char.is_control()).collect();
        Transcript {
            channel: written.into(),
            page_url: format!("no page {written}"),
            page_title: format!("title {written}"),
            ..transcript(vec![message(Author::Visitor, written, &format!("text {line}"))])
        }
    };
    let expected = tags(&html(&with(""), english(), "").unwrap());
    frontdesk_fuzz::check!().with_generator(frontdesk_fuzz::text(PIECES, 16)).for_each(|written| {
        let (html, _) = render(&with(written), written).unwrap();
        assert_eq!(tags(&html), expected, "{written:?}");
    });
}

#[test]
fn t6_t7_rich_text_keeps_its_shape_and_a_link_shows_where_it_leads() {
    let bold = Span { text: "bold".into(), bold: true, ..Span::default() };
    let both = Span { text: "both\nnext <line>".into(), bold: true, italic: true, ..Span::default() };
    let prices = "https://shop.example/prices";
    let rich_text = vec![
        Block::Paragraph(vec![bold, both, linked("our ", prices), Span { bold: true, ..linked("prices", prices) }]),
        Block::List {
            numbered: true,
            items: vec![vec![linked(prices, prices)], vec![linked("bank", "https://a@evil.example")]],
        },
    ];
    let line = of(ChatMessage { text: "the plain form".into(), rich_text, ..ChatMessage::default() });
    let (html, text) = render(&transcript(vec![line]), "Chat").unwrap();
    let html = html.replace("&#x2f;", "/");
    let anchor =
        |url: &str| format!("<a class=\"link\" href=\"{url}\" style=\"color:#1a5fb4;word-break:break-all;\">{url}</a>");
    for shown in [
        "<strong>bold</strong><strong><em>both</em></strong></div>",
        &format!("<strong><em>next &lt;line&gt;</em></strong>our <strong>prices</strong> ({})</div>", anchor(prices)),
        "<ol ",
        &format!(">{}</div>", anchor(prices)),
        "bank (<span style=\"word-break:break-all;\">https://a@evil.example</span>)",
    ] {
        assert!(html.contains(shown), "{shown} in {html}");
    }
    assert_eq!(html.matches("<li>").count(), 2);
    assert!(text.contains("\r\n    the plain form\r\n") && !text.contains("bold"), "{text}");
}

#[test]
fn t6_inserts_and_attachments_are_shown_as_what_they_are() {
    let quote = InsertContent::Quote {
        number: "Q-17".into(),
        amount: "1200.00".into(),
        currency: "EUR".into(),
        expire_date: "2026-12-31".into(),
    };
    let contents = [
        quote,
        InsertContent::Meeting { minutes: 30 },
        InsertContent::Article { summary: "All <prices>".into() },
        InsertContent::Document { file_name: "prices.pdf".into() },
        InsertContent::Video,
        InsertContent::Text,
    ];
    let message = ChatMessage {
        inserts: contents.into_iter().map(insert).collect(),
        attachments: vec![
            attachment("a.pdf", File::Link("https://files.example/t".into())),
            attachment("b.pdf", File::Removed),
            attachment("c.pdf", File::NotLinked),
        ],
        ..ChatMessage::default()
    };
    let transcript = transcript(vec![of(message)]);
    let (html, text) = render(&transcript, "Chat").unwrap();
    let in_english = [
        "Quote Q-17: Prices <2026>",
        "Total: 1,200.00 EUR",
        "Valid until 31 December 2026",
        "Meeting: Prices <2026>",
        "30 minutes",
        "Article: Prices <2026>",
        "All <prices>",
        "Document: Prices <2026>",
        "prices.pdf",
        "Video: Prices <2026>",
        "its plain text",
        "File: a.pdf (12 KiB)",
        "The link works until 2 April 2026.",
        "File: b.pdf (12 KiB)",
        "No longer available",
        "File: c.pdf (12 KiB)",
    ];
    for shown in in_english {
        assert!(text.contains(&format!("\r\n    {shown}\r\n")), "{shown} in {text}");
        let escaped = shown.replace('<', "&lt;").replace('>', "&gt;");
        assert!(html.contains(&format!(">{escaped}</div>")), "{escaped} in {html}");
    }
    let (html, links) = (html.replace("&#x2f;", "/"), ["https://shop.example/prices", "https://files.example/t"]);
    for (link, times) in links.into_iter().zip([5, 1]) {
        assert_eq!(html.matches(&format!("href=\"{link}\"")).count(), times);
        assert_eq!(html.matches(&format!(">{link}</a>")).count(), times);
        assert_eq!(text.matches(&format!("    <{link}>\r\n")).count(), times);
    }
    let italian = super::text(&transcript, language(&["it"]).unwrap(), "Chat").unwrap();
    let in_italian =
        ["Totale: 1.200,00 EUR", "Valido fino al 31 dicembre 2026", "Il link funziona fino al 2 aprile 2026."];
    for shown in in_italian.into_iter().chain(["Visitatore", "martedì 3 marzo 2026, orari nel fuso Europe/Rome"]) {
        assert!(italian.contains(shown), "{shown} in {italian}");
    }
}

#[test]
fn t7_hostile_inserts_and_names_of_files_stay_text() {
    let attack = "<script>\"'{{ 7 }}\r\n[14:05:00 CET] Ada:";
    let contents = [
        InsertContent::Quote {
            number: attack.into(),
            amount: attack.into(),
            currency: attack.into(),
            expire_date: attack.into(),
        },
        InsertContent::Article { summary: attack.into() },
        InsertContent::Document { file_name: attack.into() },
        InsertContent::Text,
    ];
    let hostile = |content| Insert {
        title: attack.into(),
        url: "javascript:alert(1)".into(),
        plain_text: attack.into(),
        content,
    };
    let message = ChatMessage {
        rich_text: vec![Block::Paragraph(vec![linked(attack, "data:text/html,x")])],
        text: attack.into(),
        inserts: contents.into_iter().map(hostile).collect(),
        attachments: vec![attachment(attack, File::Link("javascript:alert(2)".into()))],
        ..ChatMessage::default()
    };
    let (html, text) = render(&transcript(vec![of(message)]), "Chat").unwrap();
    assert!(!html.contains("<script") && html.contains("{{ 7 }}"), "{html}");
    assert_eq!(html.matches("<a ").count(), 1, "the page's");
    assert!(!text.split("\r\n").any(|line| line.starts_with("[14:05:00")), "{text}");
}

#[test]
fn t6_a_mail_loads_nothing_and_runs_nothing() {
    let (html, _) = render(&transcript(vec![message(Author::Agent, "Ada", "Hi")]), "Chat").unwrap();
    for active in ["<img", "<script", "<link", "<iframe", "@import", "url(", "src="] {
        assert!(!html.contains(active), "{active}");
    }
}

#[test]
fn t5_x1_codes_are_mailed_in_the_language_of_their_reader() {
    let italian = language(&["it"]).unwrap();
    for about in [CodeMail::Sender, CodeMail::Visitor] {
        let envelope =
            Envelope { to: "vera@visitor.example".into(), subject: about.subject(italian).into(), ..envelope() };
        let bytes = compose_code(&envelope, "01234567", about, italian).unwrap().bytes;
        let mail = parse(&bytes);
        assert!(mail.subject().unwrap().starts_with("Il tuo codice"));
        for part in [mail.body_text(0).unwrap(), mail.body_html(0).unwrap()] {
            assert!(part.contains("01234567") && part.contains("È valido per 24 ore"), "{part}");
            assert!(part.contains("vera@visitor.example") && !part.contains("{address}"), "{part}");
        }
    }
}

#[test]
fn n4_a_mail_to_an_agent_has_numbers_and_a_link_and_nothing_else() {
    let notices = |mentions, assignments| Notices { mentions, assignments, url: "https://inbox.example/c/1".into() };
    let mail_of = |notices: &Notices, tag: &str| {
        let language = language(&[tag]).unwrap();
        let subject = agent_mail_subject(language).to_owned();
        let envelope = Envelope { to: "ada@team.example".into(), to_name: String::new(), subject, ..envelope() };
        compose_agent_mail(&envelope, notices, language).unwrap().bytes
    };
    let bytes = mail_of(&notices(1, 2), "en");
    let mail = parse(&bytes);
    assert_eq!(mail.subject(), Some("News of a conversation"));
    let (html, text) = (mail.body_html(0).unwrap().replace("&#x2f;", "/"), mail.body_text(0).unwrap());
    for part in [html.as_str(), &text] {
        assert!(part.contains("A comment mentions you."), "{part}");
        assert!(part.contains("The conversation was assigned to you 2 times."), "{part}");
    }
    assert!(html.contains(">https://inbox.example/c/1</a>") && text.contains("<https://inbox.example/c/1>"));
    let bytes = mail_of(&notices(3, 0), "it");
    let text = parse(&bytes).body_text(0).unwrap().into_owned();
    assert!(text.contains("3 commenti ti menzionano.") && !text.contains("assegnata"), "{text}");
}

#[test]
fn t5_a_mail_names_where_replies_go_its_thread_and_how_to_get_no_more() {
    let optional = OptionalHeaders {
        reply_to: "support@acme.example".into(),
        unsubscribe_to: "no+more@acme.example".into(),
        conversation: Some(Uuid::from_u128(9)),
        dkim: None,
    };
    let head = |envelope: &Envelope| {
        let bytes = composed(&transcript(Vec::new()), envelope);
        String::from_utf8(bytes).unwrap().split("\r\n\r\n").next().unwrap().to_owned()
    };
    let (plain, with) = (head(&envelope()), head(&Envelope { optional, ..envelope() }));
    for header in ["Auto-Submitted: auto-generated\r\n", "X-Auto-Response-Suppress: All\r\n"] {
        assert!(plain.contains(header) && with.contains(header), "{plain}");
    }
    for name in ["Reply-To", "References", "List-Unsubscribe", "DKIM-Signature"] {
        assert!(!plain.contains(name), "{plain}");
    }
    let conversation = Uuid::from_u128(9);
    assert!(with.contains(&format!("References: <conversation.{conversation}@acme.example>\r\n")), "{with}");
    assert!(with.contains("Reply-To: support@acme.example\r\n"), "{with}");
    let delivery = Uuid::from_u128(7);
    let unsubscribe = format!("<mailto:no%2Bmore@acme.example?subject=unsubscribe%20{delivery}>");
    assert!(with.contains(&format!("List-Unsubscribe: {unsubscribe}\r\n")), "{with}");
}

#[test]
fn t6_the_largest_size_of_a_plain_message_is_never_exceeded() {
    let rome = frontdesk_time_zone::parse("Europe/Rome").unwrap();
    let style = Style { language: english(), zone: &rome, links_end_at: START };
    let sizes = |line: &TranscriptLine, previous| {
        let largest = max_rendered_size(line, &style, previous).unwrap();
        (rendered_size(line, &style, previous).unwrap(), largest)
    };
    for piece in ["", "a", "\"", "'<&>/", "\n", "\r\n\n", "\u{2028}a\t", "\u{2066}", "\u{E9}\u{20AC}", "a\n\"\n"] {
        for author in [Author::You, Author::Visitor, Author::Agent, Author::Bot] {
            for previous in [None, Some(START)] {
                let line = message(author, &piece.repeat(50), &piece.repeat(2_000));
                let (rendered, largest) = sizes(&line, previous);
                assert!(rendered <= largest, "{author:?}: {piece:?}: {rendered} bytes, at most {largest}");
            }
        }
    }
    let button = of(ChatMessage { buttons: vec!["Orders".into()], ..ChatMessage::default() });
    for line in [button, TranscriptLine { at: START, content: Content::Reopened }] {
        let (rendered, largest) = sizes(&line, None);
        assert_eq!(rendered, largest);
    }
}
