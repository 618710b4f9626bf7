use std::{sync::atomic::Ordering, time::Duration};

use tonic::Code;

use crate::{
    suite::{Chat, Suite, event, eventually, spoke},
    turns::started,
};

/// The visitor says so much before the first of it is heard of.
async fn flood(suite: &Suite, chat: &Chat, messages: usize) {
    let sequences: Vec<i64> = (0..messages).map(|_| suite.arbiter.visitor_says(chat.conversation, "no", "")).collect();
    let events: Vec<_> = sequences.iter().map(|sequence| event(chat.account, &spoke(chat, *sequence))).collect();
    assert!(suite.bus.publish(&events).await.iter().all(Result::is_ok));
}

async fn answered(suite: &Suite, chat: &Chat, said: usize) {
    eventually(|| async { (suite.arbiter.said(chat.conversation).len() == said).then_some(()) }).await;
}

#[tokio::test]
async fn b6_a_flood_is_answered_page_by_page_and_what_was_answered_is_not_read_again() {
    let suite = Suite::start().await;
    let chat = started(&suite).await;
    suite.arbiter.page.store(50, Ordering::SeqCst);
    let before = suite.arbiter.list_calls.load(Ordering::SeqCst);
    flood(&suite, &chat, 100).await;
    answered(&suite, &chat, 102).await;
    // Each event comes again at most a few tenths of a second later.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let calls = suite.arbiter.list_calls.load(Ordering::SeqCst) - before;
    assert!(calls <= 10, "a hundred messages, {calls} reads");

    let before = suite.arbiter.list_calls.load(Ordering::SeqCst);
    suite.publish(chat.account, &spoke(&chat, 3)).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(suite.arbiter.list_calls.load(Ordering::SeqCst), before, "an answered message is no reason to read");
}

#[tokio::test]
async fn b6_pages_that_are_cut_short_are_read_to_the_end() {
    let suite = Suite::start().await;
    let chat = started(&suite).await;
    suite.arbiter.page.store(1, Ordering::SeqCst);
    flood(&suite, &chat, 7).await;
    answered(&suite, &chat, 9).await;
}

#[tokio::test]
async fn b6_a_page_of_long_messages_is_read() {
    let suite = Suite::start().await;
    let chat = started(&suite).await;
    suite.arbiter.page.store(50, Ordering::SeqCst);
    let long = "no ".repeat(100_000);
    let sequences: Vec<i64> = (0..20).map(|_| suite.arbiter.visitor_says(chat.conversation, &long, "")).collect();
    suite.publish(chat.account, &spoke(&chat, sequences[19])).await;
    answered(&suite, &chat, 22).await;
}

#[tokio::test]
async fn a_thread_that_cannot_be_read_is_given_up_at_once_and_one_that_is_away_is_not() {
    let suite = Suite::start().await;
    let chat = started(&suite).await;
    *suite.arbiter.unreadable.lock().unwrap() = Some(Code::Unavailable);
    suite.speak(&chat, "no", "").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(frontdesk_bus::list_dead_letters(&suite.db).await.unwrap().is_empty());
    *suite.arbiter.unreadable.lock().unwrap() = Some(Code::OutOfRange);
    let given_up = eventually(|| async { frontdesk_bus::list_dead_letters(&suite.db).await.unwrap().pop() }).await;
    assert!(given_up.reason.contains("too long to be read"), "{}", given_up.reason);
}
