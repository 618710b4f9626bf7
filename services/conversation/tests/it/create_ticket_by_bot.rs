//! `CreateTicketByBot`: rules B6, X3, A3, C12.

use frontdesk_proto::{
    conversation::{
        internal::v1::{CreateTicketByBotRequest, CreateTicketByBotResponse},
        v1::{Ticket, entry::Content},
    },
    event::v1::TicketCreated,
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, reason, request_id};
use tonic::{Code, Status};

use crate::{
    fixture::{BotChat, Fixture, ROBIN, twenty},
    record_answer::{answer, record},
};

on_both_modes!(
    x3_b6_the_bots_ticket_belongs_to_the_contact_and_is_an_entry_of_the_bot,
    c12_twenty_repeats_at_once_create_one_ticket,
    x3_an_unknown_visitor_gets_no_ticket,
    a3_a_session_that_is_not_in_charge_creates_nothing,
    s2_another_accounts_conversation_does_not_exist,
);

fn request(chat: &BotChat) -> CreateTicketByBotRequest {
    CreateTicketByBotRequest {
        conversation_id: chat.id.clone(),
        bot_session_id: chat.session.clone(),
        subject: "Call back".into(),
        request_id: request_id(),
    }
}

async fn create(fixture: &Fixture, request: CreateTicketByBotRequest) -> Result<CreateTicketByBotResponse, Status> {
    Ok(fixture.arbiter("bot-session").create_ticket_by_bot(fixture.by_robin(request)).await?.into_inner())
}

/// A chat whose visitor has said their name.
async fn known_chat(fixture: &Fixture) -> BotChat {
    let chat = fixture.bot_chat("v").await;
    record(fixture, answer(&chat, "name", "Vera")).await.unwrap();
    chat
}

async fn x3_b6_the_bots_ticket_belongs_to_the_contact_and_is_an_entry_of_the_bot(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = known_chat(&fixture).await;
    let first = request(&chat);
    let ticket: Ticket = create(&fixture, first.clone()).await.unwrap().ticket.unwrap();
    assert_eq!(create(&fixture, first.clone()).await.unwrap().ticket, Some(ticket.clone()));
    let other = create(&fixture, CreateTicketByBotRequest { subject: "Other".into(), ..first }).await.unwrap_err();
    assert_eq!(reason(&other), "REQUEST_ID_REUSED");
    assert_eq!(ticket.contact_id, fixture.conversation(&chat.id).await.contact_id);
    let entry = fixture.entries(&chat.id).await.pop().unwrap();
    assert_eq!(entry.author.unwrap().id, ROBIN.to_string());
    assert!(matches!(entry.content, Some(Content::TicketCreated(created)) if created.ticket_id == ticket.id));
}

async fn c12_twenty_repeats_at_once_create_one_ticket(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let request = request(&known_chat(&fixture).await);
    let answers = twenty(|_| create(&fixture, request.clone())).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(fixture.service.appended::<TicketCreated>().await.len(), 1);
}

async fn x3_an_unknown_visitor_gets_no_ticket(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let refused = create(&fixture, request(&chat)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "CONTACT_UNKNOWN"));
    assert!(fixture.service.appended::<TicketCreated>().await.is_empty());
}

async fn a3_a_session_that_is_not_in_charge_creates_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = known_chat(&fixture).await;
    let other = CreateTicketByBotRequest { bot_session_id: new_id().to_string(), ..request(&chat) };
    let refused = create(&fixture, other).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Aborted, "BOT_SESSION_NOT_IN_CHARGE"));
    assert!(fixture.service.appended::<TicketCreated>().await.is_empty());
}

async fn s2_another_accounts_conversation_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = known_chat(&fixture).await;
    let other = fixture.in_another_account().account;
    let request = fixture.on_behalf_of_in(other, &format!("bot:{ROBIN}"), request(&chat));
    let refused = fixture.arbiter("bot-session").create_ticket_by_bot(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}
