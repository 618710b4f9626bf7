//! `ReopenConversation`: rule E4.

use frontdesk_proto::{
    conversation::v1::{
        ConversationStatus, ReopenConversationRequest, conversation_service_client::ConversationServiceClient,
    },
    event::v1::ConversationReopened,
};
use frontdesk_testkit::{Mode, on_both_modes, reason, request_id};
use tonic::Code;

use crate::fixture::{ADA, BOB, Fixture, GONE, twenty};

on_both_modes!(
    e4_an_agent_reopens_and_owns_the_conversation_and_reopening_again_changes_nothing,
    e4_twenty_agents_reopen_at_once_and_one_does,
    e4_reopening_is_refused_while_the_visitor_has_a_newer_open_chat,
    e4_a_deactivated_agent_does_not_reopen,
    s2_another_accounts_conversation_does_not_exist,
);

fn request(conversation: &str) -> ReopenConversationRequest {
    ReopenConversationRequest { conversation_id: conversation.into(), request_id: request_id() }
}

async fn closed_chat(fixture: &Fixture) -> String {
    let chat = fixture.chat("v").await;
    crate::close_conversation::close(fixture, &chat.id).await;
    chat.id
}

async fn e4_an_agent_reopens_and_owns_the_conversation_and_reopening_again_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let id = closed_chat(&fixture).await;
    let first = request(&id);
    let mut conversations = fixture.conversations(BOB);
    let reopened = conversations.reopen_conversation(first.clone()).await.unwrap().into_inner();
    for again in [first, request(&id)] {
        assert_eq!(conversations.reopen_conversation(again).await.unwrap().into_inner(), reopened);
    }
    let conversation = reopened.conversation.unwrap();
    assert_eq!(conversation.status(), ConversationStatus::Open);
    assert_eq!((conversation.assignee.unwrap().name.as_str(), conversation.epoch), ("Bob", 2));
    let unchanged = fixture.conversations(GONE).reopen_conversation(request(&id)).await.unwrap().into_inner();
    assert_eq!(unchanged.conversation.unwrap().version, conversation.version, "an open one is returned unchanged");
    assert_eq!(fixture.service.appended::<ConversationReopened>().await.len(), 1);
}

async fn e4_twenty_agents_reopen_at_once_and_one_does(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let id = closed_chat(&fixture).await;
    let reopened = twenty(|n| {
        let (mut conversations, request) = (fixture.conversations([ADA, BOB][n % 2]), request(&id));
        async move { conversations.reopen_conversation(request).await.unwrap() }
    });
    reopened.await;
    assert_eq!(fixture.service.appended::<ConversationReopened>().await.len(), 1);
}

async fn e4_reopening_is_refused_while_the_visitor_has_a_newer_open_chat(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let old = fixture.chat_on(&channel, "v").await;
    crate::close_conversation::close(&fixture, &old.id).await;
    fixture.chat_on(&channel, "v").await;
    let refused = fixture.conversations(ADA).reopen_conversation(request(&old.id)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "NEWER_CONVERSATION_OPEN"));
}

async fn e4_a_deactivated_agent_does_not_reopen(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let id = closed_chat(&fixture).await;
    let refused = fixture.conversations(GONE).reopen_conversation(request(&id)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "AGENT_NOT_ACTIVE"));
}

async fn s2_another_accounts_conversation_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let id = closed_chat(&fixture).await;
    let mut conversations = ConversationServiceClient::new(fixture.in_another_account().as_agent());
    let refused = conversations.reopen_conversation(request(&id)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}
