//! `HandOffConversation`: rule B8.

use frontdesk_proto::{
    conversation::internal::v1::{HandOffConversationRequest, HandOffConversationResponse},
    event::v1::ConversationHandedOff,
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, reason, request_id};
use tonic::{Code, Status};

use crate::fixture::{BOB, BotChat, Fixture, twenty};

on_both_modes!(
    b8_the_bot_hands_off_and_the_conversation_is_unassigned,
    c12_twenty_repeats_at_once_hand_off_once,
    a3_a_session_that_is_not_in_charge_does_not_hand_off,
    e3_a_closed_conversation_is_not_handed_off,
    s2_another_accounts_conversation_does_not_exist,
);

pub fn request(chat: &BotChat) -> HandOffConversationRequest {
    HandOffConversationRequest {
        conversation_id: chat.id.clone(),
        bot_session_id: chat.session.clone(),
        reason: "asks for a person".into(),
        agent_id: BOB.to_string(),
        request_id: request_id(),
        ..HandOffConversationRequest::default()
    }
}

pub async fn hand_off(
    fixture: &Fixture,
    request: HandOffConversationRequest,
) -> Result<HandOffConversationResponse, Status> {
    Ok(fixture.arbiter("bot-session").hand_off_conversation(fixture.by_robin(request)).await?.into_inner())
}

async fn b8_the_bot_hands_off_and_the_conversation_is_unassigned(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let conversation = hand_off(&fixture, request(&chat)).await.unwrap().conversation.unwrap();
    assert!(conversation.assignee.is_none() && conversation.bot_session.is_none());
    assert_eq!(conversation.epoch, 2);
    let event = fixture.service.appended::<ConversationHandedOff>().await.pop().unwrap();
    assert_eq!((event.bot_session_id, event.agent_id, event.epoch), (chat.session, BOB.to_string(), 2));
}

async fn c12_twenty_repeats_at_once_hand_off_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let request = request(&chat);
    let answers = twenty(|_| hand_off(&fixture, request.clone())).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(fixture.service.appended::<ConversationHandedOff>().await.len(), 1);
}

async fn a3_a_session_that_is_not_in_charge_does_not_hand_off(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let other = HandOffConversationRequest { bot_session_id: new_id().to_string(), ..request(&chat) };
    let refused = hand_off(&fixture, other).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Aborted, "BOT_SESSION_NOT_IN_CHARGE"));
    fixture.assign_ada(&chat.id, 1).await;
    let refused = hand_off(&fixture, request(&chat)).await.unwrap_err();
    assert_eq!(reason(&refused), "BOT_SESSION_NOT_IN_CHARGE");
}

async fn e3_a_closed_conversation_is_not_handed_off(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    crate::close_conversation::close(&fixture, &chat.id).await;
    let refused = hand_off(&fixture, request(&chat)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "CONVERSATION_CLOSED"));
}

async fn s2_another_accounts_conversation_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let other = fixture.in_another_account().account;
    let request = fixture.on_behalf_of_in(other, &format!("bot:{}", crate::fixture::ROBIN), request(&chat));
    let refused = fixture.arbiter("bot-session").hand_off_conversation(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}
