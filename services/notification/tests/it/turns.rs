//! Accounts and domains take turns, and mails share connections and transactions.

use std::{collections::HashSet, time::Duration};

use frontdesk_notification::{NotificationSettings, SmtpSettings};
use frontdesk_proto::{event::v1::DeliverySent, notification::v1::DeliveryStatus};
use frontdesk_testkit::{Mode, new_id, on_both_modes, wait_for};

use crate::{
    fixture::{Account, Fixture, smtp},
    mail_server::MailServer,
};

const HOUR: Duration = Duration::from_secs(3600);

on_both_modes!(
    r18_mails_to_a_domain_that_hangs_delay_no_other_domain,
    t8_an_account_with_many_mails_leaves_every_other_turn_to_another,
    t8_mails_that_are_accepted_together_are_each_sent_and_recorded_once,
    t8_a_mail_that_is_not_stored_any_more_fails_and_the_next_one_is_sent,
);

/// Settings with this mail server, without limits of codes.
fn unlimited(port: u16) -> NotificationSettings {
    NotificationSettings {
        codes_per_account_per_hour: 1_000,
        codes_per_caller_per_hour: 1_000,
        codes_per_sender_per_hour: 1_000,
        ..smtp(port, HOUR)
    }
}

/// Queues a mail to each of these addresses. Returns the deliveries.
async fn queue(account: &Account, addresses: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut deliveries = Vec::new();
    for address in addresses {
        deliveries.push(account.create_sender(&address, &new_id().to_string()).await.unwrap().delivery_id);
    }
    deliveries
}

async fn r18_mails_to_a_domain_that_hangs_delay_no_other_domain(mode: Mode) {
    let server = MailServer::start_hanging_for("slow.example").await;
    let settings = unlimited(server.port);
    let smtp = SmtpSettings { timeout: Duration::from_secs(30), ..settings.smtp };
    let settings = NotificationSettings { smtp, deliveries_at_once: 4, deliveries_per_domain: 2, ..settings };
    let fixture = Fixture::start_with(mode, settings).await;
    let slow = queue(&fixture.account, (0..6).map(|number| format!("{number}@slow.example"))).await;
    let other = fixture.other_account();
    let also_slow = queue(&other, ["x@slow.example".to_owned()]).await;
    // More of them than slots: each gives its own back.
    let fast = queue(&fixture.account, (0..8).map(|number| format!("{number}@fast.example"))).await;
    let fast_of_other = queue(&other, ["x@fast.example".to_owned()]).await;
    for (account, deliveries) in [(&fixture.account, &fast), (&other, &fast_of_other)] {
        for id in deliveries {
            assert_eq!(account.wait_for_status(id, DeliveryStatus::Sent).await.attempt_count, 1);
        }
    }
    let mut statuses = Vec::new();
    for (account, deliveries) in [(&fixture.account, &slow), (&other, &also_slow)] {
        for id in deliveries {
            statuses.push(account.delivery(id).await.unwrap().status());
        }
    }
    let sending = statuses.iter().filter(|status| **status == DeliveryStatus::Sending).count();
    let queued = statuses.iter().filter(|status| **status == DeliveryStatus::Queued).count();
    assert_eq!((sending, queued), (2, 5), "{statuses:?}");
}

async fn t8_an_account_with_many_mails_leaves_every_other_turn_to_another(mode: Mode) {
    // The only slot is taken while the mails are queued.
    let server = MailServer::start_hanging("MAIL").await;
    let settings = unlimited(server.port);
    let smtp = SmtpSettings { timeout: Duration::from_secs(5), ..settings.smtp };
    let fixture = Fixture::start_with(mode, NotificationSettings { smtp, deliveries_at_once: 1, ..settings }).await;
    let many = queue(&fixture.account, (0..20).map(|number| format!("{number}@acme.example"))).await;
    let other = fixture.other_account();
    let few = queue(&other, ["first@other.example".to_owned(), "second@other.example".to_owned()]).await;
    for id in &few {
        other.wait_for_status(id, DeliveryStatus::Sent).await;
    }
    for id in &many[1..] {
        fixture.account.wait_for_status(id, DeliveryStatus::Sent).await;
    }
    let place = |address| server.mails_before(address).unwrap();
    let places = [place("first@other.example"), place("second@other.example")];
    // The turns of an account that comes anew begin within a second, in which others may be sent.
    assert!(places[0] < places[1] && places[1] <= places[0] + 2, "{places:?}");
}

async fn t8_mails_that_are_accepted_together_are_each_sent_and_recorded_once(mode: Mode) {
    let server = MailServer::start(&["250 ok"; 64]).await;
    let settings = NotificationSettings { deliveries_at_once: 8, deliveries_per_domain: 16, ..unlimited(server.port) };
    let fixture = Fixture::start_with(mode, settings).await;
    let mut queues = tokio::task::JoinSet::new();
    for number in 0..30 {
        let account = if number % 2 == 0 { fixture.account.clone() } else { fixture.colleagues() };
        queues.spawn(async move { queue(&account, [format!("{number}@acme.example")]).await });
    }
    let deliveries: HashSet<String> = queues.join_all().await.into_iter().flatten().collect();
    for id in &deliveries {
        let delivery = fixture.account.wait_for_status(id, DeliveryStatus::Sent).await;
        assert_eq!((delivery.attempt_count, delivery.last_response.as_str()), (1, "250 ok"));
        assert!(delivery.send_time.is_some() && delivery.failure.is_empty(), "{delivery:?}");
    }
    assert_eq!((deliveries.len(), server.mails()), (30, 30));
    let events = fixture.service.appended::<DeliverySent>().await;
    let sent: HashSet<String> = events.iter().map(|event| event.delivery_id.clone()).collect();
    assert_eq!((events.len(), sent), (30, deliveries));
    assert_eq!(fixture.count("FROM delivery_mails").await, 0);
    assert_eq!(fixture.count("FROM deliveries WHERE leased").await, 0);
}

async fn t8_a_mail_that_is_not_stored_any_more_fails_and_the_next_one_is_sent(mode: Mode) {
    let server = MailServer::start_hanging("MAIL").await;
    let settings = unlimited(server.port);
    let smtp = SmtpSettings { timeout: Duration::from_secs(3), ..settings.smtp };
    let settings = NotificationSettings { smtp, deliveries_at_once: 1, ..settings };
    let fixture = Fixture::start_with(mode, settings).await;
    // Takes the slot until the others are as they should be.
    queue(&fixture.account, ["hangs@acme.example".to_owned()]).await;
    wait_for("the attempt", || async {
        (fixture.count("FROM deliveries WHERE state = 'SENDING'").await == 1).then_some(())
    })
    .await;
    let deliveries = queue(&fixture.account, ["gone", "sent"].map(|name| format!("{name}@acme.example"))).await;
    let gone = fixture.uuid(&deliveries[0]);
    fixture.execute(&format!("DELETE FROM delivery_mails WHERE delivery_id = {gone}")).await;
    let failed = fixture.account.wait_for_status(&deliveries[0], DeliveryStatus::Failed).await;
    assert!(failed.failure.contains("CreateSender") && failed.attempt_count == 0, "{failed:?}");
    fixture.account.wait_for_status(&deliveries[1], DeliveryStatus::Sent).await;
    assert_eq!(server.mails(), 1);
}
