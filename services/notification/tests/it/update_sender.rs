//! `UpdateSender`.

use frontdesk_proto::notification::v1::{DeleteSenderRequest, Sender, UpdateSenderRequest};
use frontdesk_testkit::{Mode, new_id, on_both_modes, reason};
use tonic::{Code, Status};

use crate::fixture::{ADDRESS, Account, Fixture, other_than, twenty_at_once};

on_both_modes!(
    t5_the_name_of_a_sender_is_changed_and_cleared,
    c12_a_repeated_update_succeeds_with_its_old_etag_and_changes_nothing,
    t5_an_update_of_a_sender_that_was_edited_since_is_refused,
    t5_of_twenty_updates_with_one_etag_one_takes_effect,
    t5_codes_do_not_change_a_sender,
    t5_a_sender_has_addresses_for_replies_and_for_those_who_want_no_more,
    t5_an_unknown_or_deleted_sender_cannot_be_updated,
    s2_another_accounts_sender_cannot_be_updated,
);

/// Changes the name shown beside the address.
async fn rename(account: &Account, sender: &Sender, name: &str, etag: &str) -> Result<Sender, Status> {
    let request = UpdateSenderRequest {
        sender_id: sender.id.clone(),
        display_name: Some(name.into()),
        etag: etag.into(),
        ..UpdateSenderRequest::default()
    };
    Ok(account.senders().update_sender(request).await?.into_inner().sender.unwrap())
}

async fn created(fixture: &Fixture) -> Sender {
    fixture.account.create_sender(ADDRESS, "1").await.unwrap().sender.unwrap()
}

async fn t5_the_name_of_a_sender_is_changed_and_cleared(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let sender = created(&fixture).await;
    assert_eq!((sender.version, sender.update_time), (1, sender.create_time));
    fixture.service.clock.advance(std::time::Duration::from_secs(1)).unwrap();
    let renamed = rename(&fixture.account, &sender, "Acme support", &sender.etag).await.unwrap();
    assert_eq!((renamed.display_name.as_str(), renamed.version), ("Acme support", 2));
    assert!(renamed.etag != sender.etag && renamed.create_time == sender.create_time, "{renamed:?}");
    assert!(renamed.update_time.unwrap().seconds > sender.update_time.unwrap().seconds, "{renamed:?}");
    assert_eq!(fixture.account.list_senders().await[0], renamed);

    let unset = UpdateSenderRequest { sender_id: sender.id.clone(), ..UpdateSenderRequest::default() };
    let unchanged = fixture.account.senders().update_sender(unset).await.unwrap().into_inner().sender.unwrap();
    assert_eq!(unchanged, renamed);
    assert_eq!(rename(&fixture.account, &sender, "", "").await.unwrap().display_name, "");
    assert_eq!(fixture.account.list_senders().await[0].display_name, "");
}

async fn c12_a_repeated_update_succeeds_with_its_old_etag_and_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let sender = created(&fixture).await;
    let first = rename(&fixture.account, &sender, "Acme support", &sender.etag).await.unwrap();
    let repeated = rename(&fixture.account, &sender, "Acme support", &sender.etag).await.unwrap();
    assert_eq!(repeated, first);
}

async fn t5_an_update_of_a_sender_that_was_edited_since_is_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let sender = created(&fixture).await;
    let renamed = rename(&fixture.account, &sender, "Acme support", &sender.etag).await.unwrap();
    let refused = rename(&fixture.account, &sender, "Acme sales", &sender.etag).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Aborted, "ETAG_MISMATCH"));
    assert_eq!(fixture.account.list_senders().await, [renamed]);
}

async fn t5_of_twenty_updates_with_one_etag_one_takes_effect(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let sender = created(&fixture).await;
    let account = fixture.account.clone();
    let renamed = twenty_at_once(move |number| {
        let (account, sender) = (account.clone(), sender.clone());
        async move { rename(&account, &sender, &format!("Acme {number}"), &sender.etag).await.ok() }
    })
    .await;
    let renamed: Vec<Sender> = renamed.into_iter().flatten().collect();
    assert_eq!(fixture.account.list_senders().await, renamed);
    assert_eq!((renamed.len(), renamed[0].version), (1, 2));
}

async fn t5_codes_do_not_change_a_sender(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let sender = created(&fixture).await;
    let again = fixture.account.create_sender(ADDRESS, "2").await.unwrap();
    assert_eq!(again.sender.unwrap(), sender);
    let code = fixture.code(&again.delivery_id).await;
    fixture.account.verify_sender(&sender.id, other_than(&code)).await.unwrap_err();
    assert_eq!(fixture.account.list_senders().await[0], sender);
    let verified = fixture.account.verify_sender(&sender.id, &code).await.unwrap();
    assert_eq!((verified.verified, verified.version), (true, 2));
    let fallback = fixture.account.set_fallback(&sender.id).await.unwrap();
    assert_eq!((fallback.fallback, fallback.version), (true, 3));
    let other = fixture.verified_fallback("other@acme.example").await;
    let senders = fixture.account.list_senders().await;
    assert_eq!((senders[0].version, senders[1].version, senders[1].fallback), (other.version, 4, false));
}

async fn t5_an_unknown_or_deleted_sender_cannot_be_updated(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let sender = created(&fixture).await;
    let request = DeleteSenderRequest { sender_id: sender.id.clone() };
    fixture.account.senders().delete_sender(request).await.unwrap();
    for sender in [Sender { id: new_id().to_string(), ..Sender::default() }, sender] {
        let refused = rename(&fixture.account, &sender, &sender.display_name, "").await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
    }
}

async fn s2_another_accounts_sender_cannot_be_updated(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let sender = created(&fixture).await;
    let refused = rename(&fixture.other_account(), &sender, "Eve", "").await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
    assert_eq!(fixture.account.list_senders().await, [sender]);
}

async fn t5_a_sender_has_addresses_for_replies_and_for_those_who_want_no_more(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let sender = created(&fixture).await;
    let update = async |reply_to: Option<&str>, unsubscribe: Option<&str>| {
        let request = UpdateSenderRequest {
            sender_id: sender.id.clone(),
            reply_to_email: reply_to.map(str::to_owned),
            unsubscribe_email: unsubscribe.map(str::to_owned),
            ..UpdateSenderRequest::default()
        };
        fixture.account.senders().update_sender(request).await
    };
    let set = update(Some("help@m\u{FC}ller.example"), Some("no@acme.example")).await.unwrap().into_inner();
    let set = set.sender.unwrap();
    assert_eq!((set.reply_to_email.as_str(), set.version), ("help@xn--mller-kva.example", 2));
    assert_eq!((set.unsubscribe_email.as_str(), set.display_name.as_str()), ("no@acme.example", "Acme"));
    let cleared = update(Some(""), None).await.unwrap().into_inner().sender.unwrap();
    assert_eq!((cleared.reply_to_email.as_str(), cleared.unsubscribe_email.as_str()), ("", "no@acme.example"));
    let refused = update(None, Some("no address")).await.unwrap_err();
    assert!(refused.code() == Code::InvalidArgument && refused.message().contains("unsubscribe_email"), "{refused:?}");
    assert_eq!(fixture.account.list_senders().await, [cleared]);
}
