//! `VerifySender`.

use frontdesk_testkit::{Mode, on_both_modes, reason};
use tonic::Code;

use crate::fixture::{ADDRESS, Fixture, other_than, twenty_at_once};

on_both_modes!(
    t5_an_address_is_verified_by_the_code_mailed_to_it,
    t5_five_wrong_tries_use_a_code_up_across_calls,
    t5_twenty_wrong_tries_at_once_use_a_code_up,
    t5_a_code_is_not_valid_after_a_day,
    s2_another_accounts_sender_cannot_be_verified,
);

/// A sender that is not verified, and its code.
async fn new_sender(fixture: &Fixture) -> (String, String) {
    let created = fixture.account.create_sender(ADDRESS, "1").await.unwrap();
    (created.sender.unwrap().id, fixture.code(&created.delivery_id).await)
}

async fn t5_an_address_is_verified_by_the_code_mailed_to_it(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (id, code) = new_sender(&fixture).await;
    let refused = fixture.account.verify_sender(&id, other_than(&code)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "CODE_WRONG"));
    for _ in 0..2 {
        assert!(fixture.account.verify_sender(&id, &code).await.unwrap().verified);
    }
    let again = fixture.account.create_sender("Team@ACME.example", "2").await.unwrap();
    assert_eq!((again.sender.unwrap().id, again.delivery_id.as_str()), (id, ""), "verified: no new code");
}

async fn t5_five_wrong_tries_use_a_code_up_across_calls(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (id, code) = new_sender(&fixture).await;
    for _ in 0..5 {
        assert!(fixture.account.verify_sender(&id, other_than(&code)).await.is_err());
    }
    let refused = fixture.account.verify_sender(&id, &code).await.unwrap_err();
    assert_eq!(reason(&refused), "CODE_WRONG");
}

async fn t5_twenty_wrong_tries_at_once_use_a_code_up(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (id, code) = new_sender(&fixture).await;
    let (account, sender, wrong) = (fixture.account.clone(), id.clone(), other_than(&code));
    let verified = twenty_at_once(move |_| {
        let (account, sender) = (account.clone(), sender.clone());
        async move { account.verify_sender(&sender, wrong).await.is_ok() }
    })
    .await;
    assert!(!verified.contains(&true));
    assert_eq!(reason(&fixture.account.verify_sender(&id, &code).await.unwrap_err()), "CODE_WRONG");
}

async fn t5_a_code_is_not_valid_after_a_day(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (id, code) = new_sender(&fixture).await;
    fixture.service.clock.advance(std::time::Duration::from_secs(24 * 3600)).unwrap();
    assert_eq!(reason(&fixture.account.verify_sender(&id, &code).await.unwrap_err()), "CODE_WRONG");
}

async fn s2_another_accounts_sender_cannot_be_verified(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (id, code) = new_sender(&fixture).await;
    let refused = fixture.other_account().verify_sender(&id, &code).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
    assert!(!fixture.account.list_senders().await[0].verified);
}
