//! The consumer of `ConversationClosed`.

use std::time::Duration;

use frontdesk_proto::{
    event::v1::{ConversationClosed, TranscriptDecided},
    notification::v1::{DeliveryKind, SkipReason},
};
use frontdesk_testkit::{Mode, event, new_id, on_both_modes, wait_until};

use crate::{
    chat::closed_event,
    fixture::{Fixture, twenty_at_once},
};

on_both_modes!(
    t3_an_event_delivered_many_times_is_decided_once,
    t3_twenty_at_once_with_different_event_ids_decide_one_close_once,
    t3_each_close_has_its_own_decision,
    t2_a_skipped_close_has_no_delivery_and_says_why,
    t2_unverified_addresses_have_a_limit_per_contact,
    t2_twenty_closes_at_once_stay_within_the_unverified_limit,
    t3_an_event_that_cannot_be_read_is_a_dead_letter_and_the_next_one_is_decided,
);

async fn close(fixture: &Fixture, close: &ConversationClosed) {
    fixture.service.publish("conversation", fixture.account.id, close).await;
}

async fn transcripts(fixture: &Fixture) -> usize {
    let deliveries = fixture.account.list_deliveries().await;
    deliveries.iter().filter(|delivery| delivery.kind() == DeliveryKind::Transcript).count()
}

async fn t3_an_event_delivered_many_times_is_decided_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let closed = closed_event(new_id(), 1, new_id());
    let published = fixture.service.publish("conversation", fixture.account.id, &closed).await;
    for _ in 0..3 {
        fixture.service.deliver_again(&published).await;
    }
    fixture.service.settled().await;
    assert_eq!((fixture.account.list_decisions().await.len(), transcripts(&fixture).await), (1, 1));
    assert_eq!(fixture.service.appended::<TranscriptDecided>().await.len(), 1);
}

async fn t3_twenty_at_once_with_different_event_ids_decide_one_close_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let closed = closed_event(new_id(), 1, new_id());
    let (bus, account) = (fixture.service.bus.clone(), fixture.account.id);
    twenty_at_once(|_| {
        let (bus, event) = (bus.clone(), event("conversation", account, &closed));
        async move { assert!(bus.publish(&[event]).await.iter().all(Result::is_ok)) }
    })
    .await;
    fixture.service.settled().await;
    assert_eq!((fixture.account.list_decisions().await.len(), transcripts(&fixture).await), (1, 1));
}

async fn t3_each_close_has_its_own_decision(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (conversation, contact) = (new_id(), new_id());
    for number in [2, 1] {
        close(&fixture, &closed_event(conversation, number, contact)).await;
    }
    fixture.service.settled().await;
    let mut closes: Vec<i32> =
        fixture.account.list_decisions().await.iter().map(|decision| decision.close_number).collect();
    closes.sort_unstable();
    assert_eq!(closes, [1, 2]);
}

async fn t2_a_skipped_close_has_no_delivery_and_says_why(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let bot_chat =
        ConversationClosed { had_bot_session: true, had_agent: false, ..closed_event(new_id(), 1, new_id()) };
    close(&fixture, &bot_chat).await;
    fixture.service.settled().await;
    let decisions = fixture.account.list_decisions().await;
    assert_eq!((decisions[0].send, decisions[0].skip_reason()), (false, SkipReason::BotConversation));
    assert!(decisions[0].explanation.starts_with("Not sent") && decisions[0].delivery_id.is_empty());
    assert_eq!(transcripts(&fixture).await, 0);
    let events = fixture.service.appended::<TranscriptDecided>().await;
    assert_eq!((events[0].send, events[0].skip_reason()), (false, SkipReason::BotConversation));
}

async fn t2_unverified_addresses_have_a_limit_per_contact(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let contact = new_id();
    let unverified = || ConversationClosed { email_verified: false, ..closed_event(new_id(), 1, contact) };
    for _ in 0..7 {
        close(&fixture, &unverified()).await;
    }
    fixture.service.settled().await;
    assert_eq!(transcripts(&fixture).await, 5);
    let decisions = fixture.account.list_decisions().await;
    let skipped = decisions.iter().filter(|decision| decision.skip_reason() == SkipReason::UnverifiedLimit);
    assert_eq!(skipped.count(), 2);
    // After a day the limit allows mails again.
    fixture.service.clock.advance(Duration::from_secs(25 * 3600)).unwrap();
    close(&fixture, &unverified()).await;
    fixture.service.settled().await;
    assert_eq!(transcripts(&fixture).await, 6);
}

async fn t2_twenty_closes_at_once_stay_within_the_unverified_limit(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (bus, account, contact) = (fixture.service.bus.clone(), fixture.account.id, new_id());
    twenty_at_once(|_| {
        let closed = ConversationClosed { email_verified: false, ..closed_event(new_id(), 1, contact) };
        let (bus, event) = (bus.clone(), event("conversation", account, &closed));
        async move { assert!(bus.publish(&[event]).await.iter().all(Result::is_ok)) }
    })
    .await;
    fixture.service.settled().await;
    assert_eq!((fixture.account.list_decisions().await.len(), transcripts(&fixture).await), (20, 5));
}

async fn t3_an_event_that_cannot_be_read_is_a_dead_letter_and_the_next_one_is_decided(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let unreadable = ConversationClosed { conversation_id: "x".into(), ..closed_event(new_id(), 1, new_id()) };
    close(&fixture, &unreadable).await;
    close(&fixture, &closed_event(new_id(), 1, new_id())).await;
    wait_until("the dead letter", || async { fixture.count("FROM dead_letters").await == 1 }).await;
    wait_until("the decision", || async { fixture.account.list_decisions().await.len() == 1 }).await;
}
