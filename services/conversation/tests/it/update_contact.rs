//! `UpdateContact`: rules X1, X2.

use frontdesk_proto::conversation::v1::{UpdateContactRequest, contact_service_client::ContactServiceClient};
use frontdesk_testkit::{Mode, on_both_modes, reason};
use tonic::Code;

use crate::{
    create_contact::create,
    fixture::{Fixture, twenty},
};

on_both_modes!(
    x2_a_contact_changes_and_a_new_address_goes_first,
    x2_twenty_edits_of_one_etag_and_one_wins,
    x2_an_address_of_another_contact_is_refused,
    s2_another_accounts_contact_does_not_exist,
);

fn rename(contact: &str, name: &str, etag: &str) -> UpdateContactRequest {
    UpdateContactRequest {
        contact_id: contact.into(),
        name: Some(name.into()),
        etag: etag.into(),
        ..UpdateContactRequest::default()
    }
}

async fn x2_a_contact_changes_and_a_new_address_goes_first(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let contact = create(&fixture, "Vera", "vera@example.com").await;
    let request =
        UpdateContactRequest { email: Some("new@example.com".into()), ..rename(&contact.id, "Vera V.", &contact.etag) };
    let updated = fixture.contacts().update_contact(request).await.unwrap().into_inner().contact.unwrap();
    let addresses: Vec<_> = updated.emails.iter().map(|email| email.address.as_str()).collect();
    assert_eq!((updated.name.as_str(), addresses), ("Vera V.", vec!["new@example.com", "vera@example.com"]));
}

async fn x2_twenty_edits_of_one_etag_and_one_wins(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let contact = create(&fixture, "Vera", "vera@example.com").await;
    let edits = twenty(|n| {
        let (mut contacts, request) = (fixture.contacts(), rename(&contact.id, &format!("V{n}"), &contact.etag));
        async move { contacts.update_contact(request).await }
    });
    let refused: Vec<_> = edits.await.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 19);
    assert!(refused.iter().all(|status| status.code() == Code::Aborted && reason(status) == "ETAG_MISMATCH"));
}

async fn x2_an_address_of_another_contact_is_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let contact = create(&fixture, "Vera", "vera@example.com").await;
    create(&fixture, "Will", "will@example.com").await;
    let request = UpdateContactRequest { email: Some("will@example.com".into()), ..rename(&contact.id, "Vera", "") };
    let refused = fixture.contacts().update_contact(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "ADDRESS_TAKEN"));
}

async fn s2_another_accounts_contact_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let contact = create(&fixture, "Vera", "vera@example.com").await;
    let mut elsewhere = ContactServiceClient::new(fixture.in_another_account().as_agent());
    let refused = elsewhere.update_contact(rename(&contact.id, "X", "")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}
