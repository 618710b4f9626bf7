//! `CreateSender`.

use std::time::Duration;

use frontdesk_notification::NotificationSettings;
use frontdesk_testkit::{Mode, on_both_modes, reason};
use tonic::Code;
use tonic_types::StatusExt;

use crate::fixture::{ADDRESS, Fixture, twenty_at_once};

on_both_modes!(
    t5_a_new_sender_is_not_verified_and_is_mailed_a_code,
    c12_a_repeated_request_mails_one_code,
    s4_an_odd_address_is_refused,
    t5_a_sender_at_an_internationalised_host_is_stored_in_ascii,
    s4_five_codes_an_hour_are_enough_for_an_address,
    s4_codes_are_limited_per_administrator_and_per_account,
    s4_twenty_create_one_address_at_once_and_there_is_one_sender,
    s4_twenty_addresses_at_once_stay_within_the_limit_of_the_account,
    s2_the_same_address_in_another_account_is_another_sender,
);

async fn t5_a_new_sender_is_not_verified_and_is_mailed_a_code(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let created = fixture.account.create_sender(ADDRESS, "1").await.unwrap();
    let sender = created.sender.unwrap();
    assert_eq!((sender.email.as_str(), sender.display_name.as_str()), (ADDRESS, "Acme"));
    assert!(!sender.verified && !sender.fallback);
    assert_eq!(fixture.code(&created.delivery_id).await.len(), 8);
    assert_eq!(fixture.account.list_senders().await, [sender]);
}

async fn c12_a_repeated_request_mails_one_code(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let first = fixture.account.create_sender(ADDRESS, "1").await.unwrap();
    let second = fixture.account.create_sender(ADDRESS, "1").await.unwrap();
    assert_eq!(first, second);
    assert_eq!(fixture.account.list_deliveries().await.len(), 1);
    let other = fixture.account.create_sender("other@acme.example", "1").await.unwrap_err();
    assert_eq!(reason(&other), "REQUEST_ID_REUSED");
}

async fn s4_an_odd_address_is_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let refused = fixture.account.create_sender("odd%x@acme.example", "1").await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let violations = refused.get_details_bad_request().unwrap().field_violations;
    assert_eq!(violations[0].field, "email");
    assert!(fixture.account.list_senders().await.is_empty());
}

async fn t5_a_sender_at_an_internationalised_host_is_stored_in_ascii(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let created = fixture.account.create_sender(" Nina@müller.example\u{200B}", "1").await.unwrap();
    let sender = created.sender.unwrap();
    assert_eq!(sender.email, "Nina@xn--mller-kva.example");
    assert_eq!(fixture.code(&created.delivery_id).await.len(), 8);
    let same = fixture.account.create_sender("nina@xn--mller-kva.example", "2").await.unwrap().sender.unwrap();
    assert_eq!(same.id, sender.id);
}

async fn s4_five_codes_an_hour_are_enough_for_an_address(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    for number in 0..5 {
        fixture.account.create_sender(ADDRESS, &number.to_string()).await.unwrap();
    }
    let refused = fixture.account.create_sender(ADDRESS, "6").await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::ResourceExhausted, "MAIL_LIMIT"));
    let retry_after = refused.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!(retry_after > Duration::from_secs(3500) && retry_after <= Duration::from_secs(3600), "{retry_after:?}");
    fixture.service.clock.advance(retry_after + Duration::from_secs(1)).unwrap();
    fixture.account.create_sender(ADDRESS, "7").await.unwrap();
}

async fn s4_codes_are_limited_per_administrator_and_per_account(mode: Mode) {
    let settings = NotificationSettings {
        codes_per_caller_per_hour: 3,
        codes_per_account_per_hour: 5,
        ..NotificationSettings::default()
    };
    let fixture = Fixture::start_with(mode, settings).await;
    let (first, second) = (fixture.account.clone(), fixture.colleagues());
    for (number, admin) in [&first, &first, &first, &second, &second].into_iter().enumerate() {
        admin.create_sender(&format!("a{number}@acme.example"), &number.to_string()).await.unwrap();
    }
    for admin in [&first, &second] {
        let refused = admin.create_sender("more@acme.example", "more").await.unwrap_err();
        assert!(refused.message().contains("of this account"), "{refused:?}");
    }
    assert_eq!(first.list_senders().await.len(), 5, "the refused address is not added");
    fixture.service.clock.advance(Duration::from_secs(3601)).unwrap();
    for number in 10..13 {
        first.create_sender(&format!("a{number}@acme.example"), &number.to_string()).await.unwrap();
    }
    let refused = first.create_sender("a13@acme.example", "13").await.unwrap_err();
    assert!(refused.message().contains("of this administrator"), "{refused:?}");
}

async fn s4_twenty_create_one_address_at_once_and_there_is_one_sender(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let account = fixture.account.clone();
    let created = twenty_at_once(move |number| {
        let account = account.clone();
        async move { account.create_sender(ADDRESS, &number.to_string()).await.is_ok() }
    })
    .await;
    assert_eq!(created.into_iter().filter(|created| *created).count(), 5, "the limit of codes holds");
    assert_eq!(fixture.account.list_senders().await.len(), 1);
}

async fn s4_twenty_addresses_at_once_stay_within_the_limit_of_the_account(mode: Mode) {
    let settings = NotificationSettings { codes_per_account_per_hour: 3, ..NotificationSettings::default() };
    let fixture = Fixture::start_with(mode, settings).await;
    let account = fixture.account.clone();
    let created = twenty_at_once(move |number| {
        let account = account.clone();
        async move { account.create_sender(&format!("a{number}@acme.example"), &number.to_string()).await.is_ok() }
    })
    .await;
    assert_eq!(created.into_iter().filter(|created| *created).count(), 3);
    assert_eq!(fixture.account.list_senders().await.len(), 3);
}

async fn s2_the_same_address_in_another_account_is_another_sender(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let other = fixture.other_account();
    let first = fixture.account.create_sender(ADDRESS, "1").await.unwrap().sender.unwrap();
    let second = other.create_sender(ADDRESS, "1").await.unwrap().sender.unwrap();
    assert_ne!(first.id, second.id);
    assert_eq!(other.list_senders().await, [second]);
}
