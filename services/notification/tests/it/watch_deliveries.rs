use std::time::Duration;

use frontdesk_notification::NotificationSettings;
use frontdesk_proto::notification::v1::{
    Delivery, DeliveryStatus, WatchDeliveriesRequest, WatchDeliveriesResponse, watch_deliveries_response::Update,
};
use frontdesk_testkit::{Mode, new_id, on_both_modes};
use tonic::Streaming;

use crate::{
    chat::Chat,
    fixture::{ADDRESS, Account, Fixture, smtp},
    mail_server::MailServer,
};

on_both_modes!(
    t8_a_watch_sends_what_there_is_then_each_delivery_that_is_created_or_changes,
    t8_a_watch_of_a_conversation_sends_its_deliveries_only,
    s2_deliveries_of_another_account_are_not_watched,
);

async fn watch(account: &Account, conversation: &str) -> Streaming<WatchDeliveriesResponse> {
    let request = WatchDeliveriesRequest { conversation_id: conversation.into() };
    account.deliveries().watch_deliveries(request).await.unwrap().into_inner()
}

async fn next(stream: &mut Streaming<WatchDeliveriesResponse>) -> Update {
    let update = tokio::time::timeout(Duration::from_secs(20), stream.message()).await;
    update.expect("an update").unwrap().unwrap().update.unwrap()
}

/// The next delivery for which the condition holds.
async fn until(stream: &mut Streaming<WatchDeliveriesResponse>, holds: impl Fn(&Delivery) -> bool) -> Delivery {
    loop {
        if let Update::Delivery(delivery) = next(stream).await
            && holds(&delivery)
        {
            return delivery;
        }
    }
}

async fn t8_a_watch_sends_what_there_is_then_each_delivery_that_is_created_or_changes(mode: Mode) {
    let server = MailServer::start(&["250 ok", "550 no", "250 ok"]).await;
    let settings = NotificationSettings { deliveries_at_once: 1, ..smtp(server.port, Duration::from_secs(3600)) };
    let fixture = Fixture::start_with(mode, settings).await;
    let first = fixture.account.create_sender(ADDRESS, "1").await.unwrap().delivery_id;
    let sent = fixture.account.wait_for_status(&first, DeliveryStatus::Sent).await;
    let mut stream = watch(&fixture.account, "").await;
    let Update::Delivery(existing) = next(&mut stream).await else { panic!("what there is comes first") };
    assert_eq!(existing, sent);
    assert!(matches!(next(&mut stream).await, Update::CaughtUp(_)));

    let second = fixture.account.create_sender("other@acme.example", "2").await.unwrap().delivery_id;
    let failed = until(&mut stream, |delivery| delivery.status() == DeliveryStatus::Failed).await;
    assert_eq!(failed, fixture.account.delivery(&second).await.unwrap());
    fixture.account.retry(&second).await.unwrap();
    let sent = until(&mut stream, |delivery| delivery.status() == DeliveryStatus::Sent).await;
    assert_eq!((sent.id, sent.attempt_count), (second, 2));
}

async fn t8_a_watch_of_a_conversation_sends_its_deliveries_only(mode: Mode) {
    let chat = Chat::closed_with(mode, NotificationSettings::default()).await;
    let account = chat.account();
    let other = account.create_sender("other@acme.example", "1").await.unwrap().delivery_id;
    account.wait_for_status(&other, DeliveryStatus::Sent).await;
    let transcript = chat.decide().await.delivery.unwrap();
    let mut stream = watch(account, &transcript.conversation_id).await;
    let watched = until(&mut stream, |delivery| delivery.status() == DeliveryStatus::Sent).await;
    assert_eq!(watched.id, transcript.id);
    let mut nothing = watch(account, &new_id().to_string()).await;
    assert!(matches!(next(&mut nothing).await, Update::CaughtUp(_)));
}

async fn s2_deliveries_of_another_account_are_not_watched(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let theirs = fixture.account.create_sender(ADDRESS, "1").await.unwrap().delivery_id;
    fixture.account.wait_for_status(&theirs, DeliveryStatus::Sent).await;
    let other = fixture.other_account();
    let mut stream = watch(&other, "").await;
    assert!(matches!(next(&mut stream).await, Update::CaughtUp(_)));
    let ours = other.create_sender(ADDRESS, "1").await.unwrap().delivery_id;
    assert_eq!(until(&mut stream, |_| true).await.id, ours);
}
