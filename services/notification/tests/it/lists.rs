//! `GetDelivery`, `ListDeliveries`, `ListTranscriptDecisions`.

use frontdesk_proto::notification::v1::{
    Delivery, DeliveryStatus, ListDeliveriesRequest, ListSendersRequest, ListTranscriptDecisionsRequest,
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, reason};
use tonic::Code;

use crate::{
    chat::closed_event,
    fixture::{ADDRESS, Fixture},
};

on_both_modes!(
    t8_deliveries_are_listed_newest_first_in_pages,
    t8_deliveries_are_filtered_by_conversation_and_by_several_statuses,
    t5_senders_are_listed_by_address_in_pages,
    t3_decisions_are_listed_newest_first_in_pages,
    s2_another_account_sees_no_delivery_and_no_decision,
);

/// Closes this number of conversations, each with a delivery that waits for the conversation service.
async fn close(fixture: &Fixture, closes: usize) {
    for _ in 0..closes {
        fixture.service.publish("conversation", fixture.account.id, &closed_event(new_id(), 1, new_id())).await;
    }
    fixture.service.settled().await;
}

async fn t8_deliveries_are_listed_newest_first_in_pages(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    close(&fixture, 5).await;
    let ids = |deliveries: &[Delivery]| deliveries.iter().map(|delivery| delivery.id.clone()).collect::<Vec<_>>();
    let all = fixture.account.list_deliveries().await;
    let created = |delivery: &Delivery| delivery.create_time.map(|time| (time.seconds, time.nanos));
    assert!(all.len() == 5 && all.is_sorted_by(|a, b| created(a) >= created(b)), "{all:#?}");
    assert_eq!(list(&fixture, ListDeliveriesRequest::default()).await, ids(&all));
}

/// Ids of the deliveries in pages of two.
async fn list(fixture: &Fixture, mut request: ListDeliveriesRequest) -> Vec<String> {
    let mut ids = Vec::new();
    request.page_size = 2;
    loop {
        let page = fixture.account.deliveries().list_deliveries(request.clone()).await.unwrap().into_inner();
        assert!(page.deliveries.len() <= 2);
        ids.extend(page.deliveries.into_iter().map(|delivery| delivery.id));
        if page.next_page_token.is_empty() {
            return ids;
        }
        request.page_token = page.next_page_token;
    }
}

async fn t8_deliveries_are_filtered_by_conversation_and_by_several_statuses(mode: Mode) {
    use DeliveryStatus::{Cancelled, Queued, Sending, Sent};
    let fixture = Fixture::start(mode).await;
    close(&fixture, 4).await;
    let code = fixture.account.create_sender(ADDRESS, "1").await.unwrap().delivery_id;
    fixture.account.wait_for_status(&code, Sent).await;
    // Newest first: the code, which is sent, and four transcripts, of which every other one is cancelled.
    let all: Vec<Delivery> = fixture.account.list_deliveries().await;
    let ids = |numbers: &[usize]| numbers.iter().map(|number| all[*number].id.clone()).collect::<Vec<_>>();
    for id in ids(&[2, 4]) {
        fixture.account.cancel(&id).await.unwrap();
    }
    for (statuses, listed) in [
        (vec![], ids(&[0, 1, 2, 3, 4])),
        (vec![Cancelled], ids(&[2, 4])),
        (vec![Sent, Cancelled, Sent], ids(&[0, 2, 4])),
        (vec![Sent, Cancelled, Queued, Sending], ids(&[0, 1, 2, 3, 4])),
        (vec![DeliveryStatus::Parked], vec![]),
    ] {
        let mut request = ListDeliveriesRequest::default();
        statuses.iter().for_each(|status| request.push_statuses(*status));
        assert_eq!(list(&fixture, request.clone()).await, listed, "{statuses:?}");
        // The conversation of the oldest one, which is cancelled.
        request.conversation_id = all[4].conversation_id.clone();
        let listed: Vec<String> = listed.into_iter().filter(|id| *id == all[4].id).collect();
        assert_eq!(list(&fixture, request.clone()).await, listed, "{statuses:?} of one conversation");
        // Its contact, whom no other delivery is for.
        request.conversation_id.clear();
        request.contact_id = all[4].contact_id.clone();
        assert_eq!(list(&fixture, request).await, listed, "{statuses:?} to one contact");
    }
}

async fn t5_senders_are_listed_by_address_in_pages(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    for address in ["c@acme.example", "B@acme.example", "d@acme.example", "a@acme.example"] {
        fixture.account.create_sender(address, address.split_once('@').unwrap().0).await.unwrap();
    }
    let (mut listed, mut request) = (Vec::new(), ListSendersRequest { page_size: 3, ..Default::default() });
    for size in [3, 1] {
        let page = fixture.account.senders().list_senders(request.clone()).await.unwrap().into_inner();
        assert_eq!((page.senders.len(), page.next_page_token.is_empty()), (size, size == 1));
        listed.extend(page.senders.into_iter().map(|sender| sender.email));
        request.page_token = page.next_page_token;
    }
    assert_eq!(listed, ["a@acme.example", "B@acme.example", "c@acme.example", "d@acme.example"]);
}

async fn t3_decisions_are_listed_newest_first_in_pages(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    close(&fixture, 3).await;
    let all = fixture.account.list_decisions().await;
    assert_eq!(all.len(), 3);
    let request = ListTranscriptDecisionsRequest { page_size: 2, ..Default::default() };
    let first = fixture.account.transcripts().list_transcript_decisions(request.clone()).await.unwrap().into_inner();
    let request = ListTranscriptDecisionsRequest { page_token: first.next_page_token, ..request };
    let second = fixture.account.transcripts().list_transcript_decisions(request).await.unwrap().into_inner();
    assert_eq!([first.decisions, second.decisions].concat(), all);
    assert_eq!(second.next_page_token, "");
}

async fn s2_another_account_sees_no_delivery_and_no_decision(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    close(&fixture, 1).await;
    let other = fixture.other_account();
    assert!(other.list_deliveries().await.is_empty() && other.list_decisions().await.is_empty());
    let id = fixture.account.list_deliveries().await.remove(0).id;
    let refused = other.delivery(&id).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}
