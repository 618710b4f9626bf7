//! `CreateContact`: rules X1, X2, C12.

use frontdesk_proto::{
    conversation::v1::{
        Contact, CreateContactRequest, ListContactsRequest, contact_service_client::ContactServiceClient,
    },
    event::v1::ContactCreated,
};
use frontdesk_testkit::{Mode, on_both_modes, reason, request_id};
use tonic::Code;

use crate::fixture::{Fixture, twenty};

on_both_modes!(
    x1_an_agents_word_verifies_the_address_and_a_repeat_gets_the_first_answer,
    c12_twenty_repeats_at_once_create_one_contact,
    x2_an_address_belongs_to_one_contact_of_an_account,
);

pub fn request(name: &str, email: &str) -> CreateContactRequest {
    CreateContactRequest {
        name: name.into(),
        email: email.into(),
        request_id: request_id(),
        ..CreateContactRequest::default()
    }
}

pub async fn create(fixture: &Fixture, name: &str, email: &str) -> Contact {
    fixture.contacts().create_contact(request(name, email)).await.unwrap().into_inner().contact.unwrap()
}

async fn x1_an_agents_word_verifies_the_address_and_a_repeat_gets_the_first_answer(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let first = request("Vera", "Vera@Example.com");
    let mut contacts = fixture.contacts();
    let created = contacts.create_contact(first.clone()).await.unwrap().into_inner();
    assert_eq!(contacts.create_contact(first.clone()).await.unwrap().into_inner(), created);
    let other = contacts.create_contact(CreateContactRequest { name: "W".into(), ..first }).await.unwrap_err();
    assert_eq!(reason(&other), "REQUEST_ID_REUSED");
    let contact = created.contact.unwrap();
    assert_eq!((contact.emails[0].address.as_str(), contact.emails[0].verified), ("vera@example.com", true));
}

async fn c12_twenty_repeats_at_once_create_one_contact(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let request = request("Vera", "vera@example.com");
    let created = twenty(|_| {
        let (mut contacts, request) = (fixture.contacts(), request.clone());
        async move { contacts.create_contact(request).await.unwrap() }
    });
    created.await;
    assert_eq!(fixture.service.appended::<ContactCreated>().await.len(), 1);
}

async fn x2_an_address_belongs_to_one_contact_of_an_account(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    create(&fixture, "Vera", "vera@example.com").await;
    let refused = fixture.contacts().create_contact(request("W", "vera@example.com")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "ADDRESS_TAKEN"));
    // Another account has contacts of its own.
    let mut elsewhere = ContactServiceClient::new(fixture.in_another_account().as_agent());
    elsewhere.create_contact(request("W", "vera@example.com")).await.unwrap();
    let listed = fixture.contacts().list_contacts(ListContactsRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.contacts.len(), 1);
}
