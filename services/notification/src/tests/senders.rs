use std::time::Duration;

use frontdesk_auth::{Caller, CallerKind};
use frontdesk_db::AccountId;
use uuid::Uuid;

use super::{Suite, key};
use crate::{
    NotificationSettings,
    commands::{self, CreateSender},
    composition,
    domain::{Sender, State},
    error::NotificationError,
    queries,
};

const ADDRESS: &str = "team@acme.example";

async fn create(
    suite: &Suite,
    caller: &Caller,
    request_id: &str,
    address: &str,
) -> Result<(Sender, Option<Uuid>), NotificationError> {
    let command = CreateSender { address: address.into(), display_name: "Acme".into() };
    commands::create_sender(&suite.app, caller, &key(caller, request_id, address), command).await
}

/// Reads the code from the newest mail in the mailbox.
async fn code(suite: &Suite) -> String {
    suite.work_until(async || suite.deliveries().await.iter().all(|delivery| delivery.state == State::Sent)).await;
    let mail = suite.mailbox().pop().unwrap();
    mail.lines()
        .map(str::trim)
        .find(|line| line.len() == 8 && line.chars().all(|char| char.is_ascii_digit()))
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn t5_an_address_is_verified_by_the_code_mailed_to_it() {
    let suite = Suite::start().await;
    let admin = suite.caller(CallerKind::Admin);
    let (sender, delivery) = create(&suite, &admin, "1", ADDRESS).await.unwrap();
    assert!(!sender.verified && delivery.is_some());
    let code = code(&suite).await;
    let wrong = if code == "00000000" { "00000001" } else { "00000000" };
    let refused = commands::verify_sender(&suite.app, &admin, sender.id, wrong).await;
    assert!(matches!(refused, Err(NotificationError::CodeWrong)));
    for _ in 0..2 {
        assert!(commands::verify_sender(&suite.app, &admin, sender.id, &code).await.unwrap().verified);
    }
    let (again, delivery) = create(&suite, &admin, "2", "Team@ACME.example").await.unwrap();
    assert_eq!((again.id, delivery), (sender.id, None), "verified: no new code");
}

#[tokio::test]
async fn t5_five_wrong_tries_use_a_code_up_across_calls() {
    let suite = Suite::start().await;
    let admin = suite.caller(CallerKind::Admin);
    let (sender, _) = create(&suite, &admin, "1", ADDRESS).await.unwrap();
    let code = code(&suite).await;
    let wrong = if code == "00000000" { "00000001" } else { "00000000" };
    for _ in 0..5 {
        assert!(commands::verify_sender(&suite.app, &admin, sender.id, wrong).await.is_err());
    }
    let refused = commands::verify_sender(&suite.app, &admin, sender.id, &code).await;
    assert!(matches!(refused, Err(NotificationError::CodeWrong)));
}

#[tokio::test]
async fn c12_a_repeated_request_mails_one_code() {
    let suite = Suite::start().await;
    let admin = suite.caller(CallerKind::Admin);
    let first = create(&suite, &admin, "1", ADDRESS).await.unwrap();
    let second = create(&suite, &admin, "1", ADDRESS).await.unwrap();
    assert_eq!((first.0.id, first.1), (second.0.id, second.1));
    assert_eq!(suite.deliveries().await.len(), 1);
    let other = create(&suite, &admin, "1", "other@acme.example").await;
    assert!(matches!(other, Err(NotificationError::RequestIdReused)));
}

#[tokio::test]
async fn s4_five_codes_an_hour_are_enough_for_an_address() {
    let suite = Suite::start().await;
    let admin = suite.caller(CallerKind::Admin);
    for number in 0..5 {
        create(&suite, &admin, &number.to_string(), ADDRESS).await.unwrap();
    }
    let refused = create(&suite, &admin, "6", ADDRESS).await;
    let Err(NotificationError::MailLimit { retry_after, .. }) = refused else { panic!("{refused:?}") };
    assert!(retry_after > Duration::from_secs(3500) && retry_after <= Duration::from_secs(3600));
    suite.clock.advance(retry_after + Duration::from_secs(1)).unwrap();
    create(&suite, &admin, "7", ADDRESS).await.unwrap();
}

#[tokio::test]
async fn s4_codes_to_ever_other_addresses_end_for_the_administrator_and_for_the_account() {
    let settings = NotificationSettings {
        codes_per_caller_per_hour: 3,
        codes_per_account_per_hour: 5,
        ..NotificationSettings::default()
    };
    let suite = Suite::with(settings).await;
    let (first, second) = (suite.caller(CallerKind::Admin), suite.caller(CallerKind::Admin));
    for (number, admin) in [&first, &first, &first, &second, &second].into_iter().enumerate() {
        create(&suite, admin, &number.to_string(), &format!("a{number}@acme.example")).await.unwrap();
    }
    for (admin, whose) in [(&first, "account"), (&second, "account")] {
        let refused = create(&suite, admin, "more", "more@acme.example").await;
        let Err(NotificationError::MailLimit { which, retry_after }) = refused else { panic!("{refused:?}") };
        assert!(which.contains(whose) && retry_after > Duration::from_secs(3500), "{which}");
    }
    // A refused address was not added, and an hour later there is room again.
    assert_eq!(queries::list_senders(&suite.app, &first).await.unwrap().len(), 5);
    suite.clock.advance(Duration::from_secs(3601)).unwrap();
    for number in 10..13 {
        create(&suite, &first, &number.to_string(), &format!("a{number}@acme.example")).await.unwrap();
    }
    let refused = create(&suite, &first, "13", "a13@acme.example").await.unwrap_err();
    assert!(refused.to_string().contains("administrator"), "{refused}");
    let status = tonic::Status::from(refused);
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
}

#[tokio::test]
async fn twenty_create_one_address_at_once_and_there_is_one_sender() {
    let suite = Suite::start().await;
    let admin = suite.caller(CallerKind::Admin);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..20 {
        let (app, admin) = (suite.app.clone(), admin.clone());
        tasks.spawn(async move {
            let command = CreateSender { address: ADDRESS.into(), display_name: String::new() };
            let key = key(&admin, &number.to_string(), ADDRESS);
            commands::create_sender(&app, &admin, &key, command).await.is_ok()
        });
    }
    let created = tasks.join_all().await.into_iter().filter(|created| *created).count();
    assert_eq!(created, 5, "the limit of codes holds at once too");
    assert_eq!(queries::list_senders(&suite.app, &admin).await.unwrap().len(), 1);
}

#[tokio::test]
async fn t5_one_fallback_and_a_chosen_sender_never_falls_back() {
    let suite = Suite::start().await;
    let admin = suite.caller(CallerKind::Admin);
    let none = composition::sender(suite.app.db.read(), suite.account, None).await.unwrap();
    assert!(none.unwrap_err().contains("no sender address"));

    let mut senders = Vec::new();
    for address in ["a@acme.example", "b@acme.example"] {
        let (sender, _) = create(&suite, &admin, address, address).await.unwrap();
        let refused = commands::set_fallback_sender(&suite.app, &admin, sender.id).await;
        assert!(matches!(refused, Err(NotificationError::SenderNotVerified)));
        let unverified = composition::sender(suite.app.db.read(), suite.account, Some(sender.id)).await.unwrap();
        assert!(unverified.unwrap_err().contains("not verified"));
        let code = code(&suite).await;
        std::fs::remove_dir_all(suite.folder.path().join("mailbox")).unwrap();
        commands::verify_sender(&suite.app, &admin, sender.id, &code).await.unwrap();
        commands::set_fallback_sender(&suite.app, &admin, sender.id).await.unwrap();
        senders.push(sender.id);
    }
    let listed = queries::list_senders(&suite.app, &admin).await.unwrap();
    let fallbacks: Vec<Uuid> = listed.iter().filter(|sender| sender.fallback).map(|sender| sender.id).collect();
    assert_eq!(fallbacks, [senders[1]]);

    for _ in 0..2 {
        commands::delete_sender(&suite.app, &admin, senders[0]).await.unwrap();
    }
    let deleted = composition::sender(suite.app.db.read(), suite.account, Some(senders[0])).await.unwrap();
    assert!(deleted.unwrap_err().contains("was deleted"));
    let fallback = composition::sender(suite.app.db.read(), suite.account, None).await.unwrap().unwrap();
    assert_eq!(fallback.id, senders[1]);
    // A deleted address can be added again, and is to be verified again.
    let (anew, _) = create(&suite, &admin, "anew", "a@acme.example").await.unwrap();
    assert!(anew.id != senders[0] && !anew.verified);
}

#[tokio::test]
async fn s2_another_accounts_sender_is_not_there() {
    let suite = Suite::start().await;
    let admin = suite.caller(CallerKind::Admin);
    let (sender, _) = create(&suite, &admin, "1", ADDRESS).await.unwrap();
    let stranger = Caller { account: AccountId(frontdesk_clock::testing::new_id()), ..admin };
    assert!(matches!(
        commands::delete_sender(&suite.app, &stranger, sender.id).await,
        Err(NotificationError::NotFound(_))
    ));
    let refused = commands::verify_sender(&suite.app, &stranger, sender.id, "00000000").await;
    assert!(matches!(refused, Err(NotificationError::NotFound(_))));
    assert!(queries::list_senders(&suite.app, &stranger).await.unwrap().is_empty());
}
