//! What a transcript's mail holds: rich text, inserts, attachments, languages.

use std::{collections::BTreeSet, time::Duration};

use frontdesk_notification::NotificationSettings;
use frontdesk_proto::{
    actor::v1::{Actor, ActorKind},
    conversation::{
        internal::v1::{
            AttachmentLink, CreateAttachmentLinksRequest, CreateAttachmentLinksResponse, GetClosingFactsResponse,
        },
        v1::{
            Entry, Message, RichText, RichTextBlock, RichTextLine, RichTextSpan, SentAttachment, SentInsert, Video,
            entry::Content, rich_text_block::Block, sent_insert,
        },
    },
    notification::v1::{DeliveryStatus, TranscriptPart},
};
use frontdesk_testkit::{Mode, new_id, on_both_modes};
use mail_parser::MessageParser;
use tonic::{Request, Status};

use crate::{
    chat::{Chat, said},
    fixture::Fixture,
};

on_both_modes!(
    t6_t9_rich_text_inserts_and_links_to_attachments_are_in_the_mail_and_in_its_preview,
    t6_links_to_attachments_are_asked_for_page_by_page_and_never_for_what_the_visitor_did_not_see,
    t8_while_links_cannot_be_had_the_transcript_waits,
    t6_a_mail_is_in_the_language_of_the_contact_else_of_the_chat_else_of_the_installation,
    t6_t9_a_mail_and_its_preview_are_in_the_language_that_channel_or_account_had_at_the_close,
    t5_a_code_is_in_the_language_of_the_installation,
    t7_hostile_names_titles_and_messages_are_mailed_as_text,
);

const DAY: i64 = 24 * 3600;

fn file(id: &str) -> SentAttachment {
    SentAttachment {
        attachment_id: id.into(),
        file_name: format!("{id}.pdf"),
        media_type: "application/pdf".into(),
        size_bytes: 12_500,
    }
}

fn sent(sequence: i32, message: Message) -> Entry {
    Entry {
        sequence,
        visitor_sequence: sequence,
        author: Some(Actor { kind: ActorKind::Agent.into(), id: String::new(), name: "Ada".into() }),
        content: Some(Content::Message(message)),
        ..Entry::default()
    }
}

fn rich_message() -> Message {
    let span = RichTextSpan {
        text: "our prices".into(),
        bold: true,
        link_url: "https://shop.example/prices".into(),
        ..RichTextSpan::default()
    };
    let paragraph = RichTextLine { spans: vec![span] };
    let video = Video { source_url: "https://shop.example/video".into(), ..Video::default() };
    Message {
        text: "our prices (https://shop.example/prices)".into(),
        rich_text: Some(RichText { blocks: vec![RichTextBlock { block: Some(Block::Paragraph(paragraph)) }] }),
        inserts: vec![SentInsert {
            title: "How to".into(),
            plain_text: "How to: https://shop.example/video".into(),
            content: Some(sent_insert::Content::Video(video)),
            ..SentInsert::default()
        }],
        attachments: vec![file("kept"), file("gone")],
        ..Message::default()
    }
}

/// Answers with a link for each attachment but `gone`, which has the end of the links in it.
fn serve_links(fixture: &Fixture) {
    fixture.service.fake.on(|request: Request<CreateAttachmentLinksRequest>| {
        let request = request.get_ref();
        let end = request.expire_time.as_ref().unwrap().seconds;
        let kept = request.attachment_ids.iter().filter(|id| *id != "gone");
        let link = |id: &String| AttachmentLink {
            attachment_id: id.clone(),
            url: format!("https://files.example/{id}/{end}"),
        };
        Ok(CreateAttachmentLinksResponse { links: kept.map(link).collect() })
    });
}

async fn t6_t9_rich_text_inserts_and_links_to_attachments_are_in_the_mail_and_in_its_preview(mode: Mode) {
    let chat = Chat::closed(mode).await;
    serve_links(&chat.fixture);
    chat.change(|answers| answers.entries.push(sent(3, rich_message())));
    let delivery = chat.deliver_until(DeliveryStatus::Sent).await;
    let bytes = chat.fixture.mail(&delivery.id);
    assert_eq!(chat.previewed_part(TranscriptPart::Mail).await, bytes, "also with its links");
    let mail = MessageParser::default().parse(bytes.as_str()).unwrap();
    let (html, text) = (mail.body_html(0).unwrap().replace("&#x2f;", "/"), mail.body_text(0).unwrap());
    let end = mail.date().unwrap().to_timestamp() + 30 * DAY;
    let link = format!("https://files.example/kept/{end}");
    for address in ["https://shop.example/prices", "https://shop.example/video", &link] {
        assert!(html.contains(&format!(">{address}</a>")), "{address} in {html}");
        assert!(text.contains(address), "{address} in {text}");
    }
    assert!(html.contains("<strong>our prices</strong> ("), "{html}");
    for shown in ["Video: How to", "File: kept.pdf (12 KiB)", "File: gone.pdf (12 KiB)", "No longer available"] {
        assert!(html.contains(shown) && text.contains(shown), "{shown} in {text}");
    }
    let json: serde_json::Value = serde_json::from_str(&chat.previewed_part(TranscriptPart::Json).await).unwrap();
    let message = &json["entries"][2];
    assert_eq!(message["rich_text"][0]["spans"][0]["bold"], true);
    assert_eq!(message["inserts"][0]["kind"], "video");
    assert_eq!(
        (&message["attachments"][0]["url"], &message["attachments"][1]["removed"]),
        (&link.into(), &true.into())
    );
}

async fn t6_links_to_attachments_are_asked_for_page_by_page_and_never_for_what_the_visitor_did_not_see(mode: Mode) {
    const MESSAGES: i32 = 450;
    let chat = Chat::closed(mode).await;
    let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::<usize>::new()));
    let seen = asked.clone();
    chat.fixture.service.fake.on(move |request: Request<CreateAttachmentLinksRequest>| {
        let ids = &request.get_ref().attachment_ids;
        assert!(!ids.iter().any(|id| id == "hidden"), "{ids:?}");
        seen.lock().unwrap().push(ids.len());
        Ok(CreateAttachmentLinksResponse::default())
    });
    chat.change(|answers| {
        let message = |number: i32| {
            let attachments = (0..5).map(|_| file(&new_id().to_string())).collect();
            sent(number, Message { attachments, ..Message::default() })
        };
        answers.entries = (1..=MESSAGES).map(message).collect();
        let hidden = Message { attachments: vec![file("hidden")], ..Message::default() };
        answers.entries.push(Entry { visitor_sequence: 0, ..sent(MESSAGES + 1, hidden) });
        answers.facts[0].last_sequence = MESSAGES + 1;
    });
    let text = chat.previewed_part(TranscriptPart::Text).await;
    assert_eq!(text.matches("No longer available").count(), 450 * 5);
    let asked = asked.lock().unwrap();
    assert!(asked.iter().all(|ids| *ids <= 500) && asked.iter().sum::<usize>() == 450 * 5, "{asked:?}");
}

async fn t8_while_links_cannot_be_had_the_transcript_waits(mode: Mode) {
    let settings = NotificationSettings { retry_pause: Duration::from_millis(20), ..NotificationSettings::default() };
    let chat = Chat::closed_with(mode, settings).await;
    chat.fixture.service.fake.on(|_: Request<CreateAttachmentLinksRequest>| {
        Err::<CreateAttachmentLinksResponse, _>(Status::unavailable("not now"))
    });
    chat.change(|answers| answers.entries.push(sent(3, rich_message())));
    let id = chat.decide().await.delivery.unwrap().id;
    let waiting = chat.account().wait_for_delivery(&id, |delivery| !delivery.failure.is_empty()).await;
    assert_eq!((waiting.status(), waiting.attempt_count), (DeliveryStatus::Queued, 0));
    serve_links(&chat.fixture);
    chat.account().wait_for_status(&id, DeliveryStatus::Sent).await;
}

async fn t6_a_mail_is_in_the_language_of_the_contact_else_of_the_chat_else_of_the_installation(mode: Mode) {
    let settings = NotificationSettings { language: "it".into(), ..NotificationSettings::default() };
    let chat = Chat::closed_with(mode, settings).await;
    chat.change(|answers| answers.entries = vec![said(1, ActorKind::Bot, "", "Ciao")]);
    let of = async |contact: &str, widget: &str| {
        chat.change(|answers| {
            answers.contacts[0].language = contact.into();
            answers.conversation.language = widget.into();
        });
        let text = chat.previewed_part(TranscriptPart::Text).await;
        let html = chat.previewed_part(TranscriptPart::Html).await;
        let language = if html.contains("<html lang=\"it\">") { "it" } else { "en" };
        assert_eq!(text.contains("La tua chat con Acme"), language == "it", "{text}");
        assert_eq!(text.contains("Your chat with Acme"), language == "en", "{text}");
        language
    };
    assert_eq!(of("en-GB", "it").await, "en");
    assert_eq!(of("", "en").await, "en");
    assert_eq!(of("tlh", "en").await, "en");
    assert_eq!(of("", "").await, "it");
}

async fn t6_t9_a_mail_and_its_preview_are_in_the_language_that_channel_or_account_had_at_the_close(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let set = |widget: &str, channel: &str, account: &str| {
        chat.change(|answers| {
            answers.conversation.language = widget.into();
            answers.facts[0].channel_language = channel.into();
            answers.facts[0].account_language = account.into();
        });
    };
    for (widget, channel, account, subject) in [
        ("", "it", "en", "La tua chat con Acme"),
        ("", "", "it-CH", "La tua chat con Acme"),
        ("", "tlh", "it", "La tua chat con Acme"),
        ("en", "it", "it", "Your chat with Acme"),
        ("", "", "", "Your chat with Acme"),
    ] {
        set(widget, channel, account);
        let text = chat.previewed_part(TranscriptPart::Text).await;
        assert!(text.contains(subject), "{widget}, {channel}, {account}: {text}");
    }
    set("", "it", "en");
    // Those of a close now are others.
    chat.change(|answers| {
        let now = GetClosingFactsResponse { channel_language: "en".into(), ..answers.facts[0].clone() };
        answers.facts.push(now);
    });
    let delivery = chat.deliver_until(DeliveryStatus::Sent).await;
    let bytes = chat.fixture.mail(&delivery.id);
    assert_eq!(MessageParser::default().parse(&bytes).unwrap().subject(), Some("La tua chat con Acme"));
    assert_eq!(chat.previewed_part(TranscriptPart::Mail).await, bytes);
    // A transcript that is sent by hand is as of now.
    let by_hand = chat.send(chat.send_request(chat.contact)).await.unwrap();
    chat.account().wait_for_status(&by_hand.id, DeliveryStatus::Sent).await;
    let bytes = chat.fixture.mail(&by_hand.id);
    assert_eq!(MessageParser::default().parse(&bytes).unwrap().subject(), Some("Your chat with Acme"));
}

async fn t5_a_code_is_in_the_language_of_the_installation(mode: Mode) {
    let settings = NotificationSettings { language: "it".into(), ..NotificationSettings::default() };
    let fixture = Fixture::start_with(mode, settings).await;
    let id = fixture.account.create_sender("team@acme.example", "1").await.unwrap().delivery_id;
    fixture.code(&id).await;
    let mail = fixture.mail(&id);
    let mail = MessageParser::default().parse(mail.as_str()).unwrap();
    assert_eq!(mail.subject(), Some("Il tuo codice per verificare questo indirizzo"));
}

/// The mail of a chat whose every text is hostile, from the answers of the conversation service to the mailbox.
async fn t7_hostile_names_titles_and_messages_are_mailed_as_text(mode: Mode) {
    const ATTACK: &str = "\"Eve\" <eve@evil.example>\r\nBcc: all@evil.example\r\n\r\n\
        <script>alert(1)</script>{{ 7 * 7 }}\u{202E}";
    let chat = Chat::closed(mode).await;
    chat.change(|answers| {
        answers.channel.name = ATTACK.into();
        answers.conversation.page_title = ATTACK.into();
        answers.conversation.page_url = "javascript:alert(1)".into();
        answers.facts[0].visitor_name = ATTACK.into();
        answers.entries =
            vec![said(1, ActorKind::Visitor, ATTACK, ATTACK), said(2, ActorKind::Agent, ATTACK, ".\r\n.\r\n")];
    });
    let delivery = chat.deliver_until(DeliveryStatus::Sent).await;
    let bytes = chat.fixture.mail(&delivery.id);
    let mail = MessageParser::default().parse(&bytes).unwrap();
    let headers: Vec<&str> = mail.headers().iter().map(|header| header.name.as_str()).collect();
    let names: BTreeSet<&str> = headers.iter().copied().collect();
    assert!(names.len() == headers.len() && mail.bcc().is_none() && mail.cc().is_none(), "{headers:?}");
    assert_eq!(mail.to().unwrap().first().unwrap().address(), Some("second@vera.example"));
    assert!(mail.subject().unwrap().contains("Bcc: all@evil.example"), "one line: {:?}", mail.subject());
    let (html, text) = (mail.body_html(0).unwrap(), mail.body_text(0).unwrap());
    assert!(html.contains("&lt;script&gt;alert(1)") && html.contains("{{ 7 * 7 }}"), "{html}");
    assert!(!html.contains("<script") && !html.contains("<a ") && !html.contains('\u{202E}'), "{html}");
    assert!(text.contains("<script>alert(1)</script>{{ 7 * 7 }}") && !text.contains('\u{202E}'), "{text}");
}
