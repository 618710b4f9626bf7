//! `SendMessage`: rules C4, C12, E3, X1, S3.

use std::time::{Duration, Instant};

use frontdesk_proto::{
    conversation::v1::{
        ChooseButtonRequest, ListContactsRequest, SendMessageRequest, entry::Content,
        visitor_service_client::VisitorServiceClient,
    },
    event::v1::MessagePosted,
};
use frontdesk_testkit::{Mode, on_both_modes, reason, request_id};
use sea_orm::ConnectionTrait;
use tonic::Code;

use crate::fixture::{Fixture, twenty};

on_both_modes!(
    c12_a_repeat_gets_the_first_answer_and_other_content_is_refused,
    c12_twenty_repeats_at_once_send_once,
    x1_an_address_that_the_token_vouches_for_is_recognised_before_the_message_and_only_once,
    c12_x1_a_repeat_does_not_recognise_the_visitor_again,
    x1_a_closed_chat_recognises_nobody,
    e3_a_message_after_the_close_is_refused,
    s3_another_visitors_chat_does_not_exist,
);

pub fn send(chat: &str, text: &str) -> SendMessageRequest {
    SendMessageRequest { chat_id: chat.into(), text: text.into(), request_id: request_id(), ..Default::default() }
}

async fn c12_a_repeat_gets_the_first_answer_and_other_content_is_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    for mut visitor in [fixture.chats("v"), fixture.chats_with_address("v", "v@example.com")] {
        let request = send(&chat.id, "hello");
        let first = visitor.send_message(request.clone()).await.unwrap().into_inner();
        assert_eq!(visitor.send_message(request.clone()).await.unwrap().into_inner(), first);
        assert_eq!(first.entry.unwrap().request_id, request.request_id);
        let other = visitor.send_message(SendMessageRequest { text: "other".into(), ..request }).await.unwrap_err();
        assert_eq!((other.code(), reason(&other).as_str()), (Code::FailedPrecondition, "REQUEST_ID_REUSED"));
    }
    assert_eq!(fixture.service.appended::<MessagePosted>().await.len(), 2);
}

async fn c12_twenty_repeats_at_once_send_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let request = send(&chat.id, "hello");
    let sent = twenty(|_| {
        let (mut visitor, request) = (fixture.chats_with_address("v", "v@example.com"), request.clone());
        async move { visitor.send_message(request).await.unwrap().into_inner().entry.unwrap().visitor_sequence }
    });
    assert_eq!(sent.await, [1; 20]);
    assert_eq!(fixture.service.appended::<MessagePosted>().await.len(), 1);
}

async fn x1_an_address_that_the_token_vouches_for_is_recognised_before_the_message_and_only_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let mut visitor = fixture.chats_with_address("v", "Vera@Example.com");
    for text in ["one", "two"] {
        visitor.send_message(send(&chat.id, text)).await.unwrap();
    }
    let contents: Vec<_> = fixture.entries(&chat.id).await.into_iter().map(|entry| entry.content.unwrap()).collect();
    let [Content::ContactLinked(linked), Content::Message(_), Content::Message(_)] = &contents[..] else {
        panic!("{contents:?}")
    };
    let list = ListContactsRequest { email: "vera@example.com".into(), ..ListContactsRequest::default() };
    let contacts = fixture.contacts().list_contacts(list).await.unwrap().into_inner().contacts;
    assert_eq!((contacts.len(), contacts[0].id.as_str()), (1, linked.contact_id.as_str()));
    assert!(contacts[0].emails[0].verified);
}

async fn c12_x1_a_repeat_does_not_recognise_the_visitor_again(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let mut visitor = fixture.chats_with_address("v", "v@example.com");
    let request = send(&chat.id, "hello");
    let first = visitor.send_message(request.clone()).await.unwrap().into_inner();
    // An agent corrects the contact; a late repeat must not undo it.
    crate::link_contact::link_new_contact(&fixture, &chat.id).await;
    let before = (fixture.conversation(&chat.id).await, fixture.entries(&chat.id).await);
    assert_eq!(visitor.send_message(request.clone()).await.unwrap().into_inner(), first);
    let other = visitor.send_message(SendMessageRequest { text: "other".into(), ..request }).await.unwrap_err();
    assert_eq!(reason(&other), "REQUEST_ID_REUSED");
    assert_eq!((fixture.conversation(&chat.id).await, fixture.entries(&chat.id).await), before);
}

async fn x1_a_closed_chat_recognises_nobody(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    crate::close_conversation::close(&fixture, &chat.id).await;
    let before = fixture.entries(&chat.id).await;
    let mut visitor = fixture.chats_with_address("v", "v@example.com");
    let refused = visitor.send_message(send(&chat.id, "late")).await.unwrap_err();
    assert_eq!(reason(&refused), "CONVERSATION_CLOSED");
    assert_eq!(fixture.entries(&chat.id).await, before);
}

async fn e3_a_message_after_the_close_is_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    crate::close_conversation::close(&fixture, &chat.id).await;
    let refused = fixture.chats("v").send_message(send(&chat.id, "late")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "CONVERSATION_CLOSED"));
}

async fn s3_another_visitors_chat_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let other_account = VisitorServiceClient::new(fixture.in_another_account().as_visitor("v"));
    for mut visitor in [fixture.chats("w"), fixture.chats_with_address("w", "w@example.com"), other_account] {
        let refused = visitor.send_message(send(&chat.id, "hello")).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
    }
    assert!(fixture.entries(&chat.id).await.is_empty());
}

/// On PostgreSQL alone: SQLite has one writer and no lock of a row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_another_visitors_chat_is_not_locked() {
    let fixture = Fixture::start(Mode::Distributed).await;
    let chat = fixture.bot_chat("v").await.id;
    let lock = fixture.service.db.begin().await.unwrap();
    lock.conn().execute_unprepared("SELECT 1 FROM conversations FOR UPDATE").await.unwrap();
    let begun = Instant::now();
    for mut other in [fixture.chats("w"), fixture.chats_with_address("w", "w@example.com")] {
        let refused = other.send_message(send(&chat, "hello")).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound);
        let choice = ChooseButtonRequest {
            chat_id: chat.clone(),
            visitor_sequence: 1,
            button_id: "yes".into(),
            request_id: request_id(),
        };
        assert_eq!(other.choose_button(choice).await.unwrap_err().code(), Code::NotFound);
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}
