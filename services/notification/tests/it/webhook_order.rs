//! The order of the events that are sent to an endpoint: rule I17.

use std::time::Duration;

use frontdesk_proto::{
    event::v1::{Event, MessagePosted},
    notification::v1beta1::{
        CreateWebhookEndpointRequest, ReplayWebhookDeliveriesRequest, WebhookDeliveryStatus, WebhookEndpoint,
    },
};
use frontdesk_testkit::{Mode, event, new_id, on_both_modes, request_id};
use uuid::Uuid;

use crate::{
    fixture::Fixture,
    receiver::{Received, Receiver},
    webhook_calls::{create, create_request, logged, publish, set_enabled, start},
};

on_both_modes!(
    i17_events_of_an_aggregate_come_in_order_where_the_endpoint_wants_it,
    i17_what_happened_while_an_endpoint_was_disabled_is_not_waited_for,
    i17_a_span_that_is_sent_again_leaves_what_waits_for_an_earlier_event,
);

/// An endpoint for all events, in order.
async fn ordered_endpoint(fixture: &Fixture, receiver: &Receiver) -> WebhookEndpoint {
    let request = CreateWebhookEndpointRequest { ordered: true, ..create_request(&receiver.url("/")) };
    create(&fixture.account, request).await.unwrap().webhook_endpoint.unwrap()
}

/// Publishes the event that made this version of an aggregate.
async fn publish_version(fixture: &Fixture, aggregate: Uuid, version: i32) {
    let posted = event("conversation", fixture.account.id, &MessagePosted::default());
    publish(fixture, &Event { aggregate_id: aggregate.to_string(), version, ..posted }).await;
}

fn versions(received: &[Received]) -> Vec<i64> {
    received.iter().map(|request| request.json()["version"].as_i64().unwrap()).collect()
}

async fn i17_events_of_an_aggregate_come_in_order_where_the_endpoint_wants_it(mode: Mode) {
    let (fixture, receiver) = (start(mode).await, Receiver::start(&[500, 500]).await);
    let endpoint = ordered_endpoint(&fixture, &receiver).await;
    let aggregate = new_id();
    // The third is known before the second, and the first is refused twice.
    for number in [1, 3, 4, 2] {
        publish_version(&fixture, aggregate, number).await;
    }
    logged(&fixture.account, &endpoint.id, WebhookDeliveryStatus::Sent, 4).await;
    assert_eq!(versions(&receiver.received()), [1, 1, 1, 2, 3, 4]);
}

async fn i17_what_happened_while_an_endpoint_was_disabled_is_not_waited_for(mode: Mode) {
    let (fixture, receiver) = (start(mode).await, Receiver::start(&[]).await);
    let endpoint = ordered_endpoint(&fixture, &receiver).await;
    let aggregate = new_id();
    publish_version(&fixture, aggregate, 1).await;
    set_enabled(&fixture.account, &endpoint.id, false).await;
    for number in [2, 3] {
        publish_version(&fixture, aggregate, number).await;
    }
    set_enabled(&fixture.account, &endpoint.id, true).await;
    publish_version(&fixture, aggregate, 4).await;
    // Less than `order_wait`, which an event waits for one that is missing.
    fixture.service.clock.advance(Duration::from_secs(20)).unwrap();
    logged(&fixture.account, &endpoint.id, WebhookDeliveryStatus::Sent, 2).await;
    assert_eq!(versions(&receiver.received()), [1, 4]);
}

async fn i17_a_span_that_is_sent_again_leaves_what_waits_for_an_earlier_event(mode: Mode) {
    let (fixture, receiver) = (start(mode).await, Receiver::start(&[]).await);
    let endpoint = ordered_endpoint(&fixture, &receiver).await;
    let aggregate = new_id();
    publish_version(&fixture, aggregate, 1).await;
    logged(&fixture.account, &endpoint.id, WebhookDeliveryStatus::Sent, 1).await;
    publish_version(&fixture, aggregate, 3).await;
    let span = ReplayWebhookDeliveriesRequest {
        webhook_endpoint_id: endpoint.id.clone(),
        request_id: request_id(),
        ..Default::default()
    };
    let replayed = fixture.account.webhooks().replay_webhook_deliveries(span).await.unwrap().into_inner();
    assert_eq!(replayed.replayed_count, 1);
    receiver.wait_for(2).await;
    publish_version(&fixture, aggregate, 2).await;
    assert_eq!(versions(&receiver.wait_for(4).await), [1, 1, 2, 3]);
}
