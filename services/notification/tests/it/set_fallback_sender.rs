//! `SetFallbackSender`.

use frontdesk_proto::notification::v1::DeliveryStatus;
use frontdesk_testkit::{Mode, new_id, on_both_modes, reason};
use tonic::Code;

use crate::{
    chat::Chat,
    fixture::{ADDRESS, Fixture, twenty_at_once},
};

on_both_modes!(
    t5_one_fallback_and_a_chosen_sender_never_falls_back,
    t5_setting_the_fallback_again_changes_nothing,
    t5_an_unverified_sender_cannot_be_the_fallback,
    t5_of_twenty_set_at_once_one_is_the_fallback,
    s2_another_accounts_sender_cannot_be_the_fallback,
);

async fn fallbacks(fixture: &Fixture) -> Vec<String> {
    let senders = fixture.account.list_senders().await;
    senders.into_iter().filter(|sender| sender.fallback).map(|sender| sender.id).collect()
}

async fn t5_one_fallback_and_a_chosen_sender_never_falls_back(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let second = chat.fixture.verified_fallback("b@acme.example").await;
    assert_eq!(fallbacks(&chat.fixture).await, [second.id]);

    // The channel chose a sender that does not exist: the fallback is not used instead.
    let closed =
        frontdesk_proto::event::v1::ConversationClosed { sender_id: new_id().to_string(), ..chat.closed_event() };
    chat.fixture.service.publish("conversation", chat.account().id, &closed).await;
    chat.fixture.service.settled().await;
    let delivery = chat.explain(1).await.unwrap().delivery.unwrap();
    let delivery = chat.account().wait_for_status(&delivery.id, DeliveryStatus::Failed).await;
    assert!(delivery.failure.contains("was deleted"), "{delivery:?}");

    // A retry asks the channel again, which chooses none now: the fallback sends.
    chat.account().retry(&delivery.id).await.unwrap();
    chat.account().wait_for_status(&delivery.id, DeliveryStatus::Sent).await;
    assert!(chat.fixture.mail(&delivery.id).contains("b@acme.example"));
}

async fn t5_setting_the_fallback_again_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let sender = fixture.verified_fallback(ADDRESS).await;
    assert_eq!(fixture.account.set_fallback(&sender.id).await.unwrap(), sender);
    assert_eq!(fixture.account.list_senders().await, [sender]);
}

async fn t5_an_unverified_sender_cannot_be_the_fallback(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let sender = fixture.account.create_sender(ADDRESS, "1").await.unwrap().sender.unwrap();
    let refused = fixture.account.set_fallback(&sender.id).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "SENDER_NOT_VERIFIED"));
    assert!(fallbacks(&fixture).await.is_empty());
}

async fn t5_of_twenty_set_at_once_one_is_the_fallback(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let senders =
        [fixture.verified_fallback("a@acme.example").await.id, fixture.verified_fallback("b@acme.example").await.id];
    let account = fixture.account.clone();
    let set = twenty_at_once(move |number| {
        let (account, sender) = (account.clone(), senders[number % 2].clone());
        async move { account.set_fallback(&sender).await.is_ok() }
    })
    .await;
    assert!(!set.contains(&false));
    assert_eq!(fallbacks(&fixture).await.len(), 1);
}

async fn s2_another_accounts_sender_cannot_be_the_fallback(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let sender = fixture.verified_fallback(ADDRESS).await;
    let refused = fixture.other_account().set_fallback(&sender.id).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}
