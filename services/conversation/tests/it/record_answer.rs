//! `RecordAnswer`: rules B6, X1.

use frontdesk_proto::conversation::{
    internal::v1::{RecordAnswerRequest, RecordAnswerResponse},
    v1::{Contact, ContactEmail, CreateContactRequest, GetContactRequest},
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, reason, request_id};
use tonic::{Code, Status};

use crate::fixture::{BotChat, Fixture, ROBIN, twenty};

on_both_modes!(
    x1_answers_become_the_visitors_own_contact_and_a_repeat_changes_nothing,
    x1_an_address_of_another_contact_is_only_claimed,
    b6_a_session_that_is_not_in_charge_records_nothing,
    b6_twenty_answers_at_once_make_one_contact,
    b6_c12_a_late_repeat_of_an_answer_does_not_replace_a_newer_one,
    s2_another_accounts_conversation_does_not_exist,
);

pub fn answer(chat: &BotChat, property: &str, value: &str) -> RecordAnswerRequest {
    RecordAnswerRequest {
        conversation_id: chat.id.clone(),
        bot_session_id: chat.session.clone(),
        property: property.into(),
        value: value.into(),
        request_id: request_id(),
    }
}

pub async fn record(fixture: &Fixture, request: RecordAnswerRequest) -> Result<RecordAnswerResponse, Status> {
    Ok(fixture.arbiter("bot-session").record_answer(fixture.by_robin(request)).await?.into_inner())
}

async fn contact_of(fixture: &Fixture, chat: &BotChat) -> Contact {
    let contact_id = fixture.conversation(&chat.id).await.contact_id;
    fixture.contacts().get_contact(GetContactRequest { contact_id }).await.unwrap().into_inner().contact.unwrap()
}

async fn x1_answers_become_the_visitors_own_contact_and_a_repeat_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    for _ in 0..2 {
        for (property, value) in [("email", "Vera@Example.com"), ("name", " Vera  V. "), ("order", "42")] {
            record(&fixture, answer(&chat, property, value)).await.unwrap();
        }
    }
    let contact = contact_of(&fixture, &chat).await;
    assert_eq!((contact.name.as_str(), contact.properties["order"].as_str()), ("Vera V.", "42"));
    let [email] = &contact.emails[..] else { panic!("{contact:?}") };
    assert_eq!((email.email.as_str(), email.verified), ("vera@example.com", false));
    let wrong = record(&fixture, answer(&chat, "email", "nowhere")).await.unwrap_err();
    assert_eq!(wrong.code(), Code::InvalidArgument);
}

async fn x1_an_address_of_another_contact_is_only_claimed(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let new = CreateContactRequest {
        name: "Vera".into(),
        emails: vec![ContactEmail { email: "vera@example.com".into(), verified: true }],
        request_id: request_id(),
        ..CreateContactRequest::default()
    };
    let vera = fixture.contacts().create_contact(new).await.unwrap().into_inner().contact.unwrap();
    let chat = fixture.bot_chat("v").await;
    record(&fixture, answer(&chat, "email", "vera@example.com")).await.unwrap();
    record(&fixture, answer(&chat, "name", "Mallory")).await.unwrap();
    let contact = contact_of(&fixture, &chat).await;
    assert_eq!(contact, vera, "linked for the team, and unchanged");
}

async fn b6_a_session_that_is_not_in_charge_records_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let other = RecordAnswerRequest { bot_session_id: new_id().to_string(), ..answer(&chat, "name", "Vera") };
    let refused = record(&fixture, other).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Aborted, "BOT_SESSION_NOT_IN_CHARGE"));
    assert!(fixture.conversation(&chat.id).await.contact_id.is_empty());
}

async fn b6_twenty_answers_at_once_make_one_contact(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let answers = twenty(|_| record(&fixture, answer(&chat, "email", "vera@example.com"))).await;
    let mut contacts: Vec<_> =
        answers.into_iter().map(|answer| answer.unwrap().conversation.unwrap().contact_id).collect();
    contacts.dedup();
    assert_eq!(contacts.len(), 1);
}

async fn b6_c12_a_late_repeat_of_an_answer_does_not_replace_a_newer_one(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let first = answer(&chat, "name", "Ann");
    record(&fixture, first.clone()).await.unwrap();
    record(&fixture, answer(&chat, "name", "Anna")).await.unwrap();
    let before = contact_of(&fixture, &chat).await;
    record(&fixture, first.clone()).await.unwrap();
    assert_eq!((before.name.as_str(), &contact_of(&fixture, &chat).await), ("Anna", &before));
    let other = record(&fixture, RecordAnswerRequest { value: "Bea".into(), ..first }).await.unwrap_err();
    assert_eq!(reason(&other), "REQUEST_ID_REUSED");
}

async fn s2_another_accounts_conversation_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let other = fixture.in_another_account().account;
    let request = fixture.on_behalf_of_in(other, &format!("bot:{ROBIN}"), answer(&chat, "name", "Vera"));
    let refused = fixture.arbiter("bot-session").record_answer(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}
