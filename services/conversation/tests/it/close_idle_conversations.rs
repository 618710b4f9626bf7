//! `CloseIdleConversations`: rules B4, B5, E2.

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_proto::{
    conversation::{
        internal::v1::{CloseIdleConversationsRequest, IdleConversation, IdleOutcome, IdleResult},
        v1::{ReopenConversationRequest, SendMessageRequest},
    },
    event::v1::{ConversationClosed, ConversationReopened},
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, request_id};
use sea_orm::ConnectionTrait;
use tonic::{Code, Request};

use crate::{
    attachments::{PNG, ready, send},
    choose_button::choose,
    fixture::{ADA, BotChat, Fixture, TIMEOUT, question, twenty},
    post_comment::comment,
};

on_both_modes!(
    b4_b5_each_is_closed_or_answered_with_what_is_true,
    b4_a_visitors_message_postpones_the_close,
    b4_a_check_as_of_an_earlier_time_closes_what_was_idle_then,
    b3_b4_a_button_and_an_attachment_of_the_visitor_postpone_the_close_and_what_others_write_does_not,
    b4_e4_a_reopening_names_the_session_whose_timeout_had_closed,
    e5_twenty_timeouts_at_once_close_once,
    b4_e2_a_conversation_that_cannot_be_closed_holds_up_no_other_one,
    b4_a_caller_of_the_release_before_is_refused_after_the_others_are_closed,
    s2_a_conversation_under_another_account_is_answered_like_an_absent_one,
);

fn idle(account: AccountId, chat: &BotChat) -> IdleConversation {
    IdleConversation {
        account_id: account.to_string(),
        conversation_id: chat.id.clone(),
        bot_session_id: chat.session.clone(),
        as_of_time: None,
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
    let message = SendMessageRequest {
        chat_id: chat.id.clone(),
        text: "wait".into(),
        request_id: request_id(),
        ..Default::default()
    };
    fixture.chats("v").send_message(message).await.unwrap();
    fixture.service.clock.advance(Duration::from_secs(120)).unwrap();
    let results = close_idle(&fixture, vec![idle(fixture.account, &chat)]).await;
    assert_eq!(results[0].outcome(), IdleOutcome::VisitorActive);
    fixture.service.clock.advance(TIMEOUT).unwrap();
    let results = close_idle(&fixture, vec![idle(fixture.account, &chat)]).await;
    assert_eq!(results[0].outcome(), IdleOutcome::Closed);
}

async fn b4_a_check_as_of_an_earlier_time_closes_what_was_idle_then(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (chat, active) = (fixture.bot_chat("v").await, fixture.bot_chat("w").await);
    let now = fixture.service.db.now().await.unwrap();
    let as_of = |chat: &BotChat, time: Time| IdleConversation {
        as_of_time: Some(time.to_proto()),
        ..idle(fixture.account, chat)
    };
    let results = close_idle(&fixture, vec![as_of(&active, now.plus(2 * TIMEOUT))]).await;
    assert_eq!(results[0].outcome(), IdleOutcome::VisitorActive, "never as of a later time than now");
    fixture.service.clock.advance(2 * TIMEOUT).unwrap();
    let results = close_idle(&fixture, vec![as_of(&chat, now)]).await;
    assert_eq!(results[0].outcome(), IdleOutcome::VisitorActive);
    let idle_at = results[0].idle_time.as_ref().map(Time::from_proto).unwrap();
    let early = idle_at.minus(Duration::from_micros(1));
    for (time, expected) in [(early, IdleOutcome::VisitorActive), (idle_at, IdleOutcome::Closed)] {
        let results = close_idle(&fixture, vec![as_of(&chat, time)]).await;
        assert_eq!(results[0].outcome(), expected);
    }
}

async fn b3_b4_a_button_and_an_attachment_of_the_visitor_postpone_the_close_and_what_others_write_does_not(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let half_later = async || {
        fixture.service.clock.advance(TIMEOUT / 2).unwrap();
        close_idle(&fixture, vec![idle(fixture.account, &chat)]).await[0].outcome()
    };
    assert_eq!(half_later().await, IdleOutcome::VisitorActive);
    let asked = fixture.post_as_robin(question(&chat)).await.unwrap().visitor_sequence;
    fixture.chats("v").choose_button(choose(&chat, asked, "yes")).await.unwrap();
    assert_eq!(half_later().await, IdleOutcome::VisitorActive);
    let attachment = ready(&fixture, "v", &chat.id, "wheel.png", PNG).await;
    fixture.chats("v").send_message(send(&chat.id, "", [&attachment])).await.unwrap();
    assert_eq!(half_later().await, IdleOutcome::VisitorActive);
    fixture.post_as_robin(question(&chat)).await.unwrap();
    fixture.threads(ADA).post_comment(comment(&chat.id)).await.unwrap();
    assert_eq!(half_later().await, IdleOutcome::Closed);
}

async fn b4_e4_a_reopening_names_the_session_whose_timeout_had_closed(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (silent, closed) = (fixture.bot_chat("a").await, fixture.bot_chat("b").await);
    fixture.service.clock.advance(TIMEOUT).unwrap();
    close_idle(&fixture, vec![idle(fixture.account, &silent)]).await;
    crate::close_conversation::close(&fixture, &closed.id).await;
    for chat in [&silent, &closed] {
        let reopen = ReopenConversationRequest { conversation_id: chat.id.clone(), request_id: request_id() };
        fixture.conversations(ADA).reopen_conversation(reopen).await.unwrap();
    }
    // Asked again, the row cannot answer that the timeout closed it.
    let again = close_idle(&fixture, vec![idle(fixture.account, &silent)]).await;
    assert_eq!(again[0].outcome(), IdleOutcome::NotInCharge);
    let events = fixture.service.appended::<ConversationReopened>().await;
    let sessions: Vec<_> = events.iter().map(|event| event.timed_out_bot_session_id.as_str()).collect();
    assert_eq!(sessions, [silent.session.as_str(), ""]);
}

async fn e5_twenty_timeouts_at_once_close_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    fixture.service.clock.advance(TIMEOUT).unwrap();
    let results = twenty(|_| close_idle(&fixture, vec![idle(fixture.account, &chat)])).await;
    assert!(results.iter().all(|results| results[0].outcome() == IdleOutcome::Closed));
    assert_eq!(fixture.service.appended::<ConversationClosed>().await.len(), 1);
}

/// Chats with silent visitors, of which the middle one cannot be closed: the third has a word that this release does not know,
/// and the sixth an event number that is taken.
async fn with_bad_rows(fixture: &Fixture) -> Vec<IdleConversation> {
    let mut chats = Vec::new();
    for number in 0..8 {
        chats.push(fixture.bot_chat(&number.to_string()).await);
    }
    fixture.service.clock.advance(TIMEOUT).unwrap();
    let tx = fixture.service.db.begin().await.unwrap();
    for sql in [
        "UPDATE conversations SET close_reason = 'LATER_RELEASE' WHERE visitor_id = '2'",
        "UPDATE conversations SET version = 0 WHERE visitor_id = '5'",
    ] {
        tx.conn().execute_unprepared(sql).await.unwrap();
    }
    tx.commit().await.unwrap();
    chats.iter().map(|chat| idle(fixture.account, chat)).collect()
}

async fn b4_e2_a_conversation_that_cannot_be_closed_holds_up_no_other_one(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let asked = with_bad_rows(&fixture).await;
    for _ in 0..2 {
        let results = close_idle(&fixture, asked.clone()).await;
        for (number, result) in results.iter().enumerate() {
            let expected = if [2, 5].contains(&number) { IdleOutcome::Failed } else { IdleOutcome::Closed };
            assert_eq!((number, result.outcome()), (number, expected));
        }
    }
    assert_eq!(fixture.service.appended::<ConversationClosed>().await.len(), 6);
}

async fn b4_a_caller_of_the_release_before_is_refused_after_the_others_are_closed(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let conversations = with_bad_rows(&fixture).await;
    let request = Request::new(CloseIdleConversationsRequest { conversations, handles_failed: false });
    let refused = fixture.arbiter("bot-session").close_idle_conversations(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(fixture.service.appended::<ConversationClosed>().await.len(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b4_a_locked_conversation_is_put_off_and_the_others_are_closed() {
    let fixture = Fixture::start(Mode::Distributed).await;
    let (held, other) = (fixture.bot_chat("held").await, fixture.bot_chat("other").await);
    fixture.service.clock.advance(TIMEOUT).unwrap();
    let asked = vec![idle(fixture.account, &held), idle(fixture.account, &other)];
    let tx = fixture.service.db.begin().await.unwrap();
    tx.conn().execute_unprepared("SELECT 1 FROM conversations WHERE visitor_id = 'held' FOR UPDATE").await.unwrap();
    let results = close_idle(&fixture, asked.clone()).await;
    assert_eq!([results[0].outcome(), results[1].outcome()], [IdleOutcome::Failed, IdleOutcome::Closed]);
    drop(tx);
    let results = close_idle(&fixture, asked).await;
    assert!(results.iter().all(|result| result.outcome() == IdleOutcome::Closed), "{results:?}");
}

async fn s2_a_conversation_under_another_account_is_answered_like_an_absent_one(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let silent = fixture.bot_chat("v").await;
    fixture.service.clock.advance(TIMEOUT).unwrap();
    let other = fixture.in_another_account().account;
    let results = close_idle(&fixture, vec![idle(other, &silent), idle(fixture.account, &silent)]).await;
    assert_eq!([results[0].outcome(), results[1].outcome()], [IdleOutcome::NotFound, IdleOutcome::Closed]);
    let again = close_idle(&fixture, vec![idle(other, &silent)]).await;
    assert_eq!(again[0].outcome(), IdleOutcome::NotFound, "also when it is closed");
}
