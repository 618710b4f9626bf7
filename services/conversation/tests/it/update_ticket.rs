//! `UpdateTicket`: rule X3.

use frontdesk_proto::{
    conversation::v1::{TicketStatus, UpdateTicketRequest, ticket_service_client::TicketServiceClient},
    event::v1::TicketUpdated,
};
use frontdesk_testkit::{Mode, on_both_modes, reason};
use tonic::Code;

use crate::{
    create_ticket::{create, linked_chat},
    fixture::{ADA, Fixture, twenty},
};

on_both_modes!(
    x3_a_ticket_changes_and_the_same_again_changes_nothing,
    x3_twenty_updates_at_once_change_it_once,
    s2_another_accounts_ticket_does_not_exist,
);

fn close(ticket: &str) -> UpdateTicketRequest {
    UpdateTicketRequest { ticket_id: ticket.into(), status: TicketStatus::Closed.into(), subject: None }
}

async fn x3_a_ticket_changes_and_the_same_again_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let ticket = create(&fixture, &linked_chat(&fixture).await).await;
    let mut tickets = fixture.tickets(ADA);
    for _ in 0..2 {
        let updated = tickets.update_ticket(close(&ticket.id)).await.unwrap().into_inner().ticket.unwrap();
        assert_eq!((updated.status(), updated.subject.as_str()), (TicketStatus::Closed, "Refund"));
    }
    assert_eq!(fixture.service.appended::<TicketUpdated>().await.len(), 1);
}

async fn x3_twenty_updates_at_once_change_it_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let ticket = create(&fixture, &linked_chat(&fixture).await).await;
    let updated = twenty(|_| {
        let (mut tickets, request) = (fixture.tickets(ADA), close(&ticket.id));
        async move { tickets.update_ticket(request).await.unwrap() }
    });
    updated.await;
    assert_eq!(fixture.service.appended::<TicketUpdated>().await.len(), 1);
}

async fn s2_another_accounts_ticket_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let ticket = create(&fixture, &linked_chat(&fixture).await).await;
    let mut tickets = TicketServiceClient::new(fixture.in_another_account().as_agent());
    let refused = tickets.update_ticket(close(&ticket.id)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}
