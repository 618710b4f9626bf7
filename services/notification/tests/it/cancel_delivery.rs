//! `CancelDelivery`.

use std::time::Duration;

use frontdesk_proto::notification::v1::DeliveryStatus;
use frontdesk_testkit::{Mode, on_both_modes, reason};
use tonic::Code;

use crate::{
    fixture::{ADDRESS, Fixture, smtp, twenty_at_once},
    mail_server::MailServer,
};

const HOUR: Duration = Duration::from_secs(3600);

on_both_modes!(
    t8_a_cancelled_delivery_is_not_sent_any_more,
    t8_a_parked_delivery_can_be_cancelled_and_then_not_retried,
    t8_a_sent_delivery_cannot_be_cancelled,
    t8_twenty_cancel_one_delivery_at_once,
    s2_another_accounts_delivery_cannot_be_cancelled,
);

/// A delivery of a code that waits for its second attempt.
async fn waiting(mode: Mode) -> (Fixture, String, MailServer) {
    let server = MailServer::start(&["451 later", "250 ok"]).await;
    let fixture = Fixture::start_with(mode, smtp(server.port, HOUR)).await;
    let id = fixture.account.create_sender(ADDRESS, "1").await.unwrap().delivery_id;
    let queued = |delivery: &frontdesk_proto::notification::v1::Delivery| {
        delivery.status() == DeliveryStatus::Queued && delivery.attempt_count == 1
    };
    fixture.account.wait_for_delivery(&id, queued).await;
    (fixture, id, server)
}

async fn t8_a_cancelled_delivery_is_not_sent_any_more(mode: Mode) {
    let (fixture, id, server) = waiting(mode).await;
    // Cancelling it again changes nothing.
    let cancelled = fixture.account.cancel(&id).await.unwrap();
    assert_eq!(cancelled.status(), DeliveryStatus::Cancelled);
    assert_eq!(fixture.account.cancel(&id).await.unwrap(), cancelled);
    assert_eq!(fixture.count("FROM delivery_mails").await, 0);
    // The second delivery is due when the first would have been; it takes the server's second answer.
    fixture.service.clock.advance(2 * HOUR).unwrap();
    let next = fixture.account.create_sender(ADDRESS, "2").await.unwrap().delivery_id;
    fixture.account.wait_for_status(&next, DeliveryStatus::Sent).await;
    assert_eq!(server.mails(), 2);
    assert_eq!(fixture.account.delivery(&id).await.unwrap(), cancelled);
}

async fn t8_a_parked_delivery_can_be_cancelled_and_then_not_retried(mode: Mode) {
    let server = MailServer::start(&[]).await;
    let fixture = Fixture::start_with(mode, smtp(server.port, Duration::from_millis(20))).await;
    let id = fixture.account.create_sender(ADDRESS, "1").await.unwrap().delivery_id;
    fixture.account.wait_for_status(&id, DeliveryStatus::Parked).await;
    assert_eq!(fixture.account.cancel(&id).await.unwrap().status(), DeliveryStatus::Cancelled);
    assert_eq!(reason(&fixture.account.retry(&id).await.unwrap_err()), "DELIVERY_STATUS");
}

async fn t8_a_sent_delivery_cannot_be_cancelled(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let id = fixture.account.create_sender(ADDRESS, "1").await.unwrap().delivery_id;
    let sent = fixture.account.wait_for_status(&id, DeliveryStatus::Sent).await;
    let refused = fixture.account.cancel(&id).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "DELIVERY_STATUS"));
    assert_eq!(fixture.account.delivery(&id).await.unwrap(), sent);
}

async fn t8_twenty_cancel_one_delivery_at_once(mode: Mode) {
    let (fixture, id, server) = waiting(mode).await;
    let (account, delivery) = (fixture.account.clone(), id.clone());
    let cancelled = twenty_at_once(move |_| {
        let (account, delivery) = (account.clone(), delivery.clone());
        async move { account.cancel(&delivery).await.unwrap() }
    })
    .await;
    assert!(cancelled.windows(2).all(|pair| pair[0] == pair[1]), "{cancelled:?}");
    assert_eq!((cancelled[0].status(), server.mails()), (DeliveryStatus::Cancelled, 1));
}

async fn s2_another_accounts_delivery_cannot_be_cancelled(mode: Mode) {
    let (fixture, id, _server) = waiting(mode).await;
    let refused = fixture.other_account().cancel(&id).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
    assert_eq!(fixture.account.delivery(&id).await.unwrap().status(), DeliveryStatus::Queued);
}
