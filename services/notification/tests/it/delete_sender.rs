//! `DeleteSender`.

use frontdesk_proto::notification::v1::DeleteSenderRequest;
use frontdesk_testkit::{Mode, new_id, on_both_modes, reason, request_id};
use tonic::{Code, Status};

use crate::fixture::{ADDRESS, Account, Fixture, twenty_at_once};

on_both_modes!(
    t5_a_deleted_sender_is_not_listed_and_its_address_must_be_verified_again,
    t5_an_unknown_sender_cannot_be_deleted,
    t5_twenty_delete_one_sender_at_once,
    s2_another_accounts_sender_cannot_be_deleted,
);

async fn delete(account: &Account, id: &str) -> Result<(), Status> {
    account.senders().delete_sender(DeleteSenderRequest { sender_id: id.into() }).await.map(drop)
}

async fn t5_a_deleted_sender_is_not_listed_and_its_address_must_be_verified_again(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let sender = fixture.verified_fallback(ADDRESS).await;
    // Deleting it again changes nothing.
    for _ in 0..2 {
        delete(&fixture.account, &sender.id).await.unwrap();
        assert!(fixture.account.list_senders().await.is_empty());
    }
    let refused = fixture.account.set_fallback(&sender.id).await.unwrap_err();
    assert_eq!(reason(&refused), "NOT_FOUND");
    let added = fixture.account.create_sender(ADDRESS, &request_id()).await.unwrap().sender.unwrap();
    assert!(added.id != sender.id && !added.verified && !added.fallback);
}

async fn t5_an_unknown_sender_cannot_be_deleted(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let refused = delete(&fixture.account, &new_id().to_string()).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}

async fn t5_twenty_delete_one_sender_at_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let sender = fixture.verified_fallback(ADDRESS).await;
    let account = fixture.account.clone();
    let deleted = twenty_at_once(move |_| {
        let (account, id) = (account.clone(), sender.id.clone());
        async move { delete(&account, &id).await.is_ok() }
    })
    .await;
    assert!(!deleted.contains(&false));
    assert!(fixture.account.list_senders().await.is_empty());
}

async fn s2_another_accounts_sender_cannot_be_deleted(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let sender = fixture.verified_fallback(ADDRESS).await;
    let refused = delete(&fixture.other_account(), &sender.id).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
    assert_eq!(fixture.account.list_senders().await, [sender]);
}
