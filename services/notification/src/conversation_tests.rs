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
    let lines: Vec<TranscriptLine> = entries.into_iter().filter_map(|entry| super::line(entry, &visitor)).collect();
    let names: Vec<String> = lines
        .iter()
        .map(|line| match &line.content {
            Content::Message { name, text, .. } => format!("{name}: {text}"),
            Content::Joined { name } => format!("{name} joined"),
            Content::Ended { .. } => "ended".into(),
            Content::Reopened => "reopened".into(),
            Content::Omitted { .. } => "omitted".into(),
        })
        .collect();
    assert_eq!(names, ["Vera: Hello", "Robo: Hi", "Ada joined", "Office: We are open", "Team: Until six", "ended"]);
}

#[test]
fn c6_t6_inserts_are_in_a_transcript_as_plain_texts_below_the_text() {
    let insert = |plain_text: &str| proto::SentInsert { plain_text: plain_text.into(), ..proto::SentInsert::default() };
    for (text, shown) in
        [("See:", "See:\nPrices: https://shop.example\nBye"), ("", "Prices: https://shop.example\nBye")]
    {
        let inserts = vec![insert("Prices: https://shop.example"), insert("Bye")];
        let message = proto::Message { text: text.into(), inserts, ..proto::Message::default() };
        let entry = entry(1, actor(ActorKind::Agent, "Ada"), ProtoContent::Message(message));
        let line = super::line(entry, &VisitorName::You).unwrap();
        let Content::Message { text, .. } = line.content else { panic!("{line:?}") };
        assert_eq!(text, shown);
    }
}

#[test]
fn c5_t6_attachments_are_in_a_transcript_as_lines_below_the_text() {
    let attachment = |file_name: &str, size_bytes| proto::SentAttachment {
        file_name: file_name.into(),
        media_type: "application/pdf".into(),
        size_bytes,
        ..proto::SentAttachment::default()
    };
    let attachments = vec![attachment("a.pdf", 512), attachment("b.pdf", 12_500), attachment("c.pdf", 26_214_400)];
    for (text, begin) in [("Here:", "Here:\n"), ("", "")] {
        let attachments = attachments.clone();
        let message = proto::Message { text: text.into(), attachments, ..proto::Message::default() };
        let entry = entry(1, actor(ActorKind::Agent, "Ada"), ProtoContent::Message(message));
        let line = super::line(entry, &VisitorName::You).unwrap();
        let Content::Message { text, .. } = line.content else { panic!("{line:?}") };
        let lines =
            "a.pdf (application/pdf, 512 bytes)\nb.pdf (application/pdf, 12 KiB)\nc.pdf (application/pdf, 25 MiB)";
        assert_eq!(text, format!("{begin}{lines}"));
    }
}

#[test]
fn t4_t6_a_visitor_without_a_name_is_you_to_themselves_and_visitor_to_others() {
    for (visitor, shown) in [
        (VisitorName::You, (Author::UnnamedVisitor, "You")),
        (VisitorName::Unknown, (Author::UnnamedVisitor, "Visitor")),
        (VisitorName::Known("Ada".into()), (Author::Visitor, "Ada")),
    ] {
        let line = super::line(entry(1, actor(ActorKind::Visitor, "internal-id"), said("Hello")), &visitor).unwrap();
        let Content::Message { author, name, .. } = line.content else { panic!("{line:?}") };
        assert_eq!((author, name.as_str()), shown);
    }
}
