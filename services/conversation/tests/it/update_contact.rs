//! `UpdateContact`: rules X1, X2, C12, T2.

use frontdesk_proto::{
    conversation::v1::{
        Contact, ContactEmail, ContactEmails, ContactProperties, CreateContactRequest, GetContactRequest,
        UpdateContactRequest, contact_service_client::ContactServiceClient,
    },
    event::v1::{ContactUpdated, ConversationClosed},
};
use frontdesk_testkit::{Mode, metadata, on_both_modes, reason, request_id};
use tonic::Code;
use tonic_types::StatusExt;

use crate::{
    close_conversation::close,
    create_contact::{assert_taken, create, email},
    fixture::{ADA, Fixture, GONE, STRANGER, start, twenty},
    record_answer::{answer, record},
};

on_both_modes!(
    x2_every_field_of_a_contact_changes_and_each_is_cleared,
    x1_the_new_list_of_addresses_replaces_the_old_one_and_mail_goes_to_its_first,
    c12_a_repeat_of_an_update_succeeds_with_its_old_etag_and_changes_nothing,
    c12_an_update_with_a_stale_etag_is_refused,
    x2_twenty_updates_of_one_etag_and_one_wins,
    x2_an_address_or_external_id_of_another_contact_is_refused,
    x2_of_twenty_contacts_one_gets_a_new_external_id,
    x2_an_invalid_list_of_addresses_or_too_many_properties_are_named,
    x1_a_verified_address_replaces_a_typed_one_of_another_contact,
    x1_t2_no_transcript_goes_to_an_address_that_the_team_removed,
    x2_an_owner_who_is_not_active_and_a_language_that_is_none_are_refused,
    s2_another_accounts_contact_does_not_exist,
);

fn update(contact: &Contact) -> UpdateContactRequest {
    UpdateContactRequest { contact_id: contact.id.clone(), ..UpdateContactRequest::default() }
}

fn rename(contact: &Contact, name: &str) -> UpdateContactRequest {
    UpdateContactRequest { name: Some(name.into()), etag: contact.etag.clone(), ..update(contact) }
}

fn readdress(contact: &Contact, emails: &[ContactEmail]) -> UpdateContactRequest {
    UpdateContactRequest { emails: Some(ContactEmails { emails: emails.to_vec() }), ..update(contact) }
}

async fn updated(fixture: &Fixture, request: UpdateContactRequest) -> Contact {
    fixture.contacts().update_contact(request).await.unwrap().into_inner().contact.unwrap()
}

async fn get(fixture: &Fixture, contact_id: &str) -> Contact {
    let request = GetContactRequest { contact_id: contact_id.into() };
    fixture.contacts().get_contact(request).await.unwrap().into_inner().contact.unwrap()
}

async fn x2_every_field_of_a_contact_changes_and_each_is_cleared(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let contact = create(&fixture, "Vera", "vera@example.com").await;
    let properties = ContactProperties { properties: [("order".to_owned(), "42".to_owned())].into() };
    let all = UpdateContactRequest {
        external_id: Some("crm:7".into()),
        name: Some("Vera V.".into()),
        phone: Some("+39 1".into()),
        time_zone: Some("Europe/Rome".into()),
        language: Some("pt-BR".into()),
        owner_agent_id: Some(ADA.to_string()),
        properties: Some(properties.clone()),
        ..readdress(&contact, &[email("new@example.com", true)])
    };
    let full = updated(&fixture, all).await;
    let expected = Contact {
        external_id: "crm:7".into(),
        name: "Vera V.".into(),
        emails: vec![email("new@example.com", true)],
        phone: "+39 1".into(),
        time_zone: "Europe/Rome".into(),
        language: "pt-BR".into(),
        owner_agent_id: ADA.to_string(),
        properties: properties.properties,
        update_time: full.update_time,
        version: 2,
        etag: full.etag.clone(),
        ..contact.clone()
    };
    assert_eq!(full, expected);
    assert!(full.etag != contact.etag && full.update_time != contact.update_time);
    let none = UpdateContactRequest {
        external_id: Some(String::new()),
        name: Some(String::new()),
        phone: Some(String::new()),
        time_zone: Some(String::new()),
        language: Some(String::new()),
        owner_agent_id: Some(String::new()),
        properties: Some(ContactProperties::default()),
        ..readdress(&contact, &[])
    };
    let cleared = updated(&fixture, none).await;
    let expected = Contact {
        id: contact.id,
        create_time: contact.create_time,
        update_time: cleared.update_time,
        version: 3,
        etag: cleared.etag.clone(),
        ..Contact::default()
    };
    assert_eq!(cleared, expected);
    assert_eq!(get(&fixture, &cleared.id).await, cleared);
}

async fn x1_the_new_list_of_addresses_replaces_the_old_one_and_mail_goes_to_its_first(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let contact = create(&fixture, "Vera", "vera@example.com").await;
    let list = [email("z@example.com", false), email("vera@example.com", true), email("a@example.com", true)];
    for emails in [&list[..], &list[1..], &list[..2]] {
        updated(&fixture, readdress(&contact, emails)).await;
        assert_eq!(get(&fixture, &contact.id).await.emails, emails);
    }
    let reversed: Vec<_> = list.iter().rev().map(|address| email(&address.email, !address.verified)).collect();
    updated(&fixture, readdress(&contact, &reversed)).await;
    assert_eq!(get(&fixture, &contact.id).await.emails, reversed, "verified is what the team says last");
}

async fn c12_a_repeat_of_an_update_succeeds_with_its_old_etag_and_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let contact = create(&fixture, "Vera", "vera@example.com").await;
    let request = UpdateContactRequest {
        external_id: Some("crm:7".into()),
        emails: readdress(&contact, &[email("New@example.com", true)]).emails,
        ..rename(&contact, "Vera V.")
    };
    let first = updated(&fixture, request.clone()).await;
    assert_eq!(updated(&fixture, request).await, first);
    assert_eq!(fixture.service.appended::<ContactUpdated>().await.len(), 1);
}

async fn c12_an_update_with_a_stale_etag_is_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let contact = create(&fixture, "Vera", "vera@example.com").await;
    let will = create(&fixture, "Will", "will@example.com").await;
    updated(&fixture, rename(&contact, "Vera V.")).await;
    // The etag comes before what other contacts have.
    let taken = readdress(&contact, &will.emails).emails;
    let stale = UpdateContactRequest { emails: taken, ..rename(&contact, "Vera W.") };
    let refused = fixture.contacts().update_contact(stale).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Aborted, "ETAG_MISMATCH"));
    assert_eq!(fixture.service.appended::<ContactUpdated>().await.len(), 1);
}

async fn x2_twenty_updates_of_one_etag_and_one_wins(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let contact = create(&fixture, "Vera", "vera@example.com").await;
    let updates = twenty(|n| {
        let (mut contacts, request) = (fixture.contacts(), rename(&contact, &format!("V{n}")));
        async move { contacts.update_contact(request).await }
    });
    let refused: Vec<_> = updates.await.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 19);
    assert!(refused.iter().all(|status| status.code() == Code::Aborted && reason(status) == "ETAG_MISMATCH"));
}

async fn x2_an_address_or_external_id_of_another_contact_is_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let contact = create(&fixture, "Vera", "vera@example.com").await;
    let will = create(&fixture, "Will", "will@example.com").await;
    let crm = |contact: &Contact| UpdateContactRequest { external_id: Some("crm:7".into()), ..update(contact) };
    let will = updated(&fixture, crm(&will)).await;
    let taken = readdress(&contact, &[email("vera@example.com", true), email("will@example.com", true)]);
    assert_taken(&fixture.contacts().update_contact(taken).await.unwrap_err(), "EMAIL_TAKEN", &will);
    let refused = fixture.contacts().update_contact(crm(&contact)).await.unwrap_err();
    assert_taken(&refused, "EXTERNAL_ID_TAKEN", &will);
    assert_eq!(get(&fixture, &contact.id).await, contact);
    // A value that its contact gave up is free.
    updated(&fixture, UpdateContactRequest { external_id: Some(String::new()), ..update(&will) }).await;
    assert_eq!(updated(&fixture, crm(&contact)).await.external_id, "crm:7");
}

async fn x2_of_twenty_contacts_one_gets_a_new_external_id(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let mut contacts = Vec::new();
    for n in 0..20 {
        contacts.push(create(&fixture, "Vera", &format!("v{n}@example.com")).await);
    }
    let updates = twenty(|n| {
        let request = UpdateContactRequest { external_id: Some("crm:7".into()), ..update(&contacts[n]) };
        let mut contacts = fixture.contacts();
        async move { contacts.update_contact(request).await }
    });
    let (updated, refused): (Vec<_>, Vec<_>) = updates.await.into_iter().partition(Result::is_ok);
    let [winner] = &updated[..] else { panic!("{} got it", updated.len()) };
    let winner = winner.as_ref().unwrap().get_ref().contact.clone().unwrap();
    refused.into_iter().for_each(|refused| assert_taken(&refused.unwrap_err(), "EXTERNAL_ID_TAKEN", &winner));
}

async fn x2_an_invalid_list_of_addresses_or_too_many_properties_are_named(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let contact = create(&fixture, "Vera", "vera@example.com").await;
    let twice = readdress(&contact, &[email("a@example.com", true), email("A@example.com", true)]);
    let properties = (0..40).map(|n| (format!("name_{n}"), "x".repeat(1_900))).collect();
    let large = UpdateContactRequest { properties: Some(ContactProperties { properties }), ..update(&contact) };
    for (request, place) in [(twice, "emails.emails[1].email: "), (large, "properties.properties: ")] {
        let refused = fixture.contacts().update_contact(request).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "INVALID_FIELDS"));
        assert!(refused.message().starts_with(place), "{}", refused.message());
    }
}

async fn x1_a_verified_address_replaces_a_typed_one_of_another_contact(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let contact = create(&fixture, "Vera", "vera@example.com").await;
    let chat = fixture.bot_chat("mallory").await;
    record(&fixture, answer(&chat, "email", "new@example.com")).await.unwrap();
    let typed = get(&fixture, &fixture.conversation(&chat.id).await.contact_id).await;
    // The team uses the contact: it stays without addresses.
    let typed = updated(&fixture, rename(&typed, "Mallory")).await;
    let refused = readdress(&contact, &[email("new@example.com", false)]);
    assert_taken(&fixture.contacts().update_contact(refused).await.unwrap_err(), "EMAIL_TAKEN", &typed);
    let taken = updated(&fixture, readdress(&contact, &[email("new@example.com", true)])).await;
    assert_eq!(taken.emails, [email("new@example.com", true)]);
    let after = get(&fixture, &typed.id).await;
    assert_eq!((after.emails.len(), after.version), (0, typed.version + 1), "a change with its own version");
}

async fn x1_t2_no_transcript_goes_to_an_address_that_the_team_removed(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let mut chats = fixture.chats_with_address("vera", "vera@example.com");
    let chat = chats.start_chat(start(&channel.id)).await.unwrap().into_inner().chat.unwrap();
    let contact = get(&fixture, &fixture.conversation(&chat.id).await.contact_id).await;
    assert_eq!(contact.emails, [email("vera@example.com", true)]);
    updated(&fixture, readdress(&contact, &[])).await;
    close(&fixture, &chat.id).await;
    let closed = fixture.service.appended::<ConversationClosed>().await.pop().unwrap();
    assert_eq!((closed.email_usable, closed.email_verified, closed.contact_id), (false, false, contact.id));
    // The next login vouches for the address again.
    let again = chats.start_chat(start(&channel.id)).await.unwrap().into_inner().chat.unwrap();
    close(&fixture, &again.id).await;
    let closed = fixture.service.appended::<ConversationClosed>().await.pop().unwrap();
    assert_eq!((closed.email_usable, closed.email_verified), (true, true));
}

async fn s2_another_accounts_contact_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let contact = create(&fixture, "Vera", "vera@example.com").await;
    let mut elsewhere = ContactServiceClient::new(fixture.in_another_account().as_agent());
    let refused = elsewhere.update_contact(rename(&contact, "X")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}

async fn x2_an_owner_who_is_not_active_and_a_language_that_is_none_are_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let contact = create(&fixture, "Vera", "vera@example.com").await;
    for (owner, name) in [(GONE, "Gone"), (STRANGER, "")] {
        let owner_agent_id = owner.to_string();
        let request = UpdateContactRequest { owner_agent_id: Some(owner_agent_id.clone()), ..update(&contact) };
        let update = fixture.contacts().update_contact(request).await.unwrap_err();
        let request =
            CreateContactRequest { owner_agent_id, request_id: request_id(), ..CreateContactRequest::default() };
        let create = fixture.contacts().create_contact(request).await.unwrap_err();
        for refused in [update, create] {
            assert_eq!(
                (refused.code(), reason(&refused).as_str()),
                (Code::FailedPrecondition, "CONTACT_OWNER_NOT_ACTIVE")
            );
            assert_eq!(metadata(&refused, "agent_id"), owner.to_string());
            assert_eq!(metadata(&refused, "agent_name"), name);
        }
    }
    let request = UpdateContactRequest { language: Some("Portuguese (Brazil)".into()), ..update(&contact) };
    let refused = fixture.contacts().update_contact(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(refused.get_details_bad_request().unwrap().field_violations[0].field, "language");
    assert_eq!(get(&fixture, &contact.id).await, contact);
}
