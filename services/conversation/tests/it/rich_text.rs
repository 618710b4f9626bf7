//! `PostMessage` with a rich text: rules C4, C12, S2, E2.

use frontdesk_proto::{
    conversation::v1::{
        ChatMessage, Entry, ListConversationsRequest, Message, PostMessageRequest, RichText, RichTextBlock,
        RichTextLine, RichTextList, RichTextSpan, chat_entry, entry, rich_text_block::Block,
    },
    event::v1::MessagePosted,
};
use frontdesk_testkit::{Mode, on_both_modes, reason};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    fixture::{ADA, Fixture, message, twenty},
    inserts,
};

on_both_modes!(
    c4_a_rich_text_reaches_the_team_and_the_visitor_with_its_plain_text,
    c4_c9_the_inbox_shows_the_plain_text_only,
    c4_c6_a_rich_text_stands_beside_inserts,
    c4_c12_a_rich_text_is_posted_once,
    c4_an_invalid_rich_text_is_refused_with_what_is_wrong,
);

fn span(text: &str) -> RichTextSpan {
    RichTextSpan { text: text.into(), ..RichTextSpan::default() }
}

fn link(text: &str, url: &str) -> RichTextSpan {
    RichTextSpan { link_url: url.into(), ..span(text) }
}

fn paragraph(spans: Vec<RichTextSpan>) -> RichTextBlock {
    RichTextBlock { block: Some(Block::Paragraph(RichTextLine { spans })) }
}

fn list(items: &[&str]) -> RichTextBlock {
    let items = items.iter().map(|item| RichTextLine { spans: vec![span(item)] }).collect();
    RichTextBlock { block: Some(Block::List(RichTextList { numbered: true, items })) }
}

fn request(chat_id: &str, blocks: Vec<RichTextBlock>) -> PostMessageRequest {
    PostMessageRequest { rich_text: Some(RichText { blocks }), ..message(chat_id, "") }
}

fn example(chat_id: &str) -> PostMessageRequest {
    let bold = RichTextSpan { bold: true, ..span("both") };
    let first = paragraph(vec![span("We check "), bold, link(" wheels", "https://shop.example/wheels"), span(":")]);
    request(chat_id, vec![first, list(&["front", "rear"])])
}

const PLAIN: &str = "We check both wheels (https://shop.example/wheels):\n\n1. front\n2. rear";

async fn post(fixture: &Fixture, request: PostMessageRequest) -> Result<Entry, Status> {
    Ok(fixture.threads(ADA).post_message(request).await?.into_inner().entry.unwrap())
}

fn message_of(entry: &Entry) -> &Message {
    match entry.content.as_ref().unwrap() {
        entry::Content::Message(message) => message,
        other => panic!("no message: {other:?}"),
    }
}

async fn c4_a_rich_text_reaches_the_team_and_the_visitor_with_its_plain_text(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let request = example(&chat.id);
    let posted = post(&fixture, request.clone()).await.unwrap();
    let sent = message_of(&posted);
    assert_eq!((sent.text.as_str(), &sent.rich_text), (PLAIN, &request.rich_text));
    assert_eq!(fixture.entries(&chat.id).await.pop().unwrap(), posted);
    let seen = fixture.chat_entries("v", &chat.id).await.pop().unwrap();
    let Some(chat_entry::Content::Message(ChatMessage { text, rich_text, .. })) = seen.content else { panic!() };
    assert_eq!((text.as_str(), rich_text), (PLAIN, request.rich_text));
}

async fn c4_c9_the_inbox_shows_the_plain_text_only(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    post(&fixture, example(&chat.id)).await.unwrap();
    let listed = fixture.conversations(ADA).list_conversations(ListConversationsRequest::default()).await.unwrap();
    let rows = listed.into_inner().rows;
    let shown = message_of(rows[0].last_entry.as_ref().unwrap());
    assert_eq!((shown.text.as_str(), &shown.rich_text), (PLAIN, &None));
}

async fn c4_c6_a_rich_text_stands_beside_inserts(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let insert = inserts::create(&fixture, inserts::snippet("Greeting", "Hello")).await;
    let request = PostMessageRequest { insert_ids: vec![insert.id], ..example(&chat.id) };
    let posted = post(&fixture, request).await.unwrap();
    let sent = message_of(&posted);
    assert_eq!((sent.text.as_str(), sent.inserts.len(), sent.rich_text.is_some()), (PLAIN, 1, true));
}

async fn c4_c12_a_rich_text_is_posted_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let request = example(&chat.id);
    let posted = twenty(|_| async { post(&fixture, request.clone()).await.unwrap() }).await;
    assert!(posted.iter().all(|entry| *entry == posted[0]));
    assert_eq!(fixture.service.appended::<MessagePosted>().await.len(), 1);
    let plain = PostMessageRequest { rich_text: None, text: PLAIN.into(), ..request };
    assert_eq!(reason(&post(&fixture, plain).await.unwrap_err()), "REQUEST_ID_REUSED");
}

async fn c4_an_invalid_rich_text_is_refused_with_what_is_wrong(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let with = |blocks| request(&chat.id, blocks);
    let long = "x".repeat(6_000);
    let spans = |text: &str| vec![span(text); 100];
    for (request, field) in [
        (PostMessageRequest { text: "x".into(), ..example(&chat.id) }, "text"),
        (with(vec![]), "rich_text.blocks"),
        (with(vec![RichTextBlock { block: None }]), "rich_text.blocks[0].block"),
        (with(vec![paragraph(vec![])]), "rich_text.blocks[0].paragraph.spans"),
        (with(vec![paragraph(vec![span("")])]), "rich_text.blocks[0].paragraph.spans[0].text"),
        (with(vec![paragraph(vec![span("\u{1}")])]), "rich_text.blocks[0].paragraph.spans[0].text"),
        (
            with(vec![paragraph(vec![span("x"), link("y", "javascript:alert(1)")])]),
            "rich_text.blocks[0].paragraph.spans[1].link_url",
        ),
        (with(vec![list(&[])]), "rich_text.blocks[0].list.items"),
        (with(vec![paragraph(vec![span(" \u{200B}\n")])]), "rich_text"),
        (with(vec![paragraph(vec![span(&long), span(&long)])]), "rich_text"),
        (with(vec![paragraph(spans("x")); 11]), "rich_text"),
        (with(vec![paragraph(vec![link("x", &format!("https://x.example/{}", "x".repeat(1_900))); 11])]), "rich_text"),
    ] {
        let refused = post(&fixture, request).await.unwrap_err();
        let fields = refused.get_details_bad_request().unwrap().field_violations;
        assert_eq!((refused.code(), fields[0].field.as_str()), (Code::InvalidArgument, field));
    }
    assert!(fixture.entries(&chat.id).await.is_empty());
}
