//! `LinkContact`: rule X1.

use frontdesk_proto::{
    conversation::v1::{
        CreateContactRequest, LinkContactRequest, conversation_service_client::ConversationServiceClient,
        entry::Content,
    },
    event::v1::ConversationUpdated,
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, reason, request_id};
use tonic::Code;

use crate::fixture::{ADA, BOB, Fixture, GONE, twenty};

on_both_modes!(
    x1_the_conversation_belongs_to_the_contact_and_the_thread_reports_it_once,
    x1_twenty_links_at_once_are_reported_once,
    x1_a_link_raises_the_version_of_each_chat_that_it_changes_with_an_event,
    x1_a_contact_that_does_not_exist_or_a_deactivated_agent_links_nothing,
    s2_another_accounts_conversation_does_not_exist,
);

async fn contact(fixture: &Fixture) -> String {
    let request =
        CreateContactRequest { name: "Vera".into(), request_id: request_id(), ..CreateContactRequest::default() };
    fixture.contacts().create_contact(request).await.unwrap().into_inner().contact.unwrap().id
}

/// An agent links the conversation to a new contact.
pub async fn link_new_contact(fixture: &Fixture, conversation: &str) {
    let contact = contact(fixture).await;
    fixture.conversations(ADA).link_contact(request(conversation, &contact)).await.unwrap();
}

fn request(conversation: &str, contact: &str) -> LinkContactRequest {
    LinkContactRequest { conversation_id: conversation.into(), contact_id: contact.into() }
}

async fn links(fixture: &Fixture, conversation: &str) -> usize {
    let entries = fixture.entries(conversation).await;
    entries.iter().filter(|entry| matches!(entry.content, Some(Content::ContactLinked(_)))).count()
}

async fn x1_the_conversation_belongs_to_the_contact_and_the_thread_reports_it_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (chat, contact) = (fixture.chat("v").await, contact(&fixture).await);
    for _ in 0..2 {
        let linked = fixture.conversations(ADA).link_contact(request(&chat.id, &contact)).await.unwrap().into_inner();
        assert_eq!(linked.conversation.unwrap().contact_id, contact);
    }
    assert_eq!(links(&fixture, &chat.id).await, 1);
}

async fn x1_twenty_links_at_once_are_reported_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (chat, contact) = (fixture.chat("v").await, contact(&fixture).await);
    let linked = twenty(|_| {
        let (mut conversations, request) = (fixture.conversations(ADA), request(&chat.id, &contact));
        async move { conversations.link_contact(request).await.unwrap() }
    });
    linked.await;
    assert_eq!(links(&fixture, &chat.id).await, 1);
}

async fn x1_a_link_raises_the_version_of_each_chat_that_it_changes_with_an_event(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let old = fixture.chat_on(&channel, "v").await.id;
    crate::close_conversation::close(&fixture, &old).await;
    let new = fixture.chat_on(&channel, "v").await.id;
    let contact = contact(&fixture).await;
    let mut versions = Vec::new();
    for agent in [ADA, BOB] {
        versions.push([fixture.conversation(&old).await.version, fixture.conversation(&new).await.version]);
        fixture.conversations(agent).link_contact(request(&new, &contact)).await.unwrap();
    }
    let linked = [fixture.conversation(&old).await, fixture.conversation(&new).await];
    assert!(linked.iter().all(|one| one.contact_id == contact));
    assert_eq!(versions[1], versions[0].map(|version| version + 1));
    assert_eq!(linked.map(|one| one.version), versions[1], "linking again changes nothing");
    let events = fixture.service.appended::<ConversationUpdated>().await;
    let mut updated: Vec<_> = events.into_iter().map(|event| event.conversation_id).collect();
    updated.sort_unstable();
    let mut both = [old, new];
    both.sort_unstable();
    assert_eq!(updated, both);
}

async fn x1_a_contact_that_does_not_exist_or_a_deactivated_agent_links_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (chat, contact) = (fixture.chat("v").await, contact(&fixture).await);
    let absent = request(&chat.id, &new_id().to_string());
    let refused = fixture.conversations(ADA).link_contact(absent).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
    let refused = fixture.conversations(GONE).link_contact(request(&chat.id, &contact)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "AGENT_NOT_ACTIVE"));
    assert_eq!(links(&fixture, &chat.id).await, 0);
}

async fn s2_another_accounts_conversation_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (chat, contact) = (fixture.chat("v").await, contact(&fixture).await);
    let mut conversations = ConversationServiceClient::new(fixture.in_another_account().as_agent());
    let refused = conversations.link_contact(request(&chat.id, &contact)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}
