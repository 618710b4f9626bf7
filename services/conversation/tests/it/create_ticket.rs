//! `CreateTicket`: rules X3, T2, C12.

use frontdesk_proto::{
    conversation::v1::{
        CreateContactRequest, CreateTicketRequest, LinkContactRequest, Ticket, TicketStatus, entry::Content,
        ticket_service_client::TicketServiceClient,
    },
    event::v1::{ConversationClosed, TicketCreated},
};
use frontdesk_testkit::{Mode, on_both_modes, reason, request_id};
use tonic::Code;

use crate::fixture::{ADA, Fixture, GONE, twenty};

on_both_modes!(
    x3_t2_a_ticket_belongs_to_the_contact_and_counts_for_the_close,
    c12_twenty_repeats_at_once_create_one_ticket,
    x3_a_conversation_without_contact_or_a_deactivated_agent_creates_nothing,
    s2_another_accounts_conversation_does_not_exist,
);

pub fn request(conversation: &str) -> CreateTicketRequest {
    CreateTicketRequest {
        conversation_id: conversation.into(),
        subject: "Refund".into(),
        request_id: request_id(),
        ..CreateTicketRequest::default()
    }
}

/// A chat that is linked to a contact.
pub async fn linked_chat(fixture: &Fixture) -> String {
    let chat = fixture.chat("v").await;
    let contact =
        CreateContactRequest { name: "V".into(), request_id: request_id(), ..CreateContactRequest::default() };
    let contact = fixture.contacts().create_contact(contact).await.unwrap().into_inner().contact.unwrap();
    let link = LinkContactRequest { conversation_id: chat.id.clone(), contact_id: contact.id };
    fixture.conversations(ADA).link_contact(link).await.unwrap();
    chat.id
}

pub async fn create(fixture: &Fixture, conversation: &str) -> Ticket {
    fixture.tickets(ADA).create_ticket(request(conversation)).await.unwrap().into_inner().ticket.unwrap()
}

async fn x3_t2_a_ticket_belongs_to_the_contact_and_counts_for_the_close(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = linked_chat(&fixture).await;
    let first = request(&chat);
    let mut tickets = fixture.tickets(ADA);
    let created = tickets.create_ticket(first.clone()).await.unwrap().into_inner();
    assert_eq!(tickets.create_ticket(first.clone()).await.unwrap().into_inner(), created);
    let other = tickets.create_ticket(CreateTicketRequest { subject: "Other".into(), ..first }).await.unwrap_err();
    assert_eq!(reason(&other), "REQUEST_ID_REUSED");
    let ticket = created.ticket.unwrap();
    assert_eq!(ticket.status(), TicketStatus::Open);
    assert_eq!(ticket.contact_id, fixture.conversation(&chat).await.contact_id);
    let last = fixture.entries(&chat).await.pop().unwrap().content.unwrap();
    assert!(matches!(last, Content::TicketCreated(entry) if entry.ticket_id == ticket.id));
    crate::close_conversation::close(&fixture, &chat).await;
    assert!(fixture.service.appended::<ConversationClosed>().await.pop().unwrap().had_ticket);
}

async fn c12_twenty_repeats_at_once_create_one_ticket(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let request = request(&linked_chat(&fixture).await);
    let created = twenty(|_| {
        let (mut tickets, request) = (fixture.tickets(ADA), request.clone());
        async move { tickets.create_ticket(request).await.unwrap().into_inner().ticket.unwrap().id }
    });
    let mut ids = created.await;
    ids.dedup();
    assert_eq!((ids.len(), fixture.service.appended::<TicketCreated>().await.len()), (1, 1));
}

async fn x3_a_conversation_without_contact_or_a_deactivated_agent_creates_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let refused = fixture.tickets(ADA).create_ticket(request(&chat.id)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "CONTACT_UNKNOWN"));
    let refused = fixture.tickets(GONE).create_ticket(request(&chat.id)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "AGENT_NOT_ACTIVE"));
    assert!(fixture.service.appended::<TicketCreated>().await.is_empty());
}

async fn s2_another_accounts_conversation_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = linked_chat(&fixture).await;
    let mut tickets = TicketServiceClient::new(fixture.in_another_account().as_agent());
    let refused = tickets.create_ticket(request(&chat)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}
