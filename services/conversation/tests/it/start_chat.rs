//! `StartChat`: rules C1, C2a, B1, E3.

use frontdesk_proto::{
    conversation::v1::{Greeter, StartChatRequest, visitor_service_client::VisitorServiceClient},
    event::v1::ConversationStarted,
};
use frontdesk_testkit::{Mode, on_both_modes, reason};
use tonic::Code;

use crate::fixture::{Fixture, ROBIN, start, twenty};

on_both_modes!(
    c1_a_chat_starts_with_its_first_message_and_a_repeat_gets_it_back,
    b1_a_chat_that_a_bot_greets_has_bot_session_and_timeout_from_the_first_commit,
    c2a_twenty_starts_at_once_make_one_chat,
    e3_starting_after_a_close_makes_a_new_chat_that_points_to_the_one_before,
    s2_another_accounts_channel_does_not_exist,
);

async fn c1_a_chat_starts_with_its_first_message_and_a_repeat_gets_it_back(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel(Greeter::Nobody).await;
    let request = StartChatRequest { text: "hello".into(), ..start(&channel.id) };
    let mut visitor = fixture.chats("v");
    let first = visitor.start_chat(request.clone()).await.unwrap().into_inner();
    assert_eq!(visitor.start_chat(request).await.unwrap().into_inner(), first);
    let chat = first.chat.unwrap();
    assert_eq!((chat.open, chat.last_visitor_sequence), (true, 1));
    // Another start while it is open adds a message and starts nothing.
    let more = StartChatRequest { text: "more".into(), ..start(&channel.id) };
    let more = visitor.start_chat(more).await.unwrap().into_inner().chat.unwrap();
    assert_eq!((more.id, more.last_visitor_sequence), (chat.id, 2));
    assert_eq!(fixture.service.appended::<ConversationStarted>().await.len(), 1);
}

async fn b1_a_chat_that_a_bot_greets_has_bot_session_and_timeout_from_the_first_commit(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let started = fixture.service.appended::<ConversationStarted>().await.pop().unwrap();
    assert_eq!((started.bot_id, started.bot_session_id), (ROBIN.to_string(), chat.session));
    assert_eq!(started.inactivity_timeout.unwrap().seconds, 1_800);
    assert_eq!(fixture.conversation(&chat.id).await.assignee.unwrap().name, "Robin");
}

async fn c2a_twenty_starts_at_once_make_one_chat(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel(Greeter::Bot).await;
    let started = twenty(|_| {
        let (mut visitor, request) = (fixture.chats("v"), start(&channel.id));
        async move { visitor.start_chat(request).await.unwrap().into_inner().chat.unwrap().id }
    });
    let mut ids = started.await;
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(fixture.service.appended::<ConversationStarted>().await.len(), 1);
}

async fn e3_starting_after_a_close_makes_a_new_chat_that_points_to_the_one_before(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel(Greeter::Routing).await;
    let first = fixture.chat_on(&channel, "v").await;
    crate::close_conversation::close(&fixture, &first.id).await;
    let second = fixture.chat_on(&channel, "v").await;
    assert_eq!((second.open, second.previous_chat_id), (true, first.id));
}

async fn s2_another_accounts_channel_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel(Greeter::Nobody).await;
    let mut visitor = VisitorServiceClient::new(fixture.in_another_account().as_visitor("v"));
    let refused = visitor.start_chat(start(&channel.id)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}
