//! `MergeContacts` and `ListMergedContacts`: rules X1, X2, X2a, C12, T2.

use std::collections::BTreeMap;

use frontdesk_proto::{
    conversation::{
        internal::v1::GetClosingFactsRequest,
        v1::{
            Chat, Contact, CreateContactRequest, GetContactRequest, GetTicketRequest, LinkContactRequest,
            ListContactsRequest, ListConversationsRequest, ListMergedContactsRequest, ListTicketsRequest,
            MergeContactsRequest, MergeContactsResponse, MergedContact, UpdateContactRequest, WatchInboxRequest,
            contact_service_client::ContactServiceClient, watch_inbox_response::Update,
        },
    },
    event::v1::{ContactMerged, ContactUpdated, ConversationClosed, ConversationUpdated, TicketUpdated},
};
use frontdesk_testkit::{Mode, metadata, new_id, on_both_modes, reason, request_id};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    close_conversation::close,
    create_contact::{self, assert_taken, create, email},
    create_ticket,
    fixture::{ADA, Fixture, GONE, start, twenty},
};

on_both_modes!(
    x2_the_contact_gets_what_it_lacks_and_nothing_of_the_other_one_is_lost,
    x2_conversations_visitors_and_tickets_follow_and_facts_of_closes_stay,
    x2a_the_id_of_a_merged_contact_names_the_one_that_is_left_in_every_call,
    x2a_an_external_id_of_a_merged_contact_finds_the_other_one_and_can_be_replaced,
    x2a_a_chain_of_merges_ends_at_the_contact_that_is_left,
    x2a_a_watch_goes_on_with_the_conversations_of_the_merged_contact,
    c12_a_repeat_changes_nothing_and_gets_the_first_answer,
    c12_twenty_repeats_at_once_merge_once,
    x2a_of_twenty_merges_of_one_contact_one_wins,
    x2a_of_two_opposite_merges_at_once_one_wins,
    x1_people_who_come_while_their_contact_is_merged_belong_to_the_one_that_is_left,
    x2_a_merge_is_refused_with_its_reason,
    s2_another_accounts_contact_does_not_exist,
);

fn request(source: &Contact, target: &Contact) -> MergeContactsRequest {
    MergeContactsRequest {
        source_contact_id: source.id.clone(),
        source_etag: source.etag.clone(),
        target_contact_id: target.id.clone(),
        target_etag: target.etag.clone(),
        request_id: request_id(),
    }
}

async fn merge(fixture: &Fixture, request: MergeContactsRequest) -> Result<MergeContactsResponse, Status> {
    Ok(fixture.contacts().merge_contacts(request).await?.into_inner())
}

/// Merges the first contact into the second one. Returns the second one.
async fn merged(fixture: &Fixture, source: &Contact, target: &Contact) -> Contact {
    merge(fixture, request(source, target)).await.unwrap().contact.unwrap()
}

async fn create_with(fixture: &Fixture, request: CreateContactRequest) -> Contact {
    fixture.contacts().create_contact(request).await.unwrap().into_inner().contact.unwrap()
}

async fn get(fixture: &Fixture, contact_id: &str) -> Result<Contact, Status> {
    let request = GetContactRequest { contact_id: contact_id.into() };
    Ok(fixture.contacts().get_contact(request).await?.into_inner().contact.unwrap())
}

async fn update(fixture: &Fixture, request: UpdateContactRequest) -> Result<Contact, Status> {
    Ok(fixture.contacts().update_contact(request).await?.into_inner().contact.unwrap())
}

async fn merged_contacts(fixture: &Fixture, contact_id: &str) -> Vec<MergedContact> {
    let request = ListMergedContactsRequest { contact_id: contact_id.into(), ..ListMergedContactsRequest::default() };
    fixture.contacts().list_merged_contacts(request).await.unwrap().into_inner().merged_contacts
}

/// Ids of the conversations that the inbox of the contact lists.
async fn conversations_of(fixture: &Fixture, contact_id: &str) -> Vec<String> {
    let request =
        ListConversationsRequest { contact_ids: vec![contact_id.into()], ..ListConversationsRequest::default() };
    let rows = fixture.conversations(ADA).list_conversations(request).await.unwrap().into_inner().rows;
    rows.into_iter().map(|row| row.conversation.unwrap().id).collect()
}

/// A chat of a visitor whose token vouches for the address.
async fn chat_with_address(fixture: &Fixture, visitor: &str, address: &str) -> Chat {
    let channel = fixture.channel().await;
    let mut chats = fixture.chats_with_address(visitor, address);
    chats.start_chat(start(&channel.id)).await.unwrap().into_inner().chat.unwrap()
}

fn properties(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn assert_merged(refused: &Status, into: &Contact) {
    assert_eq!((refused.code(), reason(refused).as_str()), (Code::FailedPrecondition, "CONTACT_MERGED"));
    assert_eq!(metadata(refused, "contact_id"), into.id);
}

async fn x2_the_contact_gets_what_it_lacks_and_nothing_of_the_other_one_is_lost(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let target = CreateContactRequest {
        properties: properties(&[("plan", "gold")]),
        ..create_contact::request("Vera", "vera@example.com")
    };
    let target = create_with(&fixture, target).await;
    let source = CreateContactRequest {
        emails: vec![email("v@example.com", true), email("typed@example.com", false)],
        phone: "+39 1".into(),
        time_zone: "Europe/Rome".into(),
        language: "it".into(),
        owner_agent_id: ADA.to_string(),
        external_id: "crm:7".into(),
        properties: properties(&[("plan", "free"), ("shop", "Rome")]),
        ..create_contact::request("V. Rossi", "")
    };
    let source = create_with(&fixture, source).await;

    let answer = merge(&fixture, request(&source, &target)).await.unwrap();
    let contact = answer.contact.unwrap();
    let expected = Contact {
        emails: vec![email("vera@example.com", true), email("v@example.com", true), email("typed@example.com", false)],
        phone: source.phone.clone(),
        time_zone: source.time_zone.clone(),
        language: source.language.clone(),
        owner_agent_id: source.owner_agent_id.clone(),
        external_id: source.external_id.clone(),
        properties: properties(&[("plan", "gold"), ("shop", "Rome")]),
        version: 2,
        update_time: contact.update_time,
        etag: contact.etag.clone(),
        ..target.clone()
    };
    assert_eq!(contact, expected);
    let kept = answer.merged_contact.unwrap();
    let expected = MergedContact {
        source_contact_id: source.id.clone(),
        merge_time: kept.merge_time,
        name: "V. Rossi".into(),
        properties: properties(&[("plan", "free")]),
        ..MergedContact::default()
    };
    assert_eq!(kept, expected);
    assert_eq!(merged_contacts(&fixture, &target.id).await, [kept]);
    let listed = fixture.contacts().list_contacts(ListContactsRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.contacts, [contact]);
    let event = ContactMerged { source_contact_id: source.id, target_contact_id: target.id.clone() };
    assert_eq!(fixture.service.appended::<ContactMerged>().await, [event]);
    assert_eq!(fixture.service.appended::<ContactUpdated>().await, [ContactUpdated { contact_id: target.id }]);
}

async fn x2_conversations_visitors_and_tickets_follow_and_facts_of_closes_stay(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let target = create(&fixture, "Vera", "vera@example.com").await;
    let old = chat_with_address(&fixture, "v", "v@example.com").await;
    close(&fixture, &old.id).await;
    let chat = chat_with_address(&fixture, "v", "v@example.com").await;
    let ticket = create_ticket::create(&fixture, &chat.id).await;
    let source = get(&fixture, &ticket.contact_id).await.unwrap();
    let before = fixture.conversation(&chat.id).await;
    merged(&fixture, &source, &target).await;

    let after = fixture.conversation(&chat.id).await;
    assert_eq!((after.contact_id.as_str(), after.version), (target.id.as_str(), before.version + 1));
    assert_eq!(after.last_sequence, before.last_sequence, "as when a visitor is linked, the thread gets no entry");
    assert_eq!(fixture.conversation(&old.id).await.contact_id, target.id);
    assert_eq!(fixture.service.appended::<ConversationUpdated>().await.len(), 2 + 1, "two chats, and the ticket");
    let request = GetTicketRequest { ticket_id: ticket.id };
    let ticket = fixture.tickets(ADA).get_ticket(request).await.unwrap().into_inner().ticket.unwrap();
    assert_eq!((ticket.contact_id.as_str(), ticket.version), (target.id.as_str(), 2));
    assert_eq!(fixture.service.appended::<TicketUpdated>().await.len(), 1);
    // The visitor is the contact that is left, and their transcript goes to their own address.
    close(&fixture, &chat.id).await;
    let closed = fixture.service.appended::<ConversationClosed>().await.pop().unwrap();
    assert_eq!(
        (closed.contact_id.as_str(), closed.email_verified, closed.had_ticket),
        (target.id.as_str(), true, true)
    );
    let again = chat_with_address(&fixture, "v", "v@example.com").await;
    assert_eq!(fixture.conversation(&again.id).await.contact_id, target.id);
    let facts = GetClosingFactsRequest { conversation_id: old.id, close_number: 1 };
    let facts = fixture.on_behalf_of("service:notification", facts);
    let facts = fixture.arbiter("notification").get_closing_facts(facts).await.unwrap().into_inner();
    assert_eq!((facts.contact_id, facts.recipient_email.as_str()), (source.id, "v@example.com"));
}

async fn x2a_the_id_of_a_merged_contact_names_the_one_that_is_left_in_every_call(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let target = create(&fixture, "Vera", "vera@example.com").await;
    let chat = chat_with_address(&fixture, "v", "v@example.com").await;
    let ticket = create_ticket::create(&fixture, &chat.id).await;
    let source = get(&fixture, &ticket.contact_id).await.unwrap();
    let contact = merged(&fixture, &source, &target).await;

    assert_eq!(get(&fixture, &source.id).await.unwrap(), contact);
    assert_eq!(conversations_of(&fixture, &source.id).await, std::slice::from_ref(&chat.id));
    let request = ListTicketsRequest { contact_id: source.id.clone(), ..ListTicketsRequest::default() };
    let tickets = fixture.tickets(ADA).list_tickets(request).await.unwrap().into_inner().tickets;
    assert_eq!(tickets.len(), 1);
    assert_eq!(merged_contacts(&fixture, &source.id).await.len(), 1);
    let other = fixture.chat("w").await;
    let link = LinkContactRequest { conversation_id: other.id, contact_id: source.id.clone() };
    let linked = fixture.conversations(ADA).link_contact(link).await.unwrap().into_inner().conversation.unwrap();
    assert_eq!(linked.contact_id, target.id);
    // The etag that was read before the merge is one of another contact, whatever its version.
    let rename = |etag: &str| UpdateContactRequest {
        contact_id: source.id.clone(),
        name: Some("Vera R.".into()),
        etag: etag.into(),
        ..UpdateContactRequest::default()
    };
    let refused = update(&fixture, rename(&source.etag)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Aborted, "ETAG_MISMATCH"));
    let updated = update(&fixture, rename(&contact.etag)).await.unwrap();
    assert_eq!((updated.id.as_str(), updated.name.as_str()), (target.id.as_str(), "Vera R."));
    // It may also name the target of another merge.
    let third = create(&fixture, "Third", "third@example.com").await;
    let named = MergeContactsRequest { target_contact_id: source.id.clone(), ..self::request(&third, &updated) };
    assert_eq!(merge(&fixture, named).await.unwrap().contact.unwrap().id, target.id);
}

async fn x2a_an_external_id_of_a_merged_contact_finds_the_other_one_and_can_be_replaced(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let new = |name: &str, external_id: &str| CreateContactRequest {
        external_id: external_id.into(),
        ..create_contact::request(name, &format!("{name}@example.com"))
    };
    let target = create_with(&fixture, new("vera", "crm:1")).await;
    let source = create_with(&fixture, new("v", "crm:2")).await;
    let contact = merged(&fixture, &source, &target).await;
    assert_eq!(contact.external_id, "crm:1");
    assert_eq!(merged_contacts(&fixture, &contact.id).await[0].external_id, "crm:2");
    for external_id in ["crm:1", "crm:2"] {
        let find = ListContactsRequest { external_id: external_id.into(), ..ListContactsRequest::default() };
        let found = fixture.contacts().list_contacts(find).await.unwrap().into_inner().contacts;
        assert_eq!(found, std::slice::from_ref(&contact), "{external_id}");
        let refused = fixture.contacts().create_contact(new("w", external_id)).await.unwrap_err();
        assert_taken(&refused, "EXTERNAL_ID_TAKEN", &contact);
    }
    // The contact makes it its own, and then replaces it.
    for external_id in ["crm:2", "crm:3"] {
        let request = UpdateContactRequest {
            contact_id: contact.id.clone(),
            external_id: Some(external_id.into()),
            ..UpdateContactRequest::default()
        };
        assert_eq!(update(&fixture, request).await.unwrap().external_id, external_id);
    }
    assert_eq!(create_with(&fixture, new("w", "crm:2")).await.external_id, "crm:2");
}

async fn x2a_a_chain_of_merges_ends_at_the_contact_that_is_left(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let mut contacts = Vec::new();
    for name in ["a", "b", "c"] {
        contacts.push(create(&fixture, name, &format!("{name}@example.com")).await);
    }
    let b = merged(&fixture, &contacts[0], &contacts[1]).await;
    let c = merged(&fixture, &b, &contacts[2]).await;
    assert_eq!(c.emails, ["c", "b", "a"].map(|name| email(&format!("{name}@example.com"), true)));
    for contact in &contacts {
        assert_eq!(get(&fixture, &contact.id).await.unwrap(), c);
    }
    let list: Vec<_> = merged_contacts(&fixture, &c.id).await.into_iter().map(|one| one.source_contact_id).collect();
    assert_eq!(list, [contacts[1].id.clone(), contacts[0].id.clone()], "the latest first");
}

async fn x2a_a_watch_goes_on_with_the_conversations_of_the_merged_contact(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let target = create(&fixture, "Vera", "vera@example.com").await;
    let chat = chat_with_address(&fixture, "v", "v@example.com").await;
    let source = get(&fixture, &fixture.conversation(&chat.id).await.contact_id).await.unwrap();
    let inbox =
        ListConversationsRequest { contact_ids: vec![source.id.clone()], ..ListConversationsRequest::default() };
    let request = WatchInboxRequest { inbox: Some(inbox), cursor: String::new() };
    let mut updates = fixture.conversations(ADA).watch_inbox(request).await.unwrap().into_inner();
    while !matches!(updates.message().await.unwrap().unwrap().update, Some(Update::CaughtUp(_))) {}
    merged(&fixture, &source, &target).await;
    loop {
        match updates.message().await.unwrap().unwrap().update {
            Some(Update::Row(row)) => {
                let conversation = row.conversation.unwrap();
                assert_eq!(conversation.id, chat.id);
                if conversation.contact_id == target.id {
                    break;
                }
            }
            Some(Update::GoneConversationId(id)) => panic!("{id} is gone"),
            _ => {}
        }
    }
}

async fn c12_a_repeat_changes_nothing_and_gets_the_first_answer(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let target = create(&fixture, "Vera", "vera@example.com").await;
    let source = create(&fixture, "V.", "v@example.com").await;
    let first = request(&source, &target);
    let answer = merge(&fixture, first.clone()).await.unwrap();
    assert_eq!(merge(&fixture, first.clone()).await.unwrap(), answer);
    let other = MergeContactsRequest { source_contact_id: target.id, target_contact_id: source.id, ..first };
    let refused = merge(&fixture, other).await.unwrap_err();
    assert_eq!(reason(&refused), "REQUEST_ID_REUSED");
    assert_eq!(fixture.service.appended::<ContactMerged>().await.len(), 1);
    assert_eq!(fixture.service.appended::<ContactUpdated>().await.len(), 1);
}

async fn c12_twenty_repeats_at_once_merge_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let target = create(&fixture, "Vera", "vera@example.com").await;
    let source = create(&fixture, "V.", "v@example.com").await;
    let request = request(&source, &target);
    let answers = twenty(|_| merge(&fixture, request.clone())).await;
    let first = answers[0].as_ref().unwrap();
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap() == first));
    assert_eq!(fixture.service.appended::<ContactMerged>().await.len(), 1);
}

async fn x2a_of_twenty_merges_of_one_contact_one_wins(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let source = create(&fixture, "V.", "v@example.com").await;
    let mut targets = Vec::new();
    for n in 0..20 {
        targets.push(create(&fixture, "Vera", &format!("v{n}@example.com")).await);
    }
    let answers = twenty(|n| merge(&fixture, request(&source, &targets[n]))).await;
    let (merged, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    let [winner] = &merged[..] else { panic!("{} merges", merged.len()) };
    let winner = winner.as_ref().unwrap().contact.clone().unwrap();
    refused.into_iter().for_each(|refused| assert_merged(&refused.unwrap_err(), &winner));
    assert_eq!(get(&fixture, &source.id).await.unwrap(), winner);
}

async fn x2a_of_two_opposite_merges_at_once_one_wins(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    for round in 0..5 {
        let mut contacts = Vec::new();
        for side in ["a", "b"] {
            let address = format!("{side}{round}@example.com");
            contacts.push(create(&fixture, side, &address).await);
            chat_with_address(&fixture, &format!("{side}{round}"), &address).await;
        }
        let (a, b) = (&contacts[0], &contacts[1]);
        let (one, other) = tokio::join!(merge(&fixture, request(a, b)), merge(&fixture, request(b, a)));
        let (merged, refused) = match (one, other) {
            (Ok(merged), Err(refused)) | (Err(refused), Ok(merged)) => (merged.contact.unwrap(), refused),
            both => panic!("{both:?}"),
        };
        assert_merged(&refused, &merged);
        assert_eq!((merged.emails.len(), conversations_of(&fixture, &a.id).await.len()), (2, 2));
        assert_eq!(get(&fixture, &a.id).await.unwrap(), get(&fixture, &b.id).await.unwrap());
    }
}

async fn x1_people_who_come_while_their_contact_is_merged_belong_to_the_one_that_is_left(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let target = create(&fixture, "Vera", "vera@example.com").await;
    let source = create(&fixture, "V.", "v@example.com").await;
    let channel = fixture.channel().await;
    let came = twenty(|n| {
        let mut chats = fixture.chats_with_address(&format!("v{n}"), "v@example.com");
        let (fixture, request, channel) = (&fixture, request(&source, &target), &channel);
        async move {
            if n == 10 {
                merge(fixture, request).await.unwrap();
                return;
            }
            chats.start_chat(start(&channel.id)).await.unwrap();
        }
    });
    came.await;
    let listed = conversations_of(&fixture, &target.id).await;
    assert_eq!(listed.len(), 19);
    for chat in listed {
        assert_eq!(fixture.conversation(&chat).await.contact_id, target.id);
    }
}

async fn x2_a_merge_is_refused_with_its_reason(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let emails = |letter: &str, count: usize| {
        (0..count).map(|n| email(&format!("{letter}{n}@example.com"), true)).collect::<Vec<_>>()
    };
    let new = |letter: &str, count| CreateContactRequest {
        emails: emails(letter, count),
        ..create_contact::request(letter, "")
    };
    let target = create_with(&fixture, new("t", 15)).await;
    let source = create_with(&fixture, new("s", 6)).await;
    let too_large = merge(&fixture, request(&source, &target)).await.unwrap_err();
    assert_eq!((too_large.code(), reason(&too_large).as_str()), (Code::FailedPrecondition, "MERGE_TOO_LARGE"));
    assert_eq!((metadata(&too_large, "what"), metadata(&too_large, "max_count")), ("EMAILS".into(), "20".into()));

    let itself = merge(&fixture, request(&target, &target)).await.unwrap_err();
    assert_eq!((itself.code(), reason(&itself).as_str()), (Code::InvalidArgument, "INVALID_FIELDS"));
    assert_eq!(itself.get_details_bad_request().unwrap().field_violations[0].field, "target_contact_id");

    let small = create(&fixture, "small", "small@example.com").await;
    let stale = MergeContactsRequest { source_etag: source.etag.clone(), ..request(&small, &target) };
    let stale_too = MergeContactsRequest { target_etag: source.etag.clone(), ..request(&small, &target) };
    for request in [stale, stale_too] {
        let refused = merge(&fixture, request).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Aborted, "ETAG_MISMATCH"));
    }
    let absent = new_id().to_string();
    let no_source = MergeContactsRequest { source_contact_id: absent.clone(), ..request(&small, &target) };
    let no_target = MergeContactsRequest { target_contact_id: absent, ..request(&small, &target) };
    for request in [no_source, no_target] {
        let refused = merge(&fixture, request).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
    }
    let gone = fixture.contacts_as(GONE).merge_contacts(request(&small, &target)).await.unwrap_err();
    assert_eq!((gone.code(), reason(&gone).as_str()), (Code::FailedPrecondition, "AGENT_NOT_ACTIVE"));
    for contact in [&source, &target, &small] {
        assert_eq!(get(&fixture, &contact.id).await.unwrap(), *contact, "nothing changed");
    }

    let contact = merged(&fixture, &small, &target).await;
    assert_merged(&merge(&fixture, request(&small, &source)).await.unwrap_err(), &contact);
    assert_merged(&merge(&fixture, request(&contact, &small)).await.unwrap_err(), &contact);
}

async fn s2_another_accounts_contact_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let target = create(&fixture, "Vera", "vera@example.com").await;
    let source = create(&fixture, "V.", "v@example.com").await;
    let mut elsewhere = ContactServiceClient::new(fixture.in_another_account().as_agent());
    let own = elsewhere.create_contact(create_contact::request("W", "w@example.com")).await.unwrap().into_inner();
    let own = own.contact.unwrap();
    for (source, target) in [(&source, &target), (&own, &target), (&source, &own)] {
        let refused = elsewhere.merge_contacts(request(source, target)).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
    }
    merged(&fixture, &source, &target).await;
    for contact_id in [source.id, target.id] {
        let get = GetContactRequest { contact_id: contact_id.clone() };
        assert_eq!(elsewhere.get_contact(get).await.unwrap_err().code(), Code::NotFound);
        let list = ListMergedContactsRequest { contact_id, ..ListMergedContactsRequest::default() };
        assert_eq!(elsewhere.list_merged_contacts(list).await.unwrap_err().code(), Code::NotFound);
    }
}
