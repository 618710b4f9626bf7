//! `ChooseButton`: rules B3, B6, C12.

use frontdesk_proto::{
    conversation::v1::{
        ChooseButtonRequest, ChosenButton, SendMessageRequest, chat_entry::Content as ChatContent, entry::Content,
        visitor_service_client::VisitorServiceClient,
    },
    event::v1::MessagePosted,
};
use frontdesk_testkit::{Mode, on_both_modes, reason, request_id};
use tonic::Code;

use crate::fixture::{BotChat, Fixture, question, twenty};

on_both_modes!(
    b6_the_choice_is_a_message_with_the_buttons_label_and_names_question_and_button,
    c12_twenty_repeats_at_once_choose_once,
    b6_a_button_that_is_not_offered_is_refused,
    b6_a_typed_answer_closes_the_question_until_it_is_asked_again,
    b6_of_two_equal_choices_at_once_one_is_accepted,
    s3_another_visitors_chat_does_not_exist,
);

/// Robin asks. Returns the visitor sequence of the question.
async fn ask(fixture: &Fixture, chat: &BotChat) -> i32 {
    fixture.post_as_robin(question(chat)).await.unwrap().visitor_sequence
}

pub fn choose(chat: &BotChat, visitor_sequence: i32, button: &str) -> ChooseButtonRequest {
    ChooseButtonRequest {
        chat_id: chat.id.clone(),
        visitor_sequence,
        button_id: button.into(),
        request_id: request_id(),
    }
}

async fn b6_the_choice_is_a_message_with_the_buttons_label_and_names_question_and_button(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let question = ask(&fixture, &chat).await;
    let request = choose(&chat, question, "yes");
    let mut visitor = fixture.chats("v");
    let first = visitor.choose_button(request.clone()).await.unwrap().into_inner();
    assert_eq!(visitor.choose_button(request.clone()).await.unwrap().into_inner(), first);
    let button = Some(ChosenButton { visitor_sequence: question, button_id: "yes".into() });
    let entry = fixture.entries(&chat.id).await.pop().unwrap();
    let Some(Content::Message(chosen)) = entry.content else { panic!("{entry:?}") };
    assert_eq!((chosen.text.as_str(), &chosen.chosen_button), ("Yes, please", &button));
    let seen = first.entry.unwrap();
    assert_eq!((&entry.request_id, &seen.request_id), (&request.request_id, &request.request_id));
    let Some(ChatContent::Message(seen)) = seen.content else { panic!("{seen:?}") };
    assert_eq!(seen.chosen_button, button);
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

async fn b6_a_typed_answer_closes_the_question_until_it_is_asked_again(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let answered = ask(&fixture, &chat).await;
    let mut visitor = fixture.chats("v");
    let typed = SendMessageRequest {
        chat_id: chat.id.clone(),
        text: "yes".into(),
        request_id: request_id(),
        ..Default::default()
    };
    visitor.send_message(typed).await.unwrap();
    let refused = visitor.choose_button(choose(&chat, answered, "yes")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "BUTTON_NOT_OFFERED"));
    let again = ask(&fixture, &chat).await;
    visitor.choose_button(choose(&chat, again, "yes")).await.unwrap();
}

async fn b6_of_two_equal_choices_at_once_one_is_accepted(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let question = ask(&fixture, &chat).await;
    let (mut one, mut other) = (fixture.chats("v"), fixture.chats("v"));
    let (one, other) = tokio::join!(
        one.choose_button(choose(&chat, question, "yes")),
        other.choose_button(choose(&chat, question, "yes"))
    );
    assert!(one.is_ok() != other.is_ok());
    assert_eq!(reason(&one.and(other).unwrap_err()), "BUTTON_NOT_OFFERED");
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
