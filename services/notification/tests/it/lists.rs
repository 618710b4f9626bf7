//! `GetDelivery`, `ListDeliveries`, `ListTranscriptDecisions`.

use frontdesk_proto::notification::v1::{
    Delivery, DeliveryState, ListDeliveriesRequest, ListTranscriptDecisionsRequest,
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, reason};
use tonic::Code;

use crate::{chat::closed_event, fixture::Fixture};

on_both_modes!(
    t8_deliveries_are_listed_newest_first_in_pages,
    t8_deliveries_are_filtered_by_conversation_and_state,
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
    let (mut listed, mut request) = (Vec::new(), ListDeliveriesRequest { page_size: 2, ..Default::default() });
    loop {
        let page = fixture.account.deliveries().list_deliveries(request.clone()).await.unwrap().into_inner();
        listed.extend(ids(&page.deliveries));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(listed, ids(&all));
}

async fn t8_deliveries_are_filtered_by_conversation_and_state(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    close(&fixture, 3).await;
    let all = fixture.account.list_deliveries().await;
    fixture.account.cancel(&all[1].id).await.unwrap();
    let list = async |request: ListDeliveriesRequest| {
        let deliveries = fixture.account.deliveries().list_deliveries(request).await.unwrap().into_inner().deliveries;
        deliveries.into_iter().map(|delivery| delivery.id).collect::<Vec<_>>()
    };
    let state = DeliveryState::Cancelled.into();
    assert_eq!(list(ListDeliveriesRequest { state, ..Default::default() }).await, [all[1].id.clone()]);
    let conversation_id = all[2].conversation_id.clone();
    assert_eq!(list(ListDeliveriesRequest { conversation_id, ..Default::default() }).await, [all[2].id.clone()]);
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
