//! `LeaveAddress`: rules X1, S3.

use frontdesk_proto::conversation::v1::{
    ContactEmail, CreateContactRequest, GetContactRequest, LeaveAddressRequest, entry::Content,
};
use frontdesk_testkit::{Mode, on_both_modes, reason, request_id};
use tonic::{Code, Status};

use crate::{
    close_conversation::close,
    fixture::{Fixture, twenty},
};

on_both_modes!(
    x1_an_address_makes_a_contact_and_a_repeat_changes_nothing,
    x1_an_address_of_another_contact_is_only_claimed_and_not_shown,
    x1_an_address_can_be_left_with_a_closed_chat,
    x1_the_thread_has_each_address_also_one_that_the_contact_does_not_get,
    x1_twenty_addresses_at_once_make_one_contact,
    s4_a_visitor_leaves_at_most_ten_addresses_within_an_hour,
    s3_another_visitors_chat_and_wrong_addresses_are_refused,
);

pub fn address(chat: &str, email: &str) -> LeaveAddressRequest {
    LeaveAddressRequest { chat_id: chat.into(), email: email.into(), request_id: request_id() }
}

pub async fn leave(fixture: &Fixture, visitor: &str, request: LeaveAddressRequest) -> Result<String, Status> {
    Ok(fixture.chats(visitor).leave_address(request).await?.into_inner().email)
}

pub async fn emails(fixture: &Fixture, contact_id: String) -> Vec<(String, bool)> {
    let contact = fixture.contacts().get_contact(GetContactRequest { contact_id }).await.unwrap().into_inner().contact;
    contact.unwrap().emails.into_iter().map(|email| (email.email, email.verified)).collect()
}

async fn x1_an_address_makes_a_contact_and_a_repeat_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let request = address(&chat, "  Vera@Example.COM ");
    for _ in 0..2 {
        assert_eq!(leave(&fixture, "v", request.clone()).await.unwrap(), "vera@example.com");
    }
    let conversation = fixture.conversation(&chat).await;
    assert_eq!(emails(&fixture, conversation.contact_id).await, [("vera@example.com".to_owned(), false)]);
    let links = fixture.entries(&chat).await;
    let links: Vec<_> = links.iter().filter(|entry| matches!(entry.content, Some(Content::ContactLinked(_)))).collect();
    let [link] = &links[..] else { panic!("{links:?}") };
    assert_eq!((link.author.as_ref().unwrap().id.as_str(), link.visitor_sequence), ("v", 0));
    let other = LeaveAddressRequest { email: "w@example.com".into(), ..request };
    assert_eq!(reason(&leave(&fixture, "v", other).await.unwrap_err()), "REQUEST_ID_REUSED");
}

async fn x1_an_address_of_another_contact_is_only_claimed_and_not_shown(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let new = CreateContactRequest {
        name: "Vera".into(),
        emails: vec![ContactEmail { email: "vera@example.com".into(), verified: true }],
        request_id: request_id(),
        ..CreateContactRequest::default()
    };
    let vera = fixture.contacts().create_contact(new).await.unwrap().into_inner().contact.unwrap();
    let chat = fixture.chat("mallory").await.id;
    assert_eq!(leave(&fixture, "mallory", address(&chat, "vera@example.com")).await.unwrap(), "vera@example.com");
    assert_eq!(fixture.conversation(&chat).await.contact_id, vera.id);
    let request = GetContactRequest { contact_id: vera.id.clone() };
    let after = fixture.contacts().get_contact(request).await.unwrap().into_inner().contact.unwrap();
    assert_eq!(after, vera, "linked for the team, and unchanged");
}

async fn x1_an_address_can_be_left_with_a_closed_chat(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    close(&fixture, &chat).await;
    leave(&fixture, "v", address(&chat, "vera@example.com")).await.unwrap();
    assert_ne!(fixture.conversation(&chat).await.contact_id, "");
}

async fn x1_the_thread_has_each_address_also_one_that_the_contact_does_not_get(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let other = fixture.chat("w").await.id;
    leave(&fixture, "w", address(&other, "taken@example.com")).await.unwrap();
    let chat = fixture.chat("v").await.id;
    for email in ["tpyo@example.com", "taken@example.com"] {
        leave(&fixture, "v", address(&chat, email)).await.unwrap();
    }
    let contact = fixture.conversation(&chat).await.contact_id;
    assert_eq!(emails(&fixture, contact).await, [("tpyo@example.com".to_owned(), false)]);
    let left: Vec<_> = fixture
        .entries(&chat)
        .await
        .into_iter()
        .filter_map(|entry| match entry.content {
            Some(Content::AddressLeft(left)) => Some((left.email, entry.visitor_sequence)),
            _ => None,
        })
        .collect();
    assert_eq!(left, [("tpyo@example.com".to_owned(), 0), ("taken@example.com".to_owned(), 0)]);
}

async fn x1_twenty_addresses_at_once_make_one_contact(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let left =
        twenty(async |number| leave(&fixture, "v", address(&chat, &format!("vera{}@example.com", number % 2))).await);
    let left = left.await;
    assert_eq!(left.iter().filter(|left| left.is_ok()).count(), 10, "{left:?}");
    assert!(left.iter().flat_map(|left| left.as_ref().err()).all(|refused| reason(refused) == "RATE_LIMITED"));
    let mut emails = emails(&fixture, fixture.conversation(&chat).await.contact_id).await;
    emails.sort();
    assert_eq!(emails, [("vera0@example.com".to_owned(), false), ("vera1@example.com".to_owned(), false)]);
}

async fn s4_a_visitor_leaves_at_most_ten_addresses_within_an_hour(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let first = address(&chat, "vera@example.com");
    for number in 0..10 {
        let request = if number == 0 { first.clone() } else { address(&chat, "vera@example.com") };
        leave(&fixture, "v", request).await.unwrap();
    }
    let refused = leave(&fixture, "v", address(&chat, "vera@example.com")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::ResourceExhausted, "RATE_LIMITED"));
    leave(&fixture, "v", first).await.expect("a repeat is no other address");
    let other = fixture.chat("w").await.id;
    leave(&fixture, "w", address(&other, "w@example.com")).await.unwrap();
}

async fn s3_another_visitors_chat_and_wrong_addresses_are_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let foreign = leave(&fixture, "w", address(&chat, "w@example.com")).await.unwrap_err();
    assert_eq!((foreign.code(), reason(&foreign)), (Code::NotFound, "NOT_FOUND".into()));
    for wrong in ["", "nowhere", "a@b", "two@example.com,three@example.com", " "] {
        let refused = leave(&fixture, "v", address(&chat, wrong)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{wrong:?}");
        assert!(refused.message().contains("email: "), "{refused:?}");
    }
    assert_eq!(fixture.conversation(&chat).await.contact_id, "");
}
