use super::*;

fn actor(kind: ActorKind, name: &str) -> Actor {
    Actor { kind: kind.into(), id: String::new(), name: name.into() }
}

fn entry(visitor_sequence: i32, author: Actor, content: ProtoContent) -> proto::Entry {
    proto::Entry { visitor_sequence, author: Some(author), content: Some(content), ..proto::Entry::default() }
}

fn said(text: &str) -> ProtoContent {
    ProtoContent::Message(proto::Message { text: text.into(), ..proto::Message::default() })
}

#[test]
fn t7_only_what_the_visitor_saw_is_in_a_transcript() {
    use ActorKind::{Admin, Agent, Bot, System, Visitor};
    let to_agent = proto::AssigneeChangedEntry {
        previous_owner: Some(actor(Bot, "Robo")),
        new_owner: Some(actor(Agent, "Ada")),
        epoch: 2,
        ..proto::AssigneeChangedEntry::default()
    };
    let entries = [
        entry(1, actor(Visitor, ""), said("Hello")),
        entry(2, actor(Bot, "Robo"), said("Hi")),
        entry(
            0,
            actor(Agent, "Ada"),
            ProtoContent::Comment(proto::Comment { text: "for the team".into(), ..Default::default() }),
        ),
        // A comment is never shown, even with a visitor sequence.
        entry(
            9,
            actor(Agent, "Ada"),
            ProtoContent::Comment(proto::Comment { text: "for the team".into(), ..Default::default() }),
        ),
        entry(0, actor(Agent, "Ada"), said("not for the visitor")),
        entry(3, actor(Agent, "Ada"), ProtoContent::AssigneeChanged(to_agent)),
        entry(4, actor(Admin, "Office"), said("We are open")),
        entry(5, actor(Admin, ""), said("Until six")),
        entry(0, actor(Agent, "Ada"), ProtoContent::TicketCreated(proto::TicketCreatedEntry::default())),
        entry(0, actor(System, ""), ProtoContent::TranscriptSent(proto::TranscriptSentEntry::default())),
        entry(6, actor(Admin, "Office"), ProtoContent::Closed(proto::ClosedEntry::default())),
    ];
    let visitor = VisitorName::Known("Vera".into());
    let lines: Vec<TranscriptLine> =
        entries.into_iter().filter_map(|entry| super::line(entry, &visitor, &Links::new())).collect();
    let names: Vec<String> = lines
        .iter()
        .map(|line| match &line.content {
            Content::Message(Message { name, text, .. }) => format!("{name}: {text}"),
            Content::Joined { name } => format!("{name} joined"),
            Content::Ended { .. } => "ended".into(),
            Content::Reopened => "reopened".into(),
            Content::Omitted { .. } => "omitted".into(),
        })
        .collect();
    assert_eq!(names, ["Vera: Hello", "Robo: Hi", "Ada joined", "Office: We are open", ": Until six", "ended"]);
}

fn line_of(message: proto::Message, links: &Links) -> Message {
    let entry = entry(1, actor(ActorKind::Agent, "Ada"), ProtoContent::Message(message));
    let line = super::line(entry, &VisitorName::You, links).unwrap();
    let Content::Message(message) = line.content else { panic!("{line:?}") };
    message
}

#[test]
fn c6_t6_inserts_are_in_a_transcript_as_what_they_are() {
    let url = || "https://shop.example/x".to_owned();
    let total = Some(proto::Money { amount: "1200.00".into(), currency_code: "EUR".into() });
    let quote = proto::Quote { number: "Q-17".into(), total, expire_date: "2026-12-31".into(), url: url() };
    let contents = [
        Some(ProtoInsert::Snippet(proto::Snippet { text: "Hello".into() })),
        Some(ProtoInsert::Document(proto::Document { url: url(), file_name: "x.pdf".into() })),
        Some(ProtoInsert::Meeting(proto::Meeting { url: url(), duration_minutes: 30 })),
        Some(ProtoInsert::KnowledgeArticle(proto::KnowledgeArticle { url: url(), summary: "S".into() })),
        Some(ProtoInsert::Quote(quote)),
        Some(ProtoInsert::Video(proto::Video { source_url: url(), ..proto::Video::default() })),
        // A kind of a later release.
        None,
    ];
    let insert = |content| proto::SentInsert {
        title: "T".into(),
        plain_text: "plain".into(),
        content,
        ..proto::SentInsert::default()
    };
    let inserts = contents.into_iter().map(insert).collect();
    let shown = line_of(proto::Message { inserts, ..proto::Message::default() }, &Links::new()).inserts;
    let kinds: Vec<(&str, &str)> = shown.iter().map(|insert| (insert.content.as_str(), insert.url.as_str())).collect();
    let page = "https://shop.example/x";
    assert_eq!(
        kinds,
        [
            ("text", ""),
            ("document", page),
            ("meeting", page),
            ("article", page),
            ("quote", page),
            ("video", page),
            ("text", ""),
        ]
    );
    assert!(shown.iter().all(|insert| (insert.title.as_str(), insert.plain_text.as_str()) == ("T", "plain")));
    let InsertContent::Quote { number, amount, currency, expire_date } = &shown[4].content else { panic!("{shown:?}") };
    assert_eq!([number, amount, currency, expire_date], ["Q-17", "1200.00", "EUR", "2026-12-31"]);
}

#[test]
fn c5_t6_an_attachment_has_its_link_or_is_removed() {
    let sent = |id: &str| proto::SentAttachment {
        attachment_id: id.into(),
        file_name: format!("{id}.pdf"),
        media_type: "application/pdf".into(),
        size_bytes: 512,
    };
    let attachments = vec![sent("kept"), sent("private"), sent("gone")];
    let links = Links::from([("kept".into(), "https://files.example/1".into()), ("private".into(), String::new())]);
    let shown = line_of(proto::Message { attachments, ..proto::Message::default() }, &links).attachments;
    let files: Vec<(&str, &File)> = shown.iter().map(|shown| (shown.file_name.as_str(), &shown.file)).collect();
    assert_eq!(
        files,
        [
            ("kept.pdf", &File::Link("https://files.example/1".into())),
            ("private.pdf", &File::NotLinked),
            ("gone.pdf", &File::Removed),
        ]
    );
}

#[test]
fn c4_t6_a_rich_text_keeps_its_shape_and_one_with_an_unknown_block_is_plain() {
    let line = |text: &str| proto::RichTextLine {
        spans: vec![proto::RichTextSpan { text: text.into(), bold: true, ..proto::RichTextSpan::default() }],
    };
    let block = |block| proto::RichTextBlock { block };
    let list = proto::RichTextList { numbered: true, items: vec![line("b")] };
    let known = vec![block(Some(ProtoBlock::Paragraph(line("a")))), block(Some(ProtoBlock::List(list)))];
    let unknown = [known.clone(), vec![block(None)]].concat();
    let shown = |blocks| {
        let rich_text = Some(proto::RichText { blocks });
        line_of(proto::Message { text: "a\n\n1. b".into(), rich_text, ..proto::Message::default() }, &Links::new())
    };
    let bold = |text: &str| vec![Span { text: text.into(), bold: true, ..Span::default() }];
    let expected = [Block::Paragraph(bold("a")), Block::List { numbered: true, items: vec![bold("b")] }];
    assert_eq!(shown(known).rich_text, expected);
    let plain = shown(unknown);
    assert_eq!((plain.rich_text, plain.text.as_str()), (Vec::new(), "a\n\n1. b"));
}

#[test]
fn t4_t6_a_visitor_without_a_name_is_you_to_themselves_and_visitor_to_others() {
    for (visitor, shown) in [
        (VisitorName::You, (Author::You, "")),
        (VisitorName::Unknown, (Author::UnnamedVisitor, "")),
        (VisitorName::Known("Ada".into()), (Author::Visitor, "Ada")),
    ] {
        let said = entry(1, actor(ActorKind::Visitor, "internal-id"), said("Hello"));
        let line = super::line(said, &visitor, &Links::new()).unwrap();
        let Content::Message(message) = line.content else { panic!("{line:?}") };
        assert_eq!((message.author, message.name.as_str()), shown);
    }
}
