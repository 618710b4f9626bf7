//! `GetVisitorProperties`: rules B6, X1.

use frontdesk_proto::conversation::{
    internal::v1::{GetVisitorPropertiesRequest, GetVisitorPropertiesResponse},
    v1::{ContactEmail, CreateContactRequest},
};
use frontdesk_testkit::{Mode, on_both_modes, request_id};
use tonic::{Code, Status};

use crate::{
    fixture::{Fixture, ROBIN},
    record_answer::{answer, record},
};

on_both_modes!(
    b6_answers_are_properties_of_the_visitor,
    x1_a_contact_whom_the_visitor_only_claims_to_be_shows_nothing,
    s2_another_accounts_conversation_does_not_exist,
);

async fn get(fixture: &Fixture, conversation: &str) -> Result<GetVisitorPropertiesResponse, Status> {
    let request = GetVisitorPropertiesRequest { conversation_id: conversation.into() };
    Ok(fixture.arbiter("bot-session").get_visitor_properties(fixture.by_robin(request)).await?.into_inner())
}

async fn b6_answers_are_properties_of_the_visitor(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    assert!(get(&fixture, &chat.id).await.unwrap().properties.is_empty());
    for (property, value) in [("email", "vera@example.com"), ("name", "Vera"), ("plan", "gold")] {
        record(&fixture, answer(&chat, property, value)).await.unwrap();
    }
    let known: Vec<_> = get(&fixture, &chat.id).await.unwrap().properties.into_iter().collect();
    let expected = [("email", "vera@example.com"), ("name", "Vera"), ("plan", "gold")];
    assert_eq!(known, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

async fn x1_a_contact_whom_the_visitor_only_claims_to_be_shows_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let vera = CreateContactRequest {
        name: "Vera".into(),
        emails: vec![ContactEmail { email: "vera@example.com".into(), verified: true }],
        language: "it".into(),
        request_id: request_id(),
        ..CreateContactRequest::default()
    };
    fixture.contacts().create_contact(vera).await.unwrap();
    let chat = fixture.bot_chat("v").await;
    record(&fixture, answer(&chat, "email", "vera@example.com")).await.unwrap();
    assert!(!fixture.conversation(&chat.id).await.contact_id.is_empty());
    let known = get(&fixture, &chat.id).await.unwrap();
    assert!(known.properties.is_empty() && known.language.is_empty(), "{known:?}");
}

async fn s2_another_accounts_conversation_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let other = fixture.in_another_account().account;
    let request = GetVisitorPropertiesRequest { conversation_id: chat.id };
    let request = fixture.on_behalf_of_in(other, &format!("bot:{ROBIN}"), request);
    let refused = fixture.arbiter("bot-session").get_visitor_properties(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
}
