//! `CloseConversation`: rules E1, E5, T2.

use frontdesk_proto::{
    conversation::v1::{
        CloseConversationRequest, ConversationStatus, conversation_service_client::ConversationServiceClient,
    },
    event::v1::ConversationClosed,
};
use frontdesk_testkit::{Mode, on_both_modes, reason, request_id};
use tonic::Code;

use crate::fixture::{ADA, Fixture, twenty};

on_both_modes!(
    e1_t2_a_close_ends_the_chat_and_stores_its_facts,
    e5_closing_a_closed_one_changes_nothing,
    e5_twenty_closes_at_once_close_once,
    a1_a_close_at_an_old_epoch_is_refused,
    s2_another_accounts_conversation_does_not_exist,
);

fn request(conversation: &str) -> CloseConversationRequest {
    CloseConversationRequest {
        conversation_id: conversation.into(),
        request_id: request_id(),
        ..CloseConversationRequest::default()
    }
}

/// Ada closes the conversation.
pub async fn close(fixture: &Fixture, conversation: &str) {
    fixture.conversations(ADA).close_conversation(request(conversation)).await.unwrap();
}

async fn e1_t2_a_close_ends_the_chat_and_stores_its_facts(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    fixture.post(&chat.id, "bye").await;
    let closed = fixture.conversations(ADA).close_conversation(request(&chat.id)).await.unwrap().into_inner();
    let closed = closed.conversation.unwrap();
    assert_eq!((closed.status(), closed.close_number), (ConversationStatus::Closed, 1));
    let event = fixture.service.appended::<ConversationClosed>().await.pop().unwrap();
    assert!(event.had_agent && event.transcript_enabled && !event.had_bot_session && !event.had_ticket);
    assert_eq!((event.email_usable, event.last_sequence), (false, closed.last_sequence));
}

async fn e5_closing_a_closed_one_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let first = request(&chat.id);
    let mut conversations = fixture.conversations(ADA);
    let closed = conversations.close_conversation(first.clone()).await.unwrap().into_inner();
    assert_eq!(conversations.close_conversation(first).await.unwrap().into_inner(), closed);
    assert_eq!(conversations.close_conversation(request(&chat.id)).await.unwrap().into_inner(), closed);
    assert_eq!(fixture.service.appended::<ConversationClosed>().await.len(), 1);
}

async fn e5_twenty_closes_at_once_close_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let closed = twenty(|_| {
        let (mut conversations, request) = (fixture.conversations(ADA), request(&chat.id));
        async move { conversations.close_conversation(request).await.unwrap().into_inner().conversation.unwrap() }
    });
    assert!(closed.await.iter().all(|closed| closed.close_number == 1));
    assert_eq!(fixture.service.appended::<ConversationClosed>().await.len(), 1);
}

async fn a1_a_close_at_an_old_epoch_is_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    fixture.assign_ada(&chat.id, 1).await;
    let old = CloseConversationRequest { expected_epoch: Some(1), ..request(&chat.id) };
    let refused = fixture.conversations(ADA).close_conversation(old).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Aborted, "OWNERSHIP_CHANGED"));
}

async fn s2_another_accounts_conversation_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let mut conversations = ConversationServiceClient::new(fixture.in_another_account().as_agent());
    let refused = conversations.close_conversation(request(&chat.id)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}
