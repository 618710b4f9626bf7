//! Five hundred mails whose every text is hostile (row S7). Each is read by two libraries that are not ours: the crate mail-parser,
//! and Python's `email` and `html.parser` in `tests/smtp/parse.py`, which reports what a mail client would find.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use frontdesk_clock::Time;
use mail_parser::{MessageParser, MimeHeaders};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;
use uuid::Uuid;

use super::*;
use crate::domain::{
    Attachment, Author, Block, Content, File, Insert, InsertContent, Message, Span, Transcript, TranscriptLine,
};

/// Number of mails.
const MAILS: usize = 500;

/// 2026-03-03 13:03:22 UTC.
const START: Time = Time(1_772_543_002_000_000);

const FROM: &str = "team@acme.example";
const TO: &str = "vera@visitor.example";

/// What the texts are made of. Each begins a text in each place at least once.
const PIECES: &[&str] = &[
    "",
    " ",
    ".",
    "\r\n",
    "\r",
    "\n",
    "\0",
    "\u{8}\u{1b}[31m\u{7f}\u{9b}",
    "\u{85}\u{b}\u{c}\u{2028}\u{2029}",
    "\r\n.\r\n",
    "\r\n..\r\n.",
    "\n.\nMAIL FROM:<eve@evil.example>\n",
    "\r\nRCPT TO:<all@evil.example>\r\nDATA\r\n",
    "\r\nBcc: all@evil.example",
    "\rBcc: all@evil.example\r",
    "\nSubject: another\n",
    "%0d%0aBcc:%20all@evil.example",
    "\\r\\nBcc: all@evil.example",
    "\u{560d}\u{560a}Bcc: all@evil.example",
    "\r\n\r\n<html><body><script>alert(1)</script></body></html>",
    "From: eve@evil.example",
    "Content-Type: text/html; charset=utf-7",
    "\r\nContent-Transfer-Encoding: base64\r\n\r\nPHNjcmlwdD4=",
    "MIME-Version: 1.0\r\nX-Evil: yes",
    "--=_frontdesk-00000000000000000000000000000007",
    "\r\n--=_frontdesk-00000000000000000000000000000007--\r\n",
    "\r\n--=_frontdesk-00000000000000000000000000000007\r\nContent-Type: text/html\r\n\r\n<script>",
    "=?utf-8?B?DQpCY2M6IGFsbEBldmlsLmV4YW1wbGU=?=",
    "=?utf-8?Q?=0D=0ABcc:_all@evil.example?=",
    "=?utf-8?q?=3Cscript=3E?= =?utf-8?q?alert?=",
    "=?",
    "?=",
    "=0D=0ABcc: all@evil.example",
    "=3Cscript=3E",
    "\"Eve\" <eve@evil.example>, other",
    "eve@evil.example",
    "<eve@evil.example>",
    "(comment) \\\" ; : , [x]",
    "\"",
    "\\",
    "<script>alert(1)</script>",
    "<ScRiPt/src=//evil.example/x.js>",
    "</title></style></script><script>alert(1)</script>",
    "<svg/onload=alert(1)><animate onbegin=alert(1)>",
    "<svg><a xlink:href=\"javascript:alert(1)\"><text>x</text></a></svg>",
    "<math><mi xlink:href=\"data:text/html,x\">",
    "<img src=x onerror=alert(1)>",
    "<iframe srcdoc=\"<script>alert(1)</script>\"></iframe>",
    "<a href=\"https://evil.example\">bank</a>",
    "<form action=https://evil.example><input name=password>",
    "<link rel=stylesheet href=//evil.example><meta http-equiv=refresh content=0;url=//evil.example>",
    "<style>@import url(//evil.example/x.css)</style>",
    "<base href=//evil.example>",
    "<!--",
    "--><!-->",
    "<![CDATA[<script>]]>",
    "<?xml version=\"1.0\"?><!DOCTYPE x>",
    "\" onmouseover=\"alert(1)",
    "' onfocus='alert(1)' autofocus='",
    "` onclick=alert(1) `",
    "\" style=\"background:url(//evil.example)",
    "&lt;script&gt;&#60;script&#62;&#x3c;",
    "&",
    "javascript:alert(1)",
    "java\tscript:alert(1)",
    "JaVaScRiPt&colon;alert(1)",
    "data:text/html;base64,PHNjcmlwdD4=",
    "vbscript:msgbox(1)",
    "file:///etc/passwd",
    "https://bank.example@evil.example/",
    "https://evil.example/\" onclick=\"alert(1)",
    "https://\u{430}cme.example/\u{202E}gnp.exe",
    "//evil.example",
    "{{ 7 * 7 }}{{ channel }}{% include \"style.html\" %}",
    "{% raw %}{# comment #}${7*7}<%= 7 %>",
    "{{ ''.__class__ }}{title}{channel}{address}",
    "\u{202E}moc.elpmaxe@eve\u{202D}",
    "\u{2066}\u{2067}\u{2068}open",
    "\u{2069}\u{202C}end",
    "\u{200F}\u{61C}\u{200E}",
    "\u{200B}\u{2060}\u{FEFF}",
    "שלום العربية",
    "\u{1F469}\u{200D}\u{1F4BB}\u{1F1EE}\u{1F1F9}\u{1F600}",
    "e\u{301}\u{300}\u{30a}\u{489}",
    // What is left of half a surrogate pair, and its escapes, which JSON can carry.
    "\u{FFFD}\\ud83d\\u0000\\udc00",
    "\u{FFFE}\u{FFFF}\u{10FFFF}\u{E000}\u{E0041}",
    "ﷺ㍿½",
    "Größe 你好",
    "LONG",
    "LONG WORDS",
    "LONG UMLAUTS",
    "../../etc/passwd",
    "a.pdf\u{202E}fdp.exe",
    "C:\\x.exe\0.pdf; filename=\"evil.exe\"",
];

/// Addresses that no mail may be composed from or to.
const ADDRESSES: &[&str] = &[
    "",
    "@",
    "eve",
    "eve@",
    "@evil.example",
    "eve@evil.example\r\nBcc: all@evil.example",
    "eve@evil.example\nRCPT TO:<all@evil.example>",
    "eve@evil.example\0",
    "eve@evil.example, all@evil.example",
    "eve@evil.example;all@evil.example",
    "eve@evil.example> SIZE=1",
    "<eve@evil.example>",
    "Eve <eve@evil.example>",
    "eve@evil.example@bank.example",
    "eve%bank.example@evil.example",
    "eve!bank@evil.example",
    "@relay.example:eve@evil.example",
    "\"a b\"@evil.example",
    "\"eve\r\n\"@evil.example",
    "eve(comment)@evil.example",
    "eve@[127.0.0.1]",
    "eve@[IPv6:::1]",
    "eve@evil..example",
    ".eve@evil.example",
    "eve@-evil.example",
    "eve@evil.example.",
    "eve@evil\u{202E}.example",
    "ev\u{200B}e@evil.example",
    "eve@evil.example\u{2028}x",
    "eve @evil.example",
];

/// The text that begins with this piece; random others follow.
fn hostile(first: usize, random: &mut StdRng) -> String {
    let mut text = written(PIECES[first % PIECES.len()]);
    for _ in 0..random.random_range(0..4) {
        text += &written(PIECES[random.random_range(0..PIECES.len())]);
    }
    text
}

fn written(piece: &str) -> String {
    match piece {
        "LONG" => "x".repeat(2_000),
        "LONG WORDS" => "word ".repeat(300),
        "LONG UMLAUTS" => "ü".repeat(1_000),
        other => other.to_owned(),
    }
}

/// A mail whose texts `text` gives, one for each place. It has every kind of line, insert and attachment.
fn mail(mut text: impl FnMut() -> String) -> (Transcript, Envelope) {
    let insert = |content, title, url, plain_text| Insert { title, url, plain_text, content };
    let quote = InsertContent::Quote { number: text(), amount: text(), currency: text(), expire_date: text() };
    let contents = [
        quote,
        InsertContent::Meeting { minutes: 30 },
        InsertContent::Article { summary: text() },
        InsertContent::Document { file_name: text() },
        InsertContent::Video,
        InsertContent::Text,
    ];
    let mut inserts: Vec<Insert> =
        contents.into_iter().map(|content| insert(content, text(), text(), text())).collect();
    // One that is linked in every mail.
    inserts.push(insert(InsertContent::Video, text(), "https://shop.example/video".into(), text()));
    let files = [File::Link(text()), File::Link("https://files.example/1".into()), File::NotLinked, File::Removed];
    let attachment = |file| Attachment { id: text(), file_name: text(), media_type: text(), bytes: 12_500, file };
    let attachments = files.into_iter().map(attachment).collect();
    let span = |text, bold, italic, link| Span { text, bold, italic, link };
    let spans = vec![
        span(text(), true, true, text()),
        span(text(), false, false, "https://shop.example/returns".into()),
        span(text(), false, false, String::new()),
    ];
    let items = vec![vec![span(text(), false, false, text())]];
    let rich_text = vec![
        Block::Paragraph(spans),
        Block::List { numbered: true, items: items.clone() },
        Block::List { numbered: false, items },
    ];
    let message = |author, name, text| Message { author, name, text, ..Message::default() };
    let contents = vec![
        Content::Message(message(Author::Visitor, text(), format!("first\n\n{}", text()))),
        Content::Message(message(Author::Agent, text(), text())),
        Content::Message(Message {
            buttons: vec![text(), text()],
            rich_text,
            inserts,
            attachments,
            ..message(Author::Bot, text(), text())
        }),
        Content::Joined { name: text() },
        Content::Omitted { messages: 7, url: String::new() },
        Content::Ended { visitor_inactive: false },
        Content::Reopened,
    ];
    let transcript = Transcript {
        channel: text(),
        page_url: text(),
        page_title: text(),
        started_at: START,
        visitor: text(),
        to_visitor: true,
        zone: frontdesk_time_zone::parse("Europe/Rome").unwrap(),
        links_end_at: START.plus(Duration::from_secs(30 * 24 * 3600)),
        lines: contents.into_iter().map(|content| TranscriptLine { at: START, content }).collect(),
    };
    let delivery = Uuid::from_u128(7);
    let envelope = Envelope {
        delivery,
        message_id: message_id(delivery, FROM),
        date: START,
        from_name: text(),
        from: FROM.into(),
        to_name: text(),
        to: TO.into(),
        subject: text(),
        optional: OptionalHeaders::default(),
    };
    (transcript, envelope)
}

/// The mail as a mail server gets it, and what Python finds in all of them.
fn parsed(mails: &[Vec<u8>]) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    for (number, bytes) in mails.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{number:05}.eml")), bytes).unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/smtp/parse.py");
    let output = Command::new(python()).arg(script).arg(folder.path()).output().expect("python3 (3.10 or later)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let parsed: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(parsed.len(), mails.len());
    parsed
}

/// The script needs no package, so that any Python will do.
fn python() -> PathBuf {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/python/bin/python");
    match std::env::var_os("FRONTDESK_TEST_PYTHON") {
        Some(named) => named.into(),
        None if installed.exists() => installed,
        None => "python3".into(),
    }
}

/// The strings in a field of what Python found.
fn strings(found: &Value, field: &str) -> Vec<String> {
    found[field].as_array().unwrap().iter().map(|value| value.as_str().unwrap().to_owned()).collect()
}

/// The bytes go through any mail server as one mail: ASCII, with lines of at most 998 characters that end with CRLF.
fn assert_lines(bytes: &[u8], number: usize) {
    assert!(bytes.is_ascii() && !bytes.contains(&0), "mail {number}");
    let lines = std::str::from_utf8(bytes).unwrap().split("\r\n");
    assert!(lines.clone().all(|line| line.len() <= 998 && !line.contains(['\r', '\n'])), "mail {number}");
}

/// The crate mail-parser finds one mail of two parts, from and to the addresses of its envelope.
fn assert_one_mail(bytes: &[u8], number: usize) {
    let mail = MessageParser::default().parse(bytes).unwrap();
    let types: Vec<_> = mail.parts.iter().map(|part| part.content_type().and_then(|kind| kind.subtype())).collect();
    assert_eq!(types, [Some("alternative"), Some("plain"), Some("html")], "mail {number}");
    for (header, expected) in [(mail.from(), FROM), (mail.to(), TO)] {
        let addresses: Vec<_> = header.unwrap().iter().map(|one| one.address().unwrap_or_default()).collect();
        assert_eq!(addresses, [expected], "mail {number}");
    }
    assert!(mail.cc().is_none() && mail.bcc().is_none() && mail.reply_to().is_none(), "mail {number}");
    assert!(!mail.subject().unwrap_or_default().contains(char::is_control), "mail {number}");
}

#[test]
fn s7_five_hundred_injection_mails_have_no_extra_header_and_nothing_active() {
    let seed = std::env::var("FRONTDESK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let composed = |(transcript, envelope): (Transcript, Envelope)| {
        compose(&transcript, language(&["en"]).unwrap(), &envelope).unwrap().bytes
    };
    // First two whose texts are harmless. Together they have every element of a transcript: links, and addresses that are not linked.
    let mut mails: Vec<Vec<u8>> =
        ["https://shop.example/page", "harmless"].map(|written| composed(mail(|| written.into()))).into();
    let harmless = mails.len();
    for number in 0..MAILS {
        // Each piece comes to each place.
        let mut place = number;
        let text = || {
            place += 1;
            hostile(place, &mut random)
        };
        mails.push(composed(mail(text)));
    }
    let found = parsed(&mails);
    let (expected, found) = found.split_at(harmless);
    for (number, (found, bytes)) in found.iter().zip(&mails[harmless..]).enumerate() {
        assert_lines(bytes, number);
        assert_one_mail(bytes, number);
        for field in ["headers", "types"] {
            assert_eq!(strings(found, field), strings(&expected[0], field), "{field} of mail {number}");
        }
        assert_eq!(found["defects"], Value::Array(Vec::new()), "mail {number}");
        assert_eq!((found["from"].as_str(), found["to"].as_str()), (Some(FROM), Some(TO)), "mail {number}");
        for field in ["elements", "declarations"] {
            // Bold and italic parts are marked where the text differs from its link.
            let marks = ["em", "strong"].map(str::to_owned);
            let known: Vec<String> = expected.iter().flat_map(|found| strings(found, field)).chain(marks).collect();
            let more: Vec<String> = strings(found, field).into_iter().filter(|one| !known.contains(one)).collect();
            assert!(more.is_empty(), "{field} of mail {number}: {more:?}");
        }
        for link in found["links"].as_array().unwrap() {
            let (opens, shows) = (link[0].as_str().unwrap(), link[1].as_str().unwrap());
            assert!(opens.starts_with("https://") && opens == shows, "mail {number}: {shows:?} opens {opens:?}");
        }
    }
}

#[test]
fn s7_no_mail_is_composed_to_or_from_a_hostile_address() {
    for address in ADDRESSES {
        let (transcript, envelope) = mail(|| "harmless".into());
        let to = Envelope { to: (*address).into(), ..envelope.clone() };
        let from = Envelope { from: (*address).into(), ..envelope };
        for envelope in [to, from] {
            let composed = compose(&transcript, language(&["en"]).unwrap(), &envelope);
            assert!(composed.is_err(), "{address:?}");
        }
    }
}
