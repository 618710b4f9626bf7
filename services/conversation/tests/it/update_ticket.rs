//! `UpdateTicket`: rules X3, C12.

use frontdesk_proto::{
    conversation::v1::{
        GetTicketRequest, Ticket, TicketStatus, UpdateTicketRequest, entry::Content,
        ticket_service_client::TicketServiceClient,
    },
    event::v1::TicketUpdated,
};
use frontdesk_testkit::{Mode, on_both_modes, reason};
use tonic::Code;

use crate::{
    create_ticket::{create, linked_chat},
    fixture::{ADA, BOB, Fixture, twenty},
};

on_both_modes!(
    x3_a_ticket_changes_and_its_link_is_cleared,
    c3_x3_the_thread_has_an_entry_for_each_change_of_a_ticket,
    c12_a_repeat_of_an_update_succeeds_with_its_old_etag_and_changes_nothing,
    c12_an_update_with_a_stale_etag_is_refused,
    x3_twenty_updates_at_once_change_it_once,
    s2_another_accounts_ticket_does_not_exist,
);

fn close(ticket: &Ticket) -> UpdateTicketRequest {
    UpdateTicketRequest {
        ticket_id: ticket.id.clone(),
        status: Some(TicketStatus::Closed.into()),
        ..UpdateTicketRequest::default()
    }
}

fn link(ticket: &Ticket, url: &str) -> UpdateTicketRequest {
    UpdateTicketRequest { ticket_id: ticket.id.clone(), url: Some(url.into()), ..UpdateTicketRequest::default() }
}

async fn updated(fixture: &Fixture, request: UpdateTicketRequest) -> Ticket {
    fixture.tickets(ADA).update_ticket(request).await.unwrap().into_inner().ticket.unwrap()
}

async fn x3_a_ticket_changes_and_its_link_is_cleared(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let ticket = create(&fixture, &linked_chat(&fixture).await).await;
    assert_eq!((ticket.version, ticket.update_time), (1, ticket.create_time));
    let closed = updated(&fixture, close(&ticket)).await;
    assert_eq!((closed.status(), closed.subject.as_str(), closed.version), (TicketStatus::Closed, "Refund", 2));
    let linked = updated(&fixture, link(&ticket, "https://help.example/7")).await;
    assert_eq!((linked.status(), linked.url.as_str()), (TicketStatus::Closed, "https://help.example/7"));
    assert_eq!(updated(&fixture, link(&ticket, "")).await.url, "");
    let subject = UpdateTicketRequest { subject: Some("Late".into()), status: None, ..close(&ticket) };
    let renamed = updated(&fixture, subject).await;
    assert_eq!((renamed.subject.as_str(), renamed.status(), renamed.version), ("Late", TicketStatus::Closed, 5));
    let request = GetTicketRequest { ticket_id: ticket.id };
    assert_eq!(fixture.tickets(ADA).get_ticket(request).await.unwrap().into_inner().ticket.unwrap(), renamed);
}

async fn c3_x3_the_thread_has_an_entry_for_each_change_of_a_ticket(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let ticket = create(&fixture, &linked_chat(&fixture).await).await;
    let both = UpdateTicketRequest { subject: Some("Late".into()), ..close(&ticket) };
    for request in [both.clone(), both, link(&ticket, "https://help.example/7"), link(&ticket, "")] {
        updated(&fixture, request).await;
    }
    let reopen = UpdateTicketRequest { status: Some(TicketStatus::Open.into()), ..close(&ticket) };
    fixture.tickets(BOB).update_ticket(reopen).await.unwrap();
    let entries = fixture.entries(&ticket.conversation_id).await;
    let changes: Vec<_> = entries
        .into_iter()
        .filter_map(|entry| match entry.content {
            Some(Content::TicketUpdated(change)) => {
                assert_eq!((change.ticket_id.as_str(), entry.visitor_sequence), (ticket.id.as_str(), 0));
                Some((entry.author.unwrap().id, change.subject.clone(), change.status(), change.url))
            }
            _ => None,
        })
        .collect();
    let (ada, unchanged) = (ADA.to_string(), TicketStatus::Unspecified);
    let expected = [
        (ada.clone(), Some("Late".to_owned()), TicketStatus::Closed, None),
        (ada.clone(), None, unchanged, Some("https://help.example/7".to_owned())),
        (ada, None, unchanged, Some(String::new())),
        (BOB.to_string(), None, TicketStatus::Open, None),
    ];
    assert_eq!(changes, expected, "a repeat has none");
}

async fn c12_a_repeat_of_an_update_succeeds_with_its_old_etag_and_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let ticket = create(&fixture, &linked_chat(&fixture).await).await;
    let request = UpdateTicketRequest { etag: ticket.etag.clone(), ..close(&ticket) };
    let first = updated(&fixture, request.clone()).await;
    assert_eq!(updated(&fixture, request).await, first);
    assert_eq!(fixture.service.appended::<TicketUpdated>().await.len(), 1);
}

async fn c12_an_update_with_a_stale_etag_is_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let ticket = create(&fixture, &linked_chat(&fixture).await).await;
    updated(&fixture, close(&ticket)).await;
    let stale = UpdateTicketRequest { etag: ticket.etag.clone(), ..link(&ticket, "https://help.example/7") };
    let refused = fixture.tickets(ADA).update_ticket(stale).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Aborted, "ETAG_MISMATCH"));
}

async fn x3_twenty_updates_at_once_change_it_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let ticket = create(&fixture, &linked_chat(&fixture).await).await;
    twenty(|_| updated(&fixture, close(&ticket))).await;
    assert_eq!(fixture.service.appended::<TicketUpdated>().await.len(), 1);
}

async fn s2_another_accounts_ticket_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let ticket = create(&fixture, &linked_chat(&fixture).await).await;
    let mut tickets = TicketServiceClient::new(fixture.in_another_account().as_agent());
    let refused = tickets.update_ticket(close(&ticket)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}
