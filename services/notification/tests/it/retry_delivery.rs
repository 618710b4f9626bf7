//! `RetryDelivery`.

use std::time::Duration;

use frontdesk_notification::NotificationSettings;
use frontdesk_proto::notification::v1::DeliveryStatus;
use frontdesk_testkit::{Mode, on_both_modes, reason};
use tonic::Code;

use crate::{
    chat::Chat,
    fixture::{ADDRESS, Fixture, smtp, twenty_at_once},
    mail_server::MailServer,
};

const HOUR: Duration = Duration::from_secs(3600);

on_both_modes!(
    t8_a_retry_of_a_failed_delivery_sends_the_same_mail,
    t5_t8_a_retry_composes_a_transcript_anew_under_its_message_id,
    t8_a_retry_of_a_queued_delivery_changes_nothing,
    t8_a_sent_delivery_cannot_be_retried,
    t8_twenty_retries_at_once_send_one_mail,
    s4_retries_are_limited_per_recipient_and_per_agent,
    s2_another_accounts_delivery_cannot_be_retried,
);

/// A delivery of a code, through a mail server.
async fn deliver(mode: Mode, server: &MailServer) -> (Fixture, String) {
    let fixture = Fixture::start_with(mode, smtp(server.port, HOUR)).await;
    let id = fixture.account.create_sender(ADDRESS, "1").await.unwrap().delivery_id;
    (fixture, id)
}

async fn t8_a_retry_of_a_failed_delivery_sends_the_same_mail(mode: Mode) {
    let server = MailServer::start(&["550 no", "250 ok"]).await;
    let (fixture, id) = deliver(mode, &server).await;
    let failed = fixture.account.wait_for_status(&id, DeliveryStatus::Failed).await;
    assert_eq!(fixture.account.retry(&id).await.unwrap().status(), DeliveryStatus::Queued);
    let sent = fixture.account.wait_for_status(&id, DeliveryStatus::Sent).await;
    assert_eq!((sent.mail_message_id, sent.attempt_count), (failed.mail_message_id, 2));
}

async fn t5_t8_a_retry_composes_a_transcript_anew_under_its_message_id(mode: Mode) {
    let server = MailServer::start(&["550 no", "250 ok"]).await;
    let chat = Chat::closed_with(mode, smtp(server.port, HOUR)).await;
    let failed = chat.deliver_until(DeliveryStatus::Failed).await;
    let first = server.last_mail();
    // The channel is given a name, and the account another sender.
    chat.change(|answers| answers.channel.name = "Acme Support".into());
    chat.fixture.execute("UPDATE senders SET address = 'desk@other.example'").await;
    chat.account().retry(&failed.id).await.unwrap();
    let sent = chat.account().wait_for_status(&failed.id, DeliveryStatus::Sent).await;
    let second = server.last_mail();
    assert!(second.contains("desk@other.example") && second.contains("Acme Support") && !first.contains("Support"));
    assert_eq!(sent.mail_message_id, failed.mail_message_id);
    assert!(first.contains(&sent.mail_message_id) && second.contains(&sent.mail_message_id), "{second}");
}

async fn t8_a_retry_of_a_queued_delivery_changes_nothing(mode: Mode) {
    let server = MailServer::start(&["451 later", "250 ok"]).await;
    let (fixture, id) = deliver(mode, &server).await;
    let queued = |delivery: &frontdesk_proto::notification::v1::Delivery| {
        delivery.status() == DeliveryStatus::Queued && delivery.attempt_count == 1
    };
    let waiting = fixture.account.wait_for_delivery(&id, queued).await;
    assert_eq!(fixture.account.retry(&id).await.unwrap(), waiting);
    assert_eq!(fixture.account.delivery(&id).await.unwrap(), waiting);
}

async fn t8_a_sent_delivery_cannot_be_retried(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let id = fixture.account.create_sender(ADDRESS, "1").await.unwrap().delivery_id;
    let sent = fixture.account.wait_for_status(&id, DeliveryStatus::Sent).await;
    let refused = fixture.account.retry(&id).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "DELIVERY_STATUS"));
    assert_eq!(fixture.account.delivery(&id).await.unwrap(), sent);
}

async fn t8_twenty_retries_at_once_send_one_mail(mode: Mode) {
    let server = MailServer::start(&["550 no", "250 ok"]).await;
    let (fixture, id) = deliver(mode, &server).await;
    fixture.account.wait_for_status(&id, DeliveryStatus::Failed).await;
    let (account, delivery) = (fixture.account.clone(), id.clone());
    let retried = twenty_at_once(move |_| {
        let (account, delivery) = (account.clone(), delivery.clone());
        async move { account.retry(&delivery).await }
    })
    .await;
    // A retry after the mail is being sent is refused.
    assert!(retried.iter().any(Result::is_ok));
    assert!(
        retried.iter().filter_map(|retry| retry.as_ref().err()).all(|refused| reason(refused) == "DELIVERY_STATUS")
    );
    let sent = fixture.account.wait_for_status(&id, DeliveryStatus::Sent).await;
    assert_eq!((sent.attempt_count, server.mails()), (2, 2));
}

async fn s4_retries_are_limited_per_recipient_and_per_agent(mode: Mode) {
    let server = MailServer::start(&["550 no"; 20]).await;
    let settings = NotificationSettings {
        manual_per_recipient_per_hour: 2,
        manual_per_agent_per_hour: 3,
        ..smtp(server.port, HOUR)
    };
    let fixture = Fixture::start_with(mode, settings).await;
    let account = &fixture.account;
    let first = account.create_sender(ADDRESS, "1").await.unwrap().delivery_id;
    let second = account.create_sender("second@acme.example", "2").await.unwrap().delivery_id;
    let retry = async |id: &str, limit: Option<&str>| {
        account.wait_for_status(id, DeliveryStatus::Failed).await;
        match (account.retry(id).await, limit) {
            (Ok(_), None) => {}
            (Err(refused), Some(limit)) => {
                assert_eq!((refused.code(), reason(&refused).as_str()), (Code::ResourceExhausted, "MAIL_LIMIT"));
                assert!(refused.message().contains(limit), "{refused:?}");
                assert_eq!(account.delivery(id).await.unwrap().status(), DeliveryStatus::Failed);
            }
            (retried, limit) => panic!("{limit:?}: {retried:?}"),
        }
    };
    for limit in [None, None, Some("to this address")] {
        retry(&first, limit).await;
    }
    for limit in [None, Some("by you")] {
        retry(&second, limit).await;
    }
    account.wait_for_status(&second, DeliveryStatus::Failed).await;
    assert_eq!(server.mails(), 5);
    fixture.service.clock.advance(Duration::from_secs(3601)).unwrap();
    retry(&first, None).await;
    assert_eq!(fixture.count("FROM delivery_retries").await, 1, "those of the hour before are forgotten");
}

async fn s2_another_accounts_delivery_cannot_be_retried(mode: Mode) {
    let server = MailServer::start(&["550 no"]).await;
    let (fixture, id) = deliver(mode, &server).await;
    let failed = fixture.account.wait_for_status(&id, DeliveryStatus::Failed).await;
    let refused = fixture.other_account().retry(&id).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
    assert_eq!(fixture.account.delivery(&id).await.unwrap(), failed);
}
