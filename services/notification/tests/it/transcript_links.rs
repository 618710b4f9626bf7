//! Links to whole transcripts and to parts of previews: rules T6, T9, X2.

use std::time::Duration;

use axum::{
    body::{Body, to_bytes},
    http::{
        HeaderMap, Request, StatusCode,
        header::{CONTENT_SECURITY_POLICY, RETRY_AFTER},
    },
};
use frontdesk_notification::NotificationSettings;
use frontdesk_proto::{
    actor::v1::ActorKind,
    event::v1::ConversationClosed,
    notification::v1::{Delivery, DeliveryStatus, TranscriptPart},
};
use frontdesk_testkit::{Mode, on_both_modes, wait_for};
use sha2::{Digest, Sha256};
use tower::ServiceExt;

use crate::{
    chat::{Chat, said},
    erase_contact::erase,
};

on_both_modes!(
    t6_a_transcript_too_long_for_a_mail_links_the_whole,
    t6_a_link_to_a_whole_transcript_ends,
    s4_who_holds_one_link_takes_a_part_of_the_answers,
    x2_a_link_to_a_whole_transcript_opens_nothing_after_an_erasure,
    t9_a_large_part_has_a_hash_and_a_link,
    t9_without_a_public_address_there_is_no_link,
);

const PUBLIC_URL: &str = "https://chat.example";
const MESSAGES: i32 = 900;

/// A chat that is too long for a mail.
async fn long_chat(mode: Mode) -> Chat {
    let settings = NotificationSettings {
        transcript_max_bytes: 300 * 1024,
        public_url: PUBLIC_URL.into(),
        ..NotificationSettings::default()
    };
    let chat = Chat::closed_with(mode, settings).await;
    fill(&chat, &"<ü>".repeat(100));
    chat
}

fn fill(chat: &Chat, text: &str) {
    let entry = |number| said(number, ActorKind::Visitor, "", &format!("number {number}. {text}"));
    chat.change(|answers| {
        answers.entries = (1..=MESSAGES).map(entry).collect();
        answers.facts[0].last_sequence = MESSAGES;
    });
}

/// Closes the chat, and waits until its transcript is sent.
async fn mailed(chat: &Chat) -> Delivery {
    let closed = ConversationClosed { last_sequence: MESSAGES, ..chat.closed_event() };
    chat.fixture.service.publish("conversation", chat.account().id, &closed).await;
    let decided = wait_for("the decision of the close", || async { chat.explain(1).await.ok() }).await;
    chat.account().wait_for_status(&decided.delivery.unwrap().id, DeliveryStatus::Sent).await
}

async fn get(chat: &Chat, url: &str) -> (StatusCode, HeaderMap, String) {
    let path = url.strip_prefix(PUBLIC_URL).unwrap();
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = chat.fixture.service.http.clone().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap();
    (head.status, head.headers, String::from_utf8(bytes.to_vec()).unwrap())
}

/// The link in the transcript of the chat.
async fn link(chat: &Chat) -> String {
    let json: serde_json::Value = serde_json::from_str(&chat.previewed_part(TranscriptPart::Json).await).unwrap();
    let entries = json["entries"].as_array().unwrap();
    let omitted: Vec<_> = entries.iter().filter(|entry| entry["kind"] == "left_out").collect();
    assert_eq!(omitted.len(), 1);
    omitted[0]["url"].as_str().unwrap().to_owned()
}

async fn t6_a_transcript_too_long_for_a_mail_links_the_whole(mode: Mode) {
    let chat = long_chat(mode).await;
    assert_eq!(link(&chat).await, "", "no mail has it");
    let delivery = mailed(&chat).await;
    let (url, text) = (link(&chat).await, chat.recipient_and_text(&delivery.id).1);
    assert!(url.starts_with("https://chat.example/transcripts/"), "{url}");
    assert!(text.contains(&format!("<{url}>")) && text.contains("The whole chat can be read here until"), "{text}");
    assert_eq!(chat.previewed_part(TranscriptPart::Mail).await, chat.fixture.mail(&delivery.id));

    let (status, headers, page) = get(&chat, &url).await;
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (StatusCode::OK, "text/html; charset=utf-8"));
    assert!(headers[CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("sandbox"));
    assert_eq!(headers["x-robots-tag"], "noindex");
    assert_eq!(headers["referrer-policy"], "no-referrer");
    for number in 1..=MESSAGES {
        assert!(page.contains(&format!("number {number}. &lt;")), "the page lacks message {number}");
    }
    assert!(page.trim_end().ends_with("</html>") && !page.contains("left out here"));
    let (status, _, _) = get(&chat, &url[..url.len() - 2]).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

async fn t6_a_link_to_a_whole_transcript_ends(mode: Mode) {
    let chat = long_chat(mode).await;
    mailed(&chat).await;
    let url = link(&chat).await;
    chat.fixture.service.clock.advance(Duration::from_secs(31 * 24 * 3600)).unwrap();
    assert_eq!(get(&chat, &url).await.0, StatusCode::FORBIDDEN);
}

async fn s4_who_holds_one_link_takes_a_part_of_the_answers(mode: Mode) {
    let chat = long_chat(mode).await;
    mailed(&chat).await;
    let url = link(&chat).await;
    let open = || async {
        let request = Request::get(url.strip_prefix(PUBLIC_URL).unwrap()).body(Body::empty()).unwrap();
        chat.fixture.service.http.clone().oneshot(request).await.unwrap()
    };
    // Each is in progress until it is read.
    let mut unread = Vec::new();
    let refused = loop {
        let response = open().await;
        if response.status() != StatusCode::OK {
            break response;
        }
        unread.push(response);
    };
    assert!((1..16).contains(&unread.len()), "{}", unread.len());
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key(RETRY_AFTER));
    drop(unread);
    wait_for("room for the next answer", || async { (open().await.status() == StatusCode::OK).then_some(()) }).await;
}

async fn x2_a_link_to_a_whole_transcript_opens_nothing_after_an_erasure(mode: Mode) {
    let chat = long_chat(mode).await;
    mailed(&chat).await;
    let url = link(&chat).await;
    erase(&chat).await;
    let (status, _, answer) = get(&chat, &url).await;
    assert!(status == StatusCode::NOT_FOUND && !answer.contains("number"), "{answer}");
}

async fn t9_a_large_part_has_a_hash_and_a_link(mode: Mode) {
    let settings = NotificationSettings { public_url: PUBLIC_URL.into(), ..NotificationSettings::default() };
    let chat = Chat::closed_with(mode, settings).await;
    let small = chat.preview(TranscriptPart::Json, 0).await.unwrap();
    assert_eq!((small.part_sha256, small.part_url.as_str()), (sha256(&small.content), ""));
    assert_eq!(small.part_url_expire_time, None);
    fill(&chat, &"x".repeat(4_000));
    mailed(&chat).await;
    for part in [TranscriptPart::Html, TranscriptPart::Text, TranscriptPart::Json, TranscriptPart::Mail] {
        let preview = chat.preview(part, 0).await.unwrap();
        assert!(preview.part_url.starts_with("https://chat.example/transcripts/previews/"), "{}", preview.part_url);
        assert!(preview.part_url_expire_time.is_some());
        let (status, headers, whole) = get(&chat, &preview.part_url).await;
        let disposition = headers["content-disposition"].to_str().unwrap();
        assert!(status == StatusCode::OK && disposition.starts_with("attachment"), "{part:?}: {status} {disposition}");
        assert_eq!(preview.part_sha256, sha256(whole.as_bytes()), "{part:?}");
        assert_eq!(whole, chat.previewed_part(part).await);
        // It is for previews only.
        let other = preview.part_url.replace("/previews", "");
        assert_eq!(get(&chat, &other).await.0, StatusCode::FORBIDDEN);
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn t9_without_a_public_address_there_is_no_link(mode: Mode) {
    let chat = Chat::closed(mode).await;
    fill(&chat, &"x".repeat(4_000));
    let preview = chat.preview(TranscriptPart::Text, 0).await.unwrap();
    assert_eq!((preview.part_url.as_str(), preview.part_url_expire_time), ("", None));
    assert_eq!(preview.part_sha256, sha256(chat.previewed_part(TranscriptPart::Text).await.as_bytes()));
}
