use std::{sync::atomic::Ordering, time::Duration};

use frontdesk_proto::{botsession::v1::BotSessionStatus, conversation::v1::IdleOutcome};

use crate::{
    suite::{Chat, Suite, account, eventually},
    turns::flow,
};

const HALF_AN_HOUR: Duration = Duration::from_secs(1_800);

async fn started(suite: &Suite) -> Chat {
    let here = account();
    let bot = suite.bot(here, flow()).await;
    let chat = suite.chat(here, &bot, Some(HALF_AN_HOUR)).await;
    suite.publish(here, &chat.started).await;
    suite.waits_at(&chat, "mail").await;
    chat
}

fn calls(suite: &Suite) -> usize {
    suite.arbiter.idle_calls.load(Ordering::SeqCst)
}

#[tokio::test]
async fn b4_a_session_times_out_at_its_deadline_and_not_before_also_when_the_visitor_never_writes() {
    let suite = Suite::start().await;
    *suite.arbiter.idle.lock().unwrap() = Some((IdleOutcome::Closed, None));
    let chat = started(&suite).await;
    suite.clock.advance(HALF_AN_HOUR - Duration::from_secs(20)).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(calls(&suite), 0, "not before its deadline");
    suite.clock.advance(Duration::from_secs(20)).unwrap();
    let session = suite.stands(&chat, BotSessionStatus::TimedOut).await;
    let (start, end) = (session.start_time.unwrap(), session.end_time.unwrap());
    assert!(end.seconds - start.seconds >= 1_800);
    assert!(session.check_time.is_none());
}

#[tokio::test]
async fn b5_when_the_visitor_was_active_the_row_says_when_to_ask_again() {
    let suite = Suite::start().await;
    let later = suite.clock.now().plus(2 * HALF_AN_HOUR);
    *suite.arbiter.idle.lock().unwrap() = Some((IdleOutcome::VisitorActive, Some(later)));
    let chat = started(&suite).await;
    suite.clock.advance(HALF_AN_HOUR).unwrap();
    let asked_again = || async { suite.session(&chat).await.filter(|seen| seen.check_time == Some(later.to_proto())) };
    eventually(asked_again).await;
    assert_eq!(calls(&suite), 1);
    *suite.arbiter.idle.lock().unwrap() = Some((IdleOutcome::Closed, None));
    suite.clock.advance(HALF_AN_HOUR).unwrap();
    suite.stands(&chat, BotSessionStatus::TimedOut).await;
    assert_eq!(calls(&suite), 2);
}

#[tokio::test]
async fn a3_a_timer_of_a_chat_that_was_taken_over_changes_nothing_and_is_put_away() {
    let suite = Suite::start().await;
    *suite.arbiter.idle.lock().unwrap() = Some((IdleOutcome::NotInCharge, None));
    let chat = started(&suite).await;
    suite.clock.advance(HALF_AN_HOUR).unwrap();
    let put_away = || async { suite.session(&chat).await.filter(|session| session.check_time.is_none()) };
    assert_eq!(eventually(put_away).await.status(), BotSessionStatus::Open);
    assert_eq!(calls(&suite), 1);
}

#[tokio::test]
async fn b4_a_row_that_cannot_be_asked_is_asked_again_soon() {
    let suite = Suite::start().await;
    let chat = started(&suite).await;
    suite.clock.advance(HALF_AN_HOUR).unwrap();
    eventually(|| async { (calls(&suite) > 0).then_some(()) }).await;
    *suite.arbiter.idle.lock().unwrap() = Some((IdleOutcome::Closed, None));
    suite.stands(&chat, BotSessionStatus::TimedOut).await;
}

#[tokio::test]
async fn b4_six_hundred_sessions_due_at_once_are_settled_in_batches() {
    let suite = Suite::start().await;
    *suite.arbiter.idle.lock().unwrap() = Some((IdleOutcome::Closed, None));
    let here = account();
    let bot = suite.bot(here, flow()).await;
    let mut chats = Vec::new();
    for _ in 0..600 {
        chats.push(suite.chat(here, &bot, Some(HALF_AN_HOUR)).await);
    }
    let started: Vec<_> = chats.iter().map(|chat| crate::suite::event(here, &chat.started)).collect();
    assert!(suite.bus.publish(&started).await.iter().all(Result::is_ok));
    for chat in &chats {
        suite.waits_at(chat, "mail").await;
    }
    suite.clock.advance(HALF_AN_HOUR).unwrap();
    for chat in &chats {
        suite.stands(chat, BotSessionStatus::TimedOut).await;
    }
    assert!((2..=4).contains(&calls(&suite)), "{} calls", calls(&suite));
}
