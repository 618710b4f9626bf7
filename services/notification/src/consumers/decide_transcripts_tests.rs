use frontdesk_proto::event::v1::TranscriptDecided;

use super::*;
use crate::tests::{Suite, closed_event, facts};

#[tokio::test]
async fn t3_an_event_delivered_many_times_is_decided_once() {
    let suite = Suite::start().await;
    let consumer = DecideTranscripts(suite.app.clone());
    let event = closed_event(suite.account, frontdesk_clock::testing::new_id(), 1, &facts());
    for _ in 0..3 {
        assert!(matches!(consumer.handle(&event).await, Outcome::Ack));
    }
    assert_eq!(suite.decisions().await.len(), 1);
    assert_eq!(suite.deliveries().await.len(), 1);
    assert_eq!(suite.events::<TranscriptDecided>().await.len(), 1);
}

#[tokio::test]
async fn t3_twenty_at_once_with_different_event_ids_decide_one_close_once() {
    let suite = Suite::start().await;
    let conversation = frontdesk_clock::testing::new_id();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let consumer = DecideTranscripts(suite.app.clone());
        let event = closed_event(suite.account, conversation, 1, &facts());
        tasks.spawn(async move { assert!(matches!(consumer.handle(&event).await, Outcome::Ack)) });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(suite.decisions().await.len(), 1);
    assert_eq!(suite.deliveries().await.len(), 1);
}

#[tokio::test]
async fn t3_each_close_has_its_own_decision() {
    let suite = Suite::start().await;
    let consumer = DecideTranscripts(suite.app.clone());
    let conversation = frontdesk_clock::testing::new_id();
    for number in [2, 1] {
        let event = closed_event(suite.account, conversation, number, &facts());
        assert!(matches!(consumer.handle(&event).await, Outcome::Ack));
    }
    assert_eq!(suite.decisions().await.len(), 2);
}

#[tokio::test]
async fn t2_a_skipped_one_has_no_delivery_and_says_why() {
    let suite = Suite::start().await;
    let consumer = DecideTranscripts(suite.app.clone());
    let bots = Facts { had_bot_session: true, had_agent: false, ..facts() };
    let event = closed_event(suite.account, frontdesk_clock::testing::new_id(), 1, &bots);
    assert!(matches!(consumer.handle(&event).await, Outcome::Ack));
    assert!(suite.deliveries().await.is_empty());
    let told = suite.events::<TranscriptDecided>().await;
    assert_eq!((told[0].send, told[0].skip_reason.as_str()), (false, "BOT_CONVERSATION"));
}

#[tokio::test]
async fn t2_unverified_addresses_have_a_limit_per_contact() {
    let suite = Suite::start().await;
    let consumer = DecideTranscripts(suite.app.clone());
    let unverified = Facts { address_verified: false, ..facts() };
    for _ in 0..7 {
        let event = closed_event(suite.account, frontdesk_clock::testing::new_id(), 1, &unverified);
        assert!(matches!(consumer.handle(&event).await, Outcome::Ack));
    }
    assert_eq!(suite.deliveries().await.len(), 5);
    let skipped = suite
        .decisions()
        .await
        .iter()
        .filter(|one| one.skip_reason == Some(crate::domain::Skip::UnverifiedLimit))
        .count();
    assert_eq!(skipped, 2);
    // A day later there is room again.
    suite.clock.advance(std::time::Duration::from_secs(25 * 3600)).unwrap();
    let event = closed_event(suite.account, frontdesk_clock::testing::new_id(), 1, &unverified);
    assert!(matches!(consumer.handle(&event).await, Outcome::Ack));
    assert_eq!(suite.deliveries().await.len(), 6);
}

#[tokio::test]
async fn what_is_no_close_is_hopeless() {
    let suite = Suite::start().await;
    let consumer = DecideTranscripts(suite.app.clone());
    let mut event = closed_event(suite.account, frontdesk_clock::testing::new_id(), 1, &facts());
    event.data = None;
    assert!(matches!(consumer.handle(&event).await, Outcome::DeadLetter(_)));
}
