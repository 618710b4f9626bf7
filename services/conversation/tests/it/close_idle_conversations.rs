//! `CloseIdleConversations`: rules B4, B5, E2.

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_proto::{
    conversation::{
        internal::v1::{CloseIdleConversationsRequest, IdleConversation, IdleOutcome, IdleResult},
        v1::SendMessageRequest,
    },
    event::v1::ConversationClosed,
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, request_id};
use tonic::Request;

use crate::fixture::{BotChat, Fixture, TIMEOUT, twenty};

on_both_modes!(
    b4_b5_each_is_closed_or_answered_with_what_is_true,
    b4_a_visitors_message_postpones_the_close,
    e5_twenty_timeouts_at_once_close_once,
);

fn idle(account: AccountId, chat: &BotChat) -> IdleConversation {
    IdleConversation {
        account_id: account.to_string(),
        conversation_id: chat.id.clone(),
        bot_session_id: chat.session.clone(),
    }
}

async fn close_idle(fixture: &Fixture, conversations: Vec<IdleConversation>) -> Vec<IdleResult> {
    let request = Request::new(CloseIdleConversationsRequest { conversations, handles_failed: true });
    fixture.arbiter("bot-session").close_idle_conversations(request).await.unwrap().into_inner().results
}

async fn b4_b5_each_is_closed_or_answered_with_what_is_true(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (silent, taken) = (fixture.bot_chat("a").await, fixture.bot_chat("b").await);
    fixture.assign_ada(&taken.id, 1).await;
    fixture.service.clock.advance(TIMEOUT).unwrap();
    let active = fixture.bot_chat("c").await;
    let absent = BotChat { id: new_id().to_string(), session: new_id().to_string() };
    let asked: Vec<_> = [&silent, &taken, &active, &absent].map(|chat| idle(fixture.account, chat)).into();
    let results = close_idle(&fixture, asked.clone()).await;
    let outcomes: Vec<_> = results.iter().map(IdleResult::outcome).collect();
    use IdleOutcome::*;
    assert_eq!(outcomes, [Closed, NotInCharge, VisitorActive, NotFound]);
    let started = fixture.conversation(&active.id).await.last_visitor_activity_time.unwrap();
    let idle_at = results[2].idle_time.as_ref().map(Time::from_proto).unwrap();
    assert_eq!(idle_at, Time::from_proto(&started).plus(TIMEOUT));
    // Asked again, the close that this timeout made is granted again.
    let again = close_idle(&fixture, asked).await;
    assert_eq!(again.iter().map(IdleResult::outcome).collect::<Vec<_>>(), outcomes);
    assert_eq!(fixture.service.appended::<ConversationClosed>().await.len(), 1);
}

async fn b4_a_visitors_message_postpones_the_close(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    fixture.service.clock.advance(TIMEOUT - Duration::from_secs(60)).unwrap();
    let message = SendMessageRequest { chat_id: chat.id.clone(), text: "wait".into(), request_id: request_id() };
    fixture.chats("v").send_message(message).await.unwrap();
    fixture.service.clock.advance(Duration::from_secs(120)).unwrap();
    let results = close_idle(&fixture, vec![idle(fixture.account, &chat)]).await;
    assert_eq!(results[0].outcome(), IdleOutcome::VisitorActive);
    fixture.service.clock.advance(TIMEOUT).unwrap();
    let results = close_idle(&fixture, vec![idle(fixture.account, &chat)]).await;
    assert_eq!(results[0].outcome(), IdleOutcome::Closed);
}

async fn e5_twenty_timeouts_at_once_close_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    fixture.service.clock.advance(TIMEOUT).unwrap();
    let results = twenty(|_| close_idle(&fixture, vec![idle(fixture.account, &chat)])).await;
    assert!(results.iter().all(|results| results[0].outcome() == IdleOutcome::Closed));
    assert_eq!(fixture.service.appended::<ConversationClosed>().await.len(), 1);
}
