//! `ChooseButton`: rules B3, B6, C12.

use frontdesk_proto::{
    conversation::v1::{
        ChooseButtonRequest, NewButton, PostMessageRequest, entry::Content, thread_service_client::ThreadServiceClient,
        visitor_service_client::VisitorServiceClient,
    },
    event::v1::MessagePosted,
};
use frontdesk_testkit::{Mode, on_both_modes, reason, request_id};
use tonic::Code;

use crate::fixture::{BotChat, Fixture, message, twenty};

on_both_modes!(
    b6_the_choice_is_a_message_with_the_buttons_label,
    c12_twenty_repeats_at_once_choose_once,
    b6_a_button_that_is_not_offered_is_refused,
    s3_another_visitors_chat_does_not_exist,
);

/// Robin asks. Returns the visitor sequence of the question.
async fn ask(fixture: &Fixture, chat: &BotChat) -> i64 {
    let button = |id: &str, label: &str| NewButton { id: id.into(), label: label.into() };
    let request = PostMessageRequest {
        bot_session_id: chat.session.clone(),
        buttons: vec![button("yes", "Yes, please"), button("no", "No")],
        ..message(&chat.id, "Shall I?")
    };
    let mut threads = ThreadServiceClient::new(fixture.as_service("bot-session"));
    let asked = threads.post_message(fixture.by_robin(request)).await.unwrap().into_inner();
    asked.entry.unwrap().visitor_sequence
}

fn choose(chat: &BotChat, visitor_sequence: i64, button: &str) -> ChooseButtonRequest {
    ChooseButtonRequest {
        chat_id: chat.id.clone(),
        visitor_sequence,
        button_id: button.into(),
        request_id: request_id(),
    }
}

async fn b6_the_choice_is_a_message_with_the_buttons_label(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let question = ask(&fixture, &chat).await;
    let request = choose(&chat, question, "yes");
    let mut visitor = fixture.chats("v");
    let first = visitor.choose_button(request.clone()).await.unwrap().into_inner();
    assert_eq!(visitor.choose_button(request).await.unwrap().into_inner(), first);
    let chosen = fixture.entries(&chat.id).await.pop().unwrap().content.unwrap();
    let Content::Message(chosen) = chosen else { panic!("{chosen:?}") };
    assert_eq!((chosen.text.as_str(), chosen.chosen_button_id.as_str()), ("Yes, please", "yes"));
}

async fn c12_twenty_repeats_at_once_choose_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let request = choose(&chat, ask(&fixture, &chat).await, "no");
    let chosen = twenty(|_| {
        let (mut visitor, request) = (fixture.chats("v"), request.clone());
        async move { visitor.choose_button(request).await.unwrap() }
    });
    chosen.await;
    assert_eq!(fixture.service.appended::<MessagePosted>().await.len(), 2);
}

async fn b6_a_button_that_is_not_offered_is_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let old = ask(&fixture, &chat).await;
    let newest = ask(&fixture, &chat).await;
    let mut visitor = fixture.chats("v");
    for (question, button) in [(newest, "maybe"), (old, "yes")] {
        let refused = visitor.choose_button(choose(&chat, question, button)).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "BUTTON_NOT_OFFERED"));
    }
    visitor.choose_button(choose(&chat, newest, "yes")).await.unwrap();
    let refused = visitor.choose_button(choose(&chat, newest, "no")).await.unwrap_err();
    assert_eq!(reason(&refused), "BUTTON_NOT_OFFERED", "the choice was made");
}

async fn s3_another_visitors_chat_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let question = ask(&fixture, &chat).await;
    let other_account = VisitorServiceClient::new(fixture.in_another_account().as_visitor("v"));
    for mut visitor in [fixture.chats("w"), other_account] {
        let refused = visitor.choose_button(choose(&chat, question, "yes")).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
    }
}
