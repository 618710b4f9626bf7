//! `CreateContact` and `ListContacts`: rules X1, X2, C12.

use std::collections::BTreeMap;

use frontdesk_proto::{
    conversation::v1::{
        Contact, ContactEmail, CreateContactRequest, ListContactsRequest, contact_service_client::ContactServiceClient,
    },
    event::v1::ContactCreated,
};
use frontdesk_testkit::{Mode, metadata, on_both_modes, reason, request_id};
use tonic::{Code, Status};

use crate::fixture::{Fixture, twenty};

on_both_modes!(
    x1_an_address_is_verified_if_the_team_says_so_and_a_repeat_gets_the_first_answer,
    c12_twenty_repeats_at_once_create_one_contact,
    x2_an_address_belongs_to_one_contact_of_an_account,
    x2_an_external_id_belongs_to_one_contact_of_an_account_and_finds_it,
    x2_of_twenty_contacts_with_one_new_address_one_is_created,
    x2_of_twenty_contacts_with_one_new_external_id_one_is_created,
    x2_an_invalid_list_of_addresses_or_too_many_properties_are_named,
    x2_contacts_are_listed_newest_first_in_pages_that_fit_client_limits,
);

pub fn email(address: &str, verified: bool) -> ContactEmail {
    ContactEmail { email: address.into(), verified }
}

/// A new contact with a verified address.
pub fn request(name: &str, address: &str) -> CreateContactRequest {
    CreateContactRequest {
        name: name.into(),
        emails: vec![email(address, true)],
        request_id: request_id(),
        ..CreateContactRequest::default()
    }
}

pub async fn create(fixture: &Fixture, name: &str, address: &str) -> Contact {
    fixture.contacts().create_contact(request(name, address)).await.unwrap().into_inner().contact.unwrap()
}

pub fn assert_taken(refused: &Status, expected: &str, by: &Contact) {
    assert_eq!((refused.code(), reason(refused).as_str()), (Code::AlreadyExists, expected));
    assert_eq!(metadata(refused, "contact_id"), by.id);
}

async fn list(fixture: &Fixture, request: ListContactsRequest) -> Vec<Contact> {
    fixture.contacts().list_contacts(request).await.unwrap().into_inner().contacts
}

async fn x1_an_address_is_verified_if_the_team_says_so_and_a_repeat_gets_the_first_answer(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let emails = vec![email("typed@example.com", false), email("Vera@Example.com", true)];
    let first = CreateContactRequest { emails, ..request("Vera", "") };
    let mut contacts = fixture.contacts();
    let created = contacts.create_contact(first.clone()).await.unwrap().into_inner();
    assert_eq!(contacts.create_contact(first.clone()).await.unwrap().into_inner(), created);
    let other = contacts.create_contact(CreateContactRequest { name: "W".into(), ..first }).await.unwrap_err();
    assert_eq!(reason(&other), "REQUEST_ID_REUSED");
    let contact = created.contact.unwrap();
    assert_eq!(contact.emails, [email("typed@example.com", false), email("vera@example.com", true)], "in this order");
    assert_eq!((contact.version, contact.update_time), (1, contact.create_time));
}

async fn c12_twenty_repeats_at_once_create_one_contact(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let request = CreateContactRequest { external_id: "7".into(), ..request("Vera", "vera@example.com") };
    let created = twenty(|_| {
        let (mut contacts, request) = (fixture.contacts(), request.clone());
        async move { contacts.create_contact(request).await.unwrap() }
    });
    created.await;
    assert_eq!(fixture.service.appended::<ContactCreated>().await.len(), 1);
}

async fn x2_an_address_belongs_to_one_contact_of_an_account(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let vera = create(&fixture, "Vera", "vera@example.com").await;
    for verified in [true, false] {
        let emails = vec![email("w@example.com", true), email("vera@example.com", verified)];
        let second = CreateContactRequest { emails, ..request("W", "") };
        assert_taken(&fixture.contacts().create_contact(second).await.unwrap_err(), "EMAIL_TAKEN", &vera);
    }
    // Another account has contacts of its own.
    let mut elsewhere = ContactServiceClient::new(fixture.in_another_account().as_agent());
    elsewhere.create_contact(request("W", "vera@example.com")).await.unwrap();
    assert_eq!(list(&fixture, ListContactsRequest::default()).await, [vera]);
}

async fn x2_an_external_id_belongs_to_one_contact_of_an_account_and_finds_it(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    create(&fixture, "Will", "will@example.com").await;
    let new = |address: &str| CreateContactRequest { external_id: "crm:7".into(), ..request("Vera", address) };
    let vera = fixture.contacts().create_contact(new("vera@example.com")).await.unwrap().into_inner().contact.unwrap();
    assert_eq!(vera.external_id, "crm:7");
    let refused = fixture.contacts().create_contact(new("w@example.com")).await.unwrap_err();
    assert_taken(&refused, "EXTERNAL_ID_TAKEN", &vera);
    let mut elsewhere = ContactServiceClient::new(fixture.in_another_account().as_agent());
    elsewhere.create_contact(new("vera@example.com")).await.unwrap();
    let find = |external_id: &str, email: &str| ListContactsRequest {
        external_id: external_id.into(),
        email: email.into(),
        ..ListContactsRequest::default()
    };
    assert_eq!(list(&fixture, find("crm:7", "")).await, std::slice::from_ref(&vera));
    assert_eq!(list(&fixture, find("crm:7", "VERA@example.com")).await, [vera]);
    assert!(list(&fixture, find("crm:7", "will@example.com")).await.is_empty());
    assert!(list(&fixture, find("crm:8", "")).await.is_empty());
}

/// Twenty different requests at once: one creates its contact, and the others name it.
async fn one_is_created(fixture: &Fixture, expected: &str, request: impl Fn(usize) -> CreateContactRequest) {
    let created = twenty(|n| {
        let (mut contacts, request) = (fixture.contacts(), request(n));
        async move { contacts.create_contact(request).await }
    });
    let (created, refused): (Vec<_>, Vec<_>) = created.await.into_iter().partition(Result::is_ok);
    let [created] = &created[..] else { panic!("{} were created", created.len()) };
    let winner = created.as_ref().unwrap().get_ref().contact.clone().unwrap();
    refused.into_iter().for_each(|refused| assert_taken(&refused.unwrap_err(), expected, &winner));
    assert_eq!(fixture.service.appended::<ContactCreated>().await.len(), 1);
}

async fn x2_of_twenty_contacts_with_one_new_address_one_is_created(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    one_is_created(&fixture, "EMAIL_TAKEN", |n| {
        // In another order and beside another address each time.
        let mut emails = vec![email("a@example.com", true), email("b@example.com", n % 3 == 0)];
        emails.rotate_left(n % 2);
        emails.push(email(&format!("v{n}@example.com"), false));
        CreateContactRequest { emails, ..request("Vera", "") }
    })
    .await;
}

async fn x2_of_twenty_contacts_with_one_new_external_id_one_is_created(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    one_is_created(&fixture, "EXTERNAL_ID_TAKEN", |n| CreateContactRequest {
        external_id: "crm:7".into(),
        ..request("Vera", &format!("v{n}@example.com"))
    })
    .await;
}

async fn x2_an_invalid_list_of_addresses_or_too_many_properties_are_named(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let twice = [email("vera@example.com", true), email("Vera@example.com", false), email("nowhere", true)];
    let properties = |size: usize| -> BTreeMap<String, String> {
        (0..35).map(|n| (format!("name_{n}"), "x".repeat(size))).collect()
    };
    for (request, place) in [
        (CreateContactRequest { emails: twice[..2].to_vec(), ..request("V", "") }, "emails[1].email: "),
        (CreateContactRequest { emails: twice[1..].to_vec(), ..request("V", "") }, "emails[1].email: "),
        (CreateContactRequest { properties: properties(1_900), ..request("V", "v@example.com") }, "properties: "),
    ] {
        let refused = fixture.contacts().create_contact(request).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "INVALID_FIELDS"));
        assert!(refused.message().starts_with(place), "{}", refused.message());
    }
    let fits = CreateContactRequest { properties: properties(1_800), ..request("V", "v@example.com") };
    fixture.contacts().create_contact(fits).await.unwrap();
}

async fn x2_contacts_are_listed_newest_first_in_pages_that_fit_client_limits(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let mut created = Vec::new();
    for n in 0..20 {
        let properties = (0..31).map(|m| (format!("name_{m}"), "ä".repeat(1_000))).collect();
        let request = CreateContactRequest { properties, ..request("Vera", &format!("v{n}@example.com")) };
        created.insert(0, fixture.contacts().create_contact(request).await.unwrap().into_inner().contact.unwrap());
    }
    let mut request = ListContactsRequest { page_size: 200, ..ListContactsRequest::default() };
    let first = fixture.contacts().list_contacts(request.clone()).await.unwrap().into_inner();
    assert!((10..20).contains(&first.contacts.len()), "{}", first.contacts.len());
    request.page_token = first.next_page_token;
    let second = fixture.contacts().list_contacts(request).await.unwrap().into_inner();
    let listed: Vec<_> = first.contacts.into_iter().chain(second.contacts).collect();
    assert!(second.next_page_token.is_empty() && listed == created);
}
