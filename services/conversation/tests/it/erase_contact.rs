//! `ContactJobService` and the consumers `conversation.erasures_in_…`: rules X2, X2a, C14, S2.

use std::time::Duration;

use frontdesk_auth::CallerKind;
use frontdesk_proto::{
    conversation::{
        internal::v1::{GetClosingFactsRequest, ListErasedConversationsRequest, ListErasedConversationsResponse},
        v1::{
            Contact, ContactJob, ContactJobKind, ContactJobStatus, ConversationStatus, CreateAttachmentLinkRequest,
            CreateTicketRequest, Entry, EraseContactRequest, ErasedKind, GetChatRequest, GetContactJobRequest,
            GetContactRequest, GetTicketRequest, LeaveAddressRequest, LinkContactRequest, ListContactJobsRequest,
            ListContactsRequest, MergeContactsRequest, PostCommentRequest, ReopenConversationRequest,
            SearchConversationsRequest, SetConversationPropertiesRequest, StartChatRequest, TicketUpdatedEntry,
            UpdateContactRequest, UpdateTicketRequest, chat_entry, contact_job_service_client::ContactJobServiceClient,
            entry::Content,
        },
    },
    event::v1::{ContactDeleted, ContactErased, ContactErasureConfirmed, ContactErasureRequested, ConversationClosed},
};
use frontdesk_testkit::{Mode, metadata, new_id, on_both_modes, reason, request_id, wait_for, wait_until};
use http::StatusCode;
use tonic::{Code, Status};

use crate::{
    attachments,
    close_conversation::close,
    create_contact, create_ticket,
    fixture::{ADA, Fixture, start, twenty},
    record_answer,
};

on_both_modes!(
    x2_c14_an_erasure_leaves_order_and_kinds_and_nothing_of_the_person,
    x2_an_erasure_is_done_when_every_service_has_confirmed_it,
    x2_from_the_answer_on_the_contact_does_not_exist_and_nothing_is_written_for_it,
    x2_an_erased_conversation_stays_as_it_is,
    x2_c12_a_contact_is_erased_once_also_by_twenty_at_once,
    x2a_the_id_of_a_merged_contact_erases_the_one_that_is_left,
    x2_a_visitor_who_returns_is_somebody_new,
    x2_agents_erase_nothing,
    s2_another_accounts_contact_or_job_does_not_exist,
);

/// The services that erase their part after the conversation service.
const OTHERS: [&str; 3] = ["assignment", "bot-session", "notification"];

fn request(contact_id: &str) -> EraseContactRequest {
    EraseContactRequest { contact_id: contact_id.into(), request_id: request_id() }
}

async fn erase(fixture: &Fixture, contact_id: &str) -> Result<ContactJob, Status> {
    Ok(fixture.contact_jobs().erase_contact(request(contact_id)).await?.into_inner().contact_job.unwrap())
}

async fn job(fixture: &Fixture, id: &str) -> ContactJob {
    let request = GetContactJobRequest { contact_job_id: id.into() };
    fixture.contact_jobs().get_contact_job(request).await.unwrap().into_inner().contact_job.unwrap()
}

/// Waits until the conversation service has erased its part.
async fn own_part_done(fixture: &Fixture, id: &str) -> ContactJob {
    wait_for("the part of the conversation service", || async {
        Some(job(fixture, id).await).filter(|job| !job.missing_services.iter().any(|service| service == "conversation"))
    })
    .await
}

/// Erases the contact, and waits until the conversation service has erased its part.
async fn erased(fixture: &Fixture, contact_id: &str) -> ContactJob {
    let job = erase(fixture, contact_id).await.unwrap();
    own_part_done(fixture, &job.id).await
}

async fn confirm(fixture: &Fixture, service: &str, job: &ContactJob) {
    let confirmed = ContactErasureConfirmed { contact_id: job.contact_id.clone(), contact_job_id: job.id.clone() };
    fixture.service.publish(service, fixture.account, &confirmed).await;
}

async fn contact(fixture: &Fixture, contact_id: &str) -> Result<Contact, Status> {
    let request = GetContactRequest { contact_id: contact_id.into() };
    Ok(fixture.contacts().get_contact(request).await?.into_inner().contact.unwrap())
}

/// A chat of a visitor whose token vouches for the address, and its contact.
async fn chat_of_contact(fixture: &Fixture, visitor: &str, address: &str) -> (String, String) {
    let channel = fixture.channel().await;
    let mut chats = fixture.chats_with_address(visitor, address);
    let chat = chats.start_chat(start(&channel.id)).await.unwrap().into_inner().chat.unwrap().id;
    let contact_id = fixture.conversation(&chat).await.contact_id;
    (chat, contact_id)
}

async fn finds(fixture: &Fixture, word: &str) -> bool {
    let request = SearchConversationsRequest { query: word.into(), ..SearchConversationsRequest::default() };
    let found = fixture.conversations(ADA).search_conversations(request).await.unwrap().into_inner();
    !found.matches.is_empty()
}

fn assert_erased(refused: &Status) {
    assert_eq!((refused.code(), reason(refused).as_str()), (Code::NotFound, "NOT_FOUND"));
    assert_eq!((metadata(refused, "resource"), metadata(refused, "erased")), ("contact".into(), "true".into()));
}

fn assert_contact_erased(refused: &Status) {
    assert_eq!((refused.code(), reason(refused).as_str()), (Code::FailedPrecondition, "CONTACT_ERASED"));
}

async fn x2_c14_an_erasure_leaves_order_and_kinds_and_nothing_of_the_person(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let mut chats = fixture.chats_with_address("v", "canary@example.com");
    let begin = StartChatRequest {
        page_url: "https://shop.example/canary".into(),
        page_title: "Canary page".into(),
        text: "Canary one".into(),
        properties: [("order".to_owned(), "Canary 42".to_owned())].into(),
        ..start(&channel.id)
    };
    let chat = chats.start_chat(begin).await.unwrap().into_inner().chat.unwrap().id;
    let contact_id = fixture.conversation(&chat).await.contact_id;
    let update = UpdateContactRequest {
        contact_id: contact_id.clone(),
        name: Some("Canary Vera".into()),
        phone: Some("+39 canary".into()),
        external_id: Some("canary:7".into()),
        ..UpdateContactRequest::default()
    };
    fixture.contacts().update_contact(update).await.unwrap();
    let file = attachments::ready(&fixture, "v", &chat, "canary.txt", b"canary bytes").await;
    chats.send_message(attachments::send(&chat, "Canary two", [&file])).await.unwrap();
    let address =
        LeaveAddressRequest { chat_id: chat.clone(), email: "canary.too@example.com".into(), request_id: request_id() };
    chats.leave_address(address).await.unwrap();
    let comment = PostCommentRequest {
        conversation_id: chat.clone(),
        text: "Canary three".into(),
        request_id: request_id(),
        ..PostCommentRequest::default()
    };
    fixture.threads(ADA).post_comment(comment).await.unwrap();
    fixture.post(&chat, "Canary four").await;
    let ticket = CreateTicketRequest { subject: "Canary first subject".into(), ..create_ticket::request(&chat) };
    let ticket = fixture.tickets(ADA).create_ticket(ticket).await.unwrap().into_inner().ticket.unwrap();
    let renamed = UpdateTicketRequest {
        ticket_id: ticket.id.clone(),
        subject: Some("Canary second subject".into()),
        url: Some("https://help.example/canary".into()),
        ..UpdateTicketRequest::default()
    };
    fixture.tickets(ADA).update_ticket(renamed).await.unwrap();
    fixture.post(&chat, "Canary lastword").await;
    wait_until("the words of the last message", || async { finds(&fixture, "lastword").await }).await;
    close(&fixture, &chat).await;
    let link = CreateAttachmentLinkRequest { attachment_id: file.clone() };
    let url = fixture.attachments(ADA).create_attachment_link(link.clone()).await.unwrap().into_inner().url;
    assert_eq!(attachments::get(&fixture, &url).await.0, StatusCode::OK);
    let before = fixture.entries(&chat).await;

    let job = erased(&fixture, &contact_id).await;
    assert_eq!((job.kind(), job.contact_id.as_str()), (ContactJobKind::Erasure, contact_id.as_str()));
    let after = fixture.entries(&chat).await;
    let place = |entry: &Entry| (entry.sequence, entry.visitor_sequence, entry.create_time);
    assert_eq!(
        after.iter().take(before.len()).map(place).collect::<Vec<_>>(),
        before.iter().map(place).collect::<Vec<_>>()
    );
    let Some(Content::ContactErased(erasure)) = &after[before.len()].content else { panic!("{after:?}") };
    assert_eq!((after.len(), &erasure.contact_id), (before.len() + 1, &contact_id));
    for (old, new) in before.iter().zip(&after) {
        match (old.content.as_ref().unwrap(), new.content.as_ref().unwrap()) {
            (Content::Message(_), Content::Erased(erased)) => assert_eq!(erased.kind(), ErasedKind::Message),
            (Content::Comment(_), Content::Erased(erased)) => assert_eq!(erased.kind(), ErasedKind::Comment),
            (Content::AddressLeft(_), Content::Erased(erased)) => assert_eq!(erased.kind(), ErasedKind::AddressLeft),
            (Content::TicketUpdated(change), Content::TicketUpdated(left)) => {
                let expected = TicketUpdatedEntry { subject: None, url: None, ..change.clone() };
                assert_eq!(*left, expected);
            }
            (old, new) => assert_eq!(old, new),
        }
    }
    let conversation = fixture.conversation(&chat).await;
    assert_eq!(conversation.visitor_id, format!("erased:{chat}"));
    assert!(conversation.page_url.is_empty() && conversation.properties.is_empty(), "{conversation:?}");
    let shown = format!("{after:?} {conversation:?}").to_lowercase();
    assert!(!shown.contains("canary"), "{shown}");

    for word in ["canary", "lastword", "first", "second", "subject", "three"] {
        assert!(!finds(&fixture, word).await, "{word}");
    }
    for query in ["canary", "Vera"] {
        let request = ListContactsRequest { query: query.into(), ..ListContactsRequest::default() };
        assert!(fixture.contacts().list_contacts(request).await.unwrap().into_inner().contacts.is_empty());
    }
    let request = GetTicketRequest { ticket_id: ticket.id };
    let ticket = fixture.tickets(ADA).get_ticket(request).await.unwrap().into_inner().ticket.unwrap();
    assert_eq!((ticket.subject.as_str(), ticket.url.as_str(), &ticket.contact_id), ("", "", &contact_id));
    assert_eq!(attachments::get(&fixture, &url).await.0, StatusCode::NOT_FOUND);
    assert_eq!(fixture.attachments(ADA).create_attachment_link(link).await.unwrap_err().code(), Code::NotFound);
    let facts = GetClosingFactsRequest { conversation_id: chat, close_number: 1 };
    let facts = fixture.on_behalf_of("service:notification", facts);
    let facts = fixture.arbiter("notification").get_closing_facts(facts).await.unwrap().into_inner();
    assert_eq!((facts.recipient_email.as_str(), facts.visitor_name.as_str()), ("", ""));
}

async fn x2_an_erasure_is_done_when_every_service_has_confirmed_it(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (chat, contact_id) = chat_of_contact(&fixture, "v", "vera@example.com").await;
    let job = erased(&fixture, &contact_id).await;
    assert_eq!(job.missing_services, OTHERS);
    let asked = ContactErasureRequested { contact_id: contact_id.clone(), contact_job_id: job.id.clone() };
    assert_eq!(fixture.service.appended::<ContactErasureRequested>().await, [asked]);
    // What the others ask about.
    let list = ListErasedConversationsRequest { contact_job_id: job.id.clone(), after: String::new() };
    let list = fixture.on_behalf_of("service:notification", list);
    let listed = fixture.arbiter("notification").list_erased_conversations(list).await.unwrap().into_inner();
    let expected = ListErasedConversationsResponse {
        contact_ids: vec![contact_id.clone()],
        conversation_ids: vec![chat],
        has_more: false,
    };
    assert_eq!(listed, expected);

    // The time in which a reader may still have what it read before has passed.
    fixture.service.clock.advance(Duration::from_secs(13)).unwrap();
    for (confirmed, service) in OTHERS.into_iter().enumerate() {
        let waiting = self::job(&fixture, &job.id).await;
        assert_eq!(
            (waiting.status(), &waiting.missing_services[..]),
            (ContactJobStatus::Running, &OTHERS.map(str::to_owned)[confirmed..])
        );
        for _ in 0..2 {
            confirm(&fixture, service, &job).await;
        }
        fixture.service.settled().await;
    }
    let done = wait_for("the end of the job", || async {
        Some(self::job(&fixture, &job.id).await).filter(|job| job.status() == ContactJobStatus::Done)
    })
    .await;
    assert!(done.missing_services.is_empty() && done.end_time.is_some(), "{done:?}");
    let ended = ContactErased { contact_id, contact_job_id: job.id };
    assert_eq!(fixture.service.appended::<ContactErased>().await, [ended]);
}

async fn x2_from_the_answer_on_the_contact_does_not_exist_and_nothing_is_written_for_it(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    record_answer::record(&fixture, record_answer::answer(&chat, "email", "vera@example.com")).await.unwrap();
    let contact_id = fixture.conversation(&chat.id).await.contact_id;
    let other = fixture.chat("w").await.id;
    let job = erase(&fixture, &contact_id).await.unwrap();

    assert_erased(&contact(&fixture, &contact_id).await.unwrap_err());
    let update = UpdateContactRequest {
        contact_id: contact_id.clone(),
        name: Some("Vera".into()),
        ..UpdateContactRequest::default()
    };
    assert_erased(&fixture.contacts().update_contact(update).await.unwrap_err());
    let link = LinkContactRequest { conversation_id: other, contact_id: contact_id.clone() };
    assert_eq!(fixture.conversations(ADA).link_contact(link).await.unwrap_err().code(), Code::NotFound);
    let conversation = fixture.conversation(&chat.id).await;
    assert_eq!((conversation.status(), conversation.bot_session), (ConversationStatus::Closed, None));
    let closed = fixture.service.appended::<ConversationClosed>().await.pop().unwrap();
    assert_eq!((closed.conversation_id.as_str(), closed.email_usable), (chat.id.as_str(), false));
    let late = record_answer::record(&fixture, record_answer::answer(&chat, "name", "Vera")).await.unwrap_err();
    assert_ne!(late.code(), Code::Internal, "{late:?}");
    assert!(contact(&fixture, &contact_id).await.is_err(), "a late answer of the bot makes no contact");
    let deleted = fixture.service.appended::<ContactDeleted>().await;
    assert_eq!(deleted, [ContactDeleted { contact_id }]);
    // The address is free for somebody else.
    create_contact::create(&fixture, "Nina", "vera@example.com").await;
    own_part_done(&fixture, &job.id).await;
}

async fn x2_an_erased_conversation_stays_as_it_is(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (chat, contact_id) = chat_of_contact(&fixture, "v", "vera@example.com").await;
    fixture.post(&chat, "hello").await;
    let other = create_contact::create(&fixture, "Nina", "nina@example.com").await;
    erased(&fixture, &contact_id).await;

    let mut conversations = fixture.conversations(ADA);
    let reopen = ReopenConversationRequest { conversation_id: chat.clone(), ..ReopenConversationRequest::default() };
    assert_contact_erased(&conversations.reopen_conversation(reopen).await.unwrap_err());
    let link = LinkContactRequest { conversation_id: chat.clone(), contact_id: other.id };
    assert_contact_erased(&conversations.link_contact(link).await.unwrap_err());
    let properties = SetConversationPropertiesRequest {
        conversation_id: chat.clone(),
        properties: [("order".to_owned(), "42".to_owned())].into(),
        request_id: request_id(),
    };
    assert_contact_erased(&conversations.set_conversation_properties(properties).await.unwrap_err());
    let ticket = create_ticket::request(&chat);
    assert_contact_erased(&fixture.tickets(ADA).create_ticket(ticket).await.unwrap_err());
    // The team goes on among itself: what was done about the erasure is worth a note.
    let note = PostCommentRequest {
        conversation_id: chat.clone(),
        text: "done".into(),
        request_id: request_id(),
        ..PostCommentRequest::default()
    };
    fixture.threads(ADA).post_comment(note).await.unwrap();
    // The visitor has no such chat any more.
    let request = GetChatRequest { chat_id: chat.clone() };
    assert_eq!(fixture.chats("v").get_chat(request).await.unwrap_err().code(), Code::NotFound);
    let entries = fixture.entries(&chat).await;
    assert!(matches!(entries.last().unwrap().content, Some(Content::Comment(_))), "{entries:?}");
    let erased = entries.iter().filter(|entry| matches!(entry.content, Some(Content::Erased(_)))).count();
    assert_eq!(erased, 1, "the message");
}

async fn x2_c12_a_contact_is_erased_once_also_by_twenty_at_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (chat, contact_id) = chat_of_contact(&fixture, "v", "vera@example.com").await;
    let repeat = request(&contact_id);
    let jobs = twenty(|number| {
        let request = if number % 2 == 0 { repeat.clone() } else { request(&contact_id) };
        let jobs = fixture.contact_jobs();
        async move {
            wait_for("the answer", || {
                let (mut jobs, request) = (jobs.clone(), request.clone());
                async move { jobs.erase_contact(request).await.ok() }
            })
            .await
            .into_inner()
            .contact_job
            .unwrap()
            .id
        }
    })
    .await;
    assert!(jobs.iter().all(|id| *id == jobs[0]), "{jobs:?}");
    own_part_done(&fixture, &jobs[0]).await;
    assert_eq!(erase(&fixture, &contact_id).await.unwrap().id, jobs[0], "a later call");
    let other = EraseContactRequest { contact_id: new_id().to_string(), ..repeat };
    assert_eq!(reason(&fixture.contact_jobs().erase_contact(other).await.unwrap_err()), "REQUEST_ID_REUSED");
    let listed = fixture.contact_jobs().list_contact_jobs(ListContactJobsRequest::default()).await.unwrap();
    assert_eq!(listed.into_inner().contact_jobs.len(), 1);
    let entries = fixture.entries(&chat).await;
    let marks = entries.iter().filter(|entry| matches!(entry.content, Some(Content::ContactErased(_))));
    assert_eq!(marks.count(), 1);
    assert_eq!(fixture.service.appended::<ContactErasureRequested>().await.len(), 1);
}

async fn x2a_the_id_of_a_merged_contact_erases_the_one_that_is_left(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (chat, source_id) = chat_of_contact(&fixture, "v", "vera@example.com").await;
    let source = contact(&fixture, &source_id).await.unwrap();
    let target = create_contact::create(&fixture, "Vera", "v@example.com").await;
    let merge = MergeContactsRequest {
        source_contact_id: source.id.clone(),
        source_etag: source.etag,
        target_contact_id: target.id.clone(),
        target_etag: target.etag,
        request_id: request_id(),
    };
    fixture.contacts().merge_contacts(merge).await.unwrap();

    let job = erased(&fixture, &source.id).await;
    assert_eq!(job.contact_id, target.id);
    for id in [&source.id, &target.id] {
        assert_erased(&contact(&fixture, id).await.unwrap_err());
        assert_eq!(erase(&fixture, id).await.unwrap().id, job.id);
    }
    assert!(fixture.conversation(&chat).await.visitor_id.starts_with("erased:"));
    let list = ListErasedConversationsRequest { contact_job_id: job.id, after: String::new() };
    let list = fixture.on_behalf_of("service:notification", list);
    let mut listed = fixture.arbiter("notification").list_erased_conversations(list).await.unwrap().into_inner();
    listed.contact_ids.sort();
    let mut both = vec![source.id, target.id];
    both.sort();
    assert_eq!((listed.contact_ids, listed.conversation_ids), (both, vec![chat]));
}

async fn x2_a_visitor_who_returns_is_somebody_new(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let mut chats = fixture.chats_with_address("v", "vera@example.com");
    let first = chats.start_chat(start(&channel.id)).await.unwrap().into_inner().chat.unwrap().id;
    let contact_id = fixture.conversation(&first).await.contact_id;
    erased(&fixture, &contact_id).await;
    let second = chats.start_chat(start(&channel.id)).await.unwrap().into_inner().chat.unwrap().id;
    let conversation = fixture.conversation(&second).await;
    assert!(conversation.previous_conversation_id.is_empty(), "{conversation:?}");
    assert_ne!(conversation.contact_id, contact_id);
    assert_eq!(contact(&fixture, &conversation.contact_id).await.unwrap().emails[0].email, "vera@example.com");
    let entries = fixture.chat_entries("v", &second).await;
    assert!(entries.iter().all(|entry| !matches!(entry.content, Some(chat_entry::Content::Erased(_)))));
}

async fn x2_agents_erase_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (_, contact_id) = chat_of_contact(&fixture, "v", "vera@example.com").await;
    let permit = |claims: &mut frontdesk_auth::Claims| claims.permissions = vec!["contacts.erase".into()];
    let agent = fixture.service.calls_with(fixture.account, CallerKind::Agent, &ADA.to_string(), permit);
    let without = |claims: &mut frontdesk_auth::Claims| claims.permissions = vec!["contacts.write".into()];
    let admin = fixture.service.calls_with(fixture.account, CallerKind::Admin, "root", without);
    for calls in [agent, admin] {
        let refused = ContactJobServiceClient::new(calls).erase_contact(request(&contact_id)).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
    }
    contact(&fixture, &contact_id).await.unwrap();
}

async fn s2_another_accounts_contact_or_job_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (_, contact_id) = chat_of_contact(&fixture, "v", "vera@example.com").await;
    let elsewhere = fixture.in_another_account();
    let mut jobs = ContactJobServiceClient::new(elsewhere.as_admin());
    assert_eq!(jobs.erase_contact(request(&contact_id)).await.unwrap_err().code(), Code::NotFound);
    let job = erased(&fixture, &contact_id).await;
    let refused = jobs.erase_contact(request(&contact_id)).await.unwrap_err();
    assert_eq!((refused.code(), metadata(&refused, "erased")), (Code::NotFound, String::new()));
    let get = GetContactJobRequest { contact_job_id: job.id.clone() };
    assert_eq!(jobs.get_contact_job(get).await.unwrap_err().code(), Code::NotFound);
    assert!(
        jobs.list_contact_jobs(ListContactJobsRequest::default()).await.unwrap().into_inner().contact_jobs.is_empty()
    );
    // Nor is it confirmed from there.
    let confirmed = ContactErasureConfirmed { contact_id, contact_job_id: job.id.clone() };
    fixture.service.publish("notification", elsewhere.account, &confirmed).await;
    fixture.service.settled().await;
    assert_eq!(self::job(&fixture, &job.id).await.missing_services, OTHERS);
}
