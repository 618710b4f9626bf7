//! `WebhookService`, and the events that it sends: rules I17, C12, S2, S4, X2.

use std::time::Duration;

use frontdesk_notification::{NotificationSettings, WebhookSettings};
use frontdesk_proto::{
    event::v1::{AccountState, AccountStateChanged, Event, MessagePosted, TicketCreated, WebhookEndpointDisabled},
    notification::v1beta1::{
        CreateWebhookEndpointRequest, CreateWebhookEndpointResponse, DeleteWebhookEndpointRequest,
        GetWebhookDeliveryRequest, GetWebhookEndpointRequest, ListWebhookDeliveriesRequest,
        ListWebhookEndpointsRequest, ReplayWebhookDeliveriesRequest, ReplayWebhookDeliveryRequest,
        RotateWebhookSecretRequest, TestWebhookEndpointRequest, UpdateWebhookEndpointRequest, WebhookDelivery,
        WebhookDeliveryStatus, WebhookEndpoint, WebhookEventTypes,
    },
};
use frontdesk_testkit::{Mode, event, new_id, on_both_modes, reason, request_id, wait_for};
use prost::Name;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    fixture::{Account, Fixture, twenty_at_once},
    receiver::{Received, Receiver},
};

on_both_modes!(
    i17_an_event_is_posted_as_json_with_a_valid_signature_and_logged,
    i17_an_event_that_is_delivered_again_is_posted_once,
    i17_an_endpoint_gets_the_types_that_it_names_while_it_is_enabled,
    c12_an_unknown_type_of_events_is_refused,
    i17_what_is_not_confirmed_is_sent_again_until_it_is,
    i17_events_of_an_aggregate_come_in_order_where_the_endpoint_wants_it,
    i17_what_happened_while_an_endpoint_was_disabled_is_not_waited_for,
    i17_a_receiver_that_hangs_delays_no_other,
    i17_more_receivers_that_hang_than_there_are_slots_delay_no_other,
    i17_an_endpoint_whose_attempts_fail_for_the_set_time_is_disabled_with_an_event,
    i17_a_receiver_that_wants_no_events_any_more_disables_its_endpoint,
    i17_a_receiver_says_after_which_pause_it_wants_the_next_attempt,
    i17_one_delivery_or_a_span_is_sent_again_with_its_id,
    i17_a_span_that_is_sent_again_leaves_what_waits_for_an_earlier_event,
    i17_an_endpoint_is_tested_whichever_types_it_chose,
    s4_no_private_address_is_connected_to_unless_the_settings_allow_it,
    s4_a_redirect_is_not_followed,
    s4_a_rotated_secret_signs_beside_the_previous_one,
    s4_an_account_has_a_maximum_of_endpoints,
    c12_an_endpoint_is_created_once_also_by_twenty_calls_at_once,
    c12_an_update_with_a_stale_etag_is_refused,
    c12_a_deleted_endpoint_gets_nothing_any_more,
    c12_what_is_left_of_a_deleted_endpoint_is_deleted,
    s2_another_accounts_endpoints_do_not_exist,
    x2_no_event_of_a_suspended_account_is_sent_and_the_rows_of_one_that_has_ended_are_erased,
);

const HOUR: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(20);

/// Settings that allow receivers on the loopback address.
fn local() -> WebhookSettings {
    WebhookSettings {
        allow_http: true,
        allowed_networks: vec!["127.0.0.0/8".into()],
        retry_pause: SHORT,
        ..WebhookSettings::default()
    }
}

async fn start(mode: Mode) -> Fixture {
    start_with(mode, local()).await
}

async fn start_with(mode: Mode, webhooks: WebhookSettings) -> Fixture {
    Fixture::start_with(mode, NotificationSettings { webhooks, ..NotificationSettings::default() }).await
}

fn create_request(url: &str) -> CreateWebhookEndpointRequest {
    CreateWebhookEndpointRequest { url: url.into(), request_id: request_id(), ..Default::default() }
}

async fn create(
    account: &Account,
    request: CreateWebhookEndpointRequest,
) -> Result<CreateWebhookEndpointResponse, Status> {
    Ok(account.webhooks().create_webhook_endpoint(request).await?.into_inner())
}

/// A new endpoint for all events, and its secret.
async fn endpoint(account: &Account, url: &str) -> (WebhookEndpoint, String) {
    let created = create(account, create_request(url)).await.unwrap();
    (created.webhook_endpoint.unwrap(), created.secret)
}

async fn update(account: &Account, request: UpdateWebhookEndpointRequest) -> Result<WebhookEndpoint, Status> {
    Ok(account.webhooks().update_webhook_endpoint(request).await?.into_inner().webhook_endpoint.unwrap())
}

async fn get(account: &Account, id: &str) -> Result<WebhookEndpoint, Status> {
    let request = GetWebhookEndpointRequest { webhook_endpoint_id: id.into() };
    Ok(account.webhooks().get_webhook_endpoint(request).await?.into_inner().webhook_endpoint.unwrap())
}

async fn delete(account: &Account, id: &str) -> Result<(), Status> {
    let request = DeleteWebhookEndpointRequest { webhook_endpoint_id: id.into() };
    account.webhooks().delete_webhook_endpoint(request).await.map(drop)
}

async fn send_test(account: &Account, id: &str) -> Result<WebhookDelivery, Status> {
    let request = TestWebhookEndpointRequest { webhook_endpoint_id: id.into(), request_id: request_id() };
    Ok(account.webhooks().test_webhook_endpoint(request).await?.into_inner().webhook_delivery.unwrap())
}

/// The log of an endpoint, newest first.
async fn log(account: &Account, id: &str) -> Vec<WebhookDelivery> {
    let request = ListWebhookDeliveriesRequest { webhook_endpoint_id: id.into(), page_size: 200, ..Default::default() };
    account.webhooks().list_webhook_deliveries(request).await.unwrap().into_inner().webhook_deliveries
}

/// Waits until the log of the endpoint has this number of deliveries with the status. Returns them, newest first.
async fn logged(account: &Account, id: &str, status: WebhookDeliveryStatus, count: usize) -> Vec<WebhookDelivery> {
    wait_for("the log", || async {
        let mut all = log(account, id).await;
        all.retain(|delivery| delivery.status() == status);
        (all.len() == count).then_some(all)
    })
    .await
}

/// Publishes a message of a conversation, and waits until it is queued.
async fn post_message(fixture: &Fixture) -> Event {
    let posted = MessagePosted { conversation_id: new_id().to_string(), sequence: 1, ..Default::default() };
    let event = fixture.service.publish("conversation", fixture.account.id, &posted).await;
    fixture.service.settled().await;
    event
}

async fn publish(fixture: &Fixture, event: &Event) {
    for published in fixture.service.bus.publish(std::slice::from_ref(event)).await {
        published.unwrap();
    }
    fixture.service.settled().await;
}

async fn i17_an_event_is_posted_as_json_with_a_valid_signature_and_logged(mode: Mode) {
    let (fixture, receiver) = (start(mode).await, Receiver::start(&[]).await);
    let (endpoint, secret) = endpoint(&fixture.account, &receiver.url("/hooks")).await;
    assert!(secret.starts_with("whsec_") && secret.len() == 50, "{secret}");
    let event = post_message(&fixture).await;
    let received = receiver.wait_for(1).await.remove(0);
    assert_eq!((received.path.as_str(), &received.id), ("/hooks", &event.id));
    assert!(received.is_signed_with(&secret) && received.signatures.len() == 1, "{received:?}");
    let json = received.json();
    assert_eq!((&json["id"], &json["type"]), (&event.id.clone().into(), &MessagePosted::full_name().into()));
    assert_eq!(json["accountId"], fixture.account.id.to_string());
    assert_eq!(json["data"]["@type"], "type.googleapis.com/frontdesk.event.v1.MessagePosted");
    assert_eq!(json["data"]["sequence"], 1);

    let sent = logged(&fixture.account, &endpoint.id, WebhookDeliveryStatus::Sent, 1).await.remove(0);
    assert_eq!((&sent.event_id, &sent.payload, sent.attempt_count), (&event.id, &received.body, 1));
    assert_eq!((sent.response_status, sent.response_body.as_str(), sent.failure.as_str()), (200, "answer 200", ""));
    assert!(sent.response_duration.is_some() && sent.last_attempt_time.is_some() && sent.next_attempt_time.is_none());
    let request = GetWebhookDeliveryRequest { webhook_delivery_id: sent.id.clone() };
    let found = fixture.account.webhooks().get_webhook_delivery(request).await.unwrap().into_inner();
    assert_eq!(found.webhook_delivery, Some(sent));
}

async fn i17_an_event_that_is_delivered_again_is_posted_once(mode: Mode) {
    let (fixture, receiver) = (start(mode).await, Receiver::start(&[]).await);
    let (endpoint, _) = endpoint(&fixture.account, &receiver.url("/")).await;
    let event = post_message(&fixture).await;
    publish(&fixture, &event).await;
    post_message(&fixture).await;
    logged(&fixture.account, &endpoint.id, WebhookDeliveryStatus::Sent, 2).await;
    assert_eq!(receiver.received().len(), 2);
}

async fn i17_an_endpoint_gets_the_types_that_it_names_while_it_is_enabled(mode: Mode) {
    let (fixture, receiver) = (start(mode).await, Receiver::start(&[]).await);
    let request = CreateWebhookEndpointRequest {
        event_types: vec![TicketCreated::full_name()],
        ..create_request(&receiver.url("/"))
    };
    let endpoint = create(&fixture.account, request).await.unwrap().webhook_endpoint.unwrap();
    post_message(&fixture).await;
    fixture.service.publish("conversation", fixture.account.id, &TicketCreated::default()).await;
    fixture.service.settled().await;
    let sent = logged(&fixture.account, &endpoint.id, WebhookDeliveryStatus::Sent, 1).await;
    assert_eq!(sent[0].event_type, TicketCreated::full_name());

    let id = endpoint.id.clone();
    let disable = UpdateWebhookEndpointRequest {
        webhook_endpoint_id: id.clone(),
        event_types: Some(WebhookEventTypes::default()),
        enabled: Some(false),
        etag: endpoint.etag,
        ..Default::default()
    };
    assert!(!update(&fixture.account, disable).await.unwrap().enabled);
    post_message(&fixture).await;
    assert_eq!(log(&fixture.account, &id).await.len(), 1);
    let enable =
        UpdateWebhookEndpointRequest { webhook_endpoint_id: id.clone(), enabled: Some(true), ..Default::default() };
    assert!(update(&fixture.account, enable).await.unwrap().enabled);
    let event = post_message(&fixture).await;
    logged(&fixture.account, &id, WebhookDeliveryStatus::Sent, 2).await;
    assert_eq!(receiver.received().pop().unwrap().id, event.id);
}

async fn c12_an_unknown_type_of_events_is_refused(mode: Mode) {
    let fixture = start(mode).await;
    let event_types = vec![TicketCreated::full_name(), "frontdesk.event.v1.TicketCreate".to_owned()];
    let request =
        CreateWebhookEndpointRequest { event_types: event_types.clone(), ..create_request("https://hooks.example/") };
    let (endpoint, _) = endpoint(&fixture.account, "https://hooks.example/").await;
    let change = UpdateWebhookEndpointRequest {
        webhook_endpoint_id: endpoint.id.clone(),
        event_types: Some(WebhookEventTypes { event_types }),
        ..Default::default()
    };
    for refused in [
        create(&fixture.account, request).await.map(drop).unwrap_err(),
        update(&fixture.account, change).await.map(drop).unwrap_err(),
    ] {
        let violations = refused.get_details_bad_request().unwrap().field_violations;
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "INVALID_FIELDS"));
        assert_eq!(violations[0].field, "event_types");
        assert!(violations[0].description.contains("frontdesk.event.v1.TicketCreate"), "{violations:?}");
    }
    assert_eq!(get(&fixture.account, &endpoint.id).await.unwrap(), endpoint);
}

async fn i17_what_is_not_confirmed_is_sent_again_until_it_is(mode: Mode) {
    let webhooks = WebhookSettings { max_attempts: 3, ..local() };
    let (fixture, receiver) = (start_with(mode, webhooks).await, Receiver::start(&[500, 404]).await);
    let (endpoint, secret) = endpoint(&fixture.account, &receiver.url("/")).await;
    let event = post_message(&fixture).await;
    let sent = logged(&fixture.account, &endpoint.id, WebhookDeliveryStatus::Sent, 1).await.remove(0);
    assert_eq!((sent.attempt_count, sent.response_status), (3, 200));
    let received = receiver.received();
    let bodies: Vec<&str> = received.iter().map(|request| request.body.as_str()).collect();
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "every attempt has the same body");
    assert!(received.iter().all(|request| request.id == event.id && request.is_signed_with(&secret)));

    let refusing = Receiver::start(&[500; 3]).await;
    let (endpoint, _) = self::endpoint(&fixture.account, &refusing.url("/")).await;
    post_message(&fixture).await;
    let failed = logged(&fixture.account, &endpoint.id, WebhookDeliveryStatus::Failed, 1).await.remove(0);
    assert_eq!((failed.attempt_count, failed.response_status), (3, 500));
    assert_eq!((failed.failure.as_str(), failed.next_attempt_time), ("the receiver answered 500", None));
    assert!(get(&fixture.account, &endpoint.id).await.unwrap().failing_since_time.is_some());
}

async fn i17_events_of_an_aggregate_come_in_order_where_the_endpoint_wants_it(mode: Mode) {
    let (fixture, receiver) = (start(mode).await, Receiver::start(&[500, 500]).await);
    let request = CreateWebhookEndpointRequest { ordered: true, ..create_request(&receiver.url("/")) };
    let endpoint = create(&fixture.account, request).await.unwrap().webhook_endpoint.unwrap();
    let aggregate = new_id().to_string();
    let version = |version: i32| Event {
        aggregate_id: aggregate.clone(),
        version,
        ..event("conversation", fixture.account.id, &MessagePosted::default())
    };
    // The third is known before the second, and the first is refused twice.
    for number in [1, 3, 4, 2] {
        publish(&fixture, &version(number)).await;
    }
    logged(&fixture.account, &endpoint.id, WebhookDeliveryStatus::Sent, 4).await;
    let versions: Vec<i64> =
        receiver.received().iter().map(|request| request.json()["version"].as_i64().unwrap()).collect();
    assert_eq!(versions, [1, 1, 1, 2, 3, 4]);
}

async fn i17_what_happened_while_an_endpoint_was_disabled_is_not_waited_for(mode: Mode) {
    let (fixture, receiver) = (start(mode).await, Receiver::start(&[]).await);
    let request = CreateWebhookEndpointRequest { ordered: true, ..create_request(&receiver.url("/")) };
    let endpoint = create(&fixture.account, request).await.unwrap().webhook_endpoint.unwrap();
    let aggregate = new_id().to_string();
    let version = |version: i32| Event {
        aggregate_id: aggregate.clone(),
        version,
        ..event("conversation", fixture.account.id, &MessagePosted::default())
    };
    let enable = async |enabled: bool| {
        let request = UpdateWebhookEndpointRequest {
            webhook_endpoint_id: endpoint.id.clone(),
            enabled: Some(enabled),
            ..Default::default()
        };
        update(&fixture.account, request).await.unwrap();
    };
    publish(&fixture, &version(1)).await;
    enable(false).await;
    for number in [2, 3] {
        publish(&fixture, &version(number)).await;
    }
    enable(true).await;
    publish(&fixture, &version(4)).await;
    // Less than `order_wait`, which an event waits for one that is missing.
    fixture.service.clock.advance(Duration::from_secs(20)).unwrap();
    logged(&fixture.account, &endpoint.id, WebhookDeliveryStatus::Sent, 2).await;
    let versions: Vec<i64> =
        receiver.received().iter().map(|request| request.json()["version"].as_i64().unwrap()).collect();
    assert_eq!(versions, [1, 4]);
}

async fn i17_a_receiver_that_hangs_delays_no_other(mode: Mode) {
    let webhooks = WebhookSettings { deliveries_at_once: 4, deliveries_per_endpoint: 2, timeout: HOUR, ..local() };
    let (fixture, receiver) = (start_with(mode, webhooks).await, Receiver::start(&[]).await);
    let (hanging, _) = endpoint(&fixture.account, &receiver.url("/hangs")).await;
    let (answering, _) = endpoint(&fixture.account, &receiver.url("/answers")).await;
    for _ in 0..8 {
        post_message(&fixture).await;
    }
    logged(&fixture.account, &answering.id, WebhookDeliveryStatus::Sent, 8).await;
    logged(&fixture.account, &hanging.id, WebhookDeliveryStatus::Queued, 8).await;
    let begun = receiver.received().iter().filter(|request| request.path == "/hangs").count();
    assert_eq!(begun, 2, "as many as the endpoint may have at once");
}

async fn i17_more_receivers_that_hang_than_there_are_slots_delay_no_other(mode: Mode) {
    let webhooks = WebhookSettings { deliveries_at_once: 5, deliveries_per_endpoint: 1, timeout: HOUR, ..local() };
    let (fixture, receiver) = (start_with(mode, webhooks).await, Receiver::start(&[]).await);
    for _ in 0..17 {
        endpoint(&fixture.account, &receiver.url("/hangs")).await;
    }
    let (answering, _) = endpoint(&fixture.account, &receiver.url("/answers")).await;
    for count in 1..=2 {
        post_message(&fixture).await;
        logged(&fixture.account, &answering.id, WebhookDeliveryStatus::Sent, count).await;
    }
    let begun = receiver.received().iter().filter(|request| request.path == "/hangs").count();
    assert!(begun > 5, "{begun} attempts hang: those of slow endpoints leave the slots of the others");
}

async fn i17_an_endpoint_whose_attempts_fail_for_the_set_time_is_disabled_with_an_event(mode: Mode) {
    let webhooks = WebhookSettings { disable_after: HOUR, retry_pause: HOUR, ..local() };
    let (fixture, receiver) = (start_with(mode, webhooks).await, Receiver::start(&[500, 500]).await);
    let (endpoint, _) = endpoint(&fixture.account, &receiver.url("/")).await;
    post_message(&fixture).await;
    wait_for("the first failure", || async { get(&fixture.account, &endpoint.id).await.unwrap().failing_since_time })
        .await;
    fixture.service.clock.advance(2 * HOUR).unwrap();
    let disabled = wait_for("the endpoint to be disabled", || async {
        Some(get(&fixture.account, &endpoint.id).await.unwrap()).filter(|endpoint| !endpoint.enabled)
    })
    .await;
    assert!(disabled.disabled_by_failures && disabled.version == 2, "{disabled:?}");
    let events = fixture.service.appended::<WebhookEndpointDisabled>().await;
    assert_eq!(events, [WebhookEndpointDisabled { webhook_endpoint_id: endpoint.id.clone() }]);
    fixture.service.settled().await;

    // What waits is sent when it is enabled again.
    let enable = UpdateWebhookEndpointRequest {
        webhook_endpoint_id: endpoint.id.clone(),
        enabled: Some(true),
        ..Default::default()
    };
    let enabled = update(&fixture.account, enable).await.unwrap();
    assert!(enabled.enabled && !enabled.disabled_by_failures && enabled.failing_since_time.is_none(), "{enabled:?}");
    fixture.service.clock.advance(8 * HOUR).unwrap();
    logged(&fixture.account, &endpoint.id, WebhookDeliveryStatus::Sent, 1).await;
}

async fn i17_a_receiver_that_wants_no_events_any_more_disables_its_endpoint(mode: Mode) {
    let (fixture, receiver) = (start(mode).await, Receiver::start(&[410]).await);
    let (endpoint, _) = endpoint(&fixture.account, &receiver.url("/")).await;
    post_message(&fixture).await;
    let disabled = wait_for("the endpoint to be disabled", || async {
        Some(get(&fixture.account, &endpoint.id).await.unwrap()).filter(|endpoint| !endpoint.enabled)
    })
    .await;
    assert!(disabled.disabled_by_failures, "{disabled:?}");
    let events = fixture.service.appended::<WebhookEndpointDisabled>().await;
    assert_eq!(events, [WebhookEndpointDisabled { webhook_endpoint_id: endpoint.id.clone() }]);
    let waiting = log(&fixture.account, &endpoint.id).await.pop().unwrap();
    assert_eq!((waiting.status(), waiting.attempt_count), (WebhookDeliveryStatus::Queued, 1));
    assert_eq!(waiting.failure, "the receiver answered 410; the endpoint was disabled");
}

async fn i17_a_receiver_says_after_which_pause_it_wants_the_next_attempt(mode: Mode) {
    let (fixture, receiver) = (start(mode).await, Receiver::start(&[429]).await);
    let (endpoint, _) = endpoint(&fixture.account, &receiver.url("/")).await;
    post_message(&fixture).await;
    let attempted = wait_for("the attempt", || async {
        log(&fixture.account, &endpoint.id).await.pop().filter(|delivery| delivery.attempt_count == 1)
    })
    .await;
    let (last, next) = (attempted.last_attempt_time.unwrap(), attempted.next_attempt_time.unwrap());
    assert_eq!((next.seconds - last.seconds, next.nanos), (3600, last.nanos));
    fixture.service.clock.advance(HOUR).unwrap();
    logged(&fixture.account, &endpoint.id, WebhookDeliveryStatus::Sent, 1).await;
}

async fn i17_one_delivery_or_a_span_is_sent_again_with_its_id(mode: Mode) {
    let webhooks = WebhookSettings { max_attempts: 1, ..local() };
    let (fixture, receiver) = (start_with(mode, webhooks).await, Receiver::start(&[200, 500]).await);
    let (account, mut webhooks) = (&fixture.account, fixture.account.webhooks());
    let (endpoint, _) = endpoint(account, &receiver.url("/")).await;
    post_message(&fixture).await;
    let sent = logged(account, &endpoint.id, WebhookDeliveryStatus::Sent, 1).await.remove(0);
    post_message(&fixture).await;
    let failed = logged(account, &endpoint.id, WebhookDeliveryStatus::Failed, 1).await.remove(0);

    let one = ReplayWebhookDeliveryRequest { webhook_delivery_id: sent.id.clone(), request_id: request_id() };
    for _ in 0..2 {
        let replayed = webhooks.replay_webhook_delivery(one.clone()).await.unwrap().into_inner();
        assert_eq!(replayed.webhook_delivery.unwrap().id, sent.id);
    }
    let received = receiver.wait_for(3).await;
    assert_eq!((&received[2].id, &received[2].body), (&sent.event_id, &received[0].body));
    logged(account, &endpoint.id, WebhookDeliveryStatus::Sent, 1).await;

    let span = |only_failed| ReplayWebhookDeliveriesRequest {
        webhook_endpoint_id: endpoint.id.clone(),
        start_time: sent.create_time,
        only_failed,
        request_id: request_id(),
        ..Default::default()
    };
    let only_failed = span(true);
    for _ in 0..2 {
        let replayed = webhooks.replay_webhook_deliveries(only_failed.clone()).await.unwrap().into_inner();
        assert_eq!((replayed.replayed_count, replayed.next_start_time), (1, None));
    }
    logged(account, &endpoint.id, WebhookDeliveryStatus::Sent, 2).await;
    let all = webhooks.replay_webhook_deliveries(span(false)).await.unwrap().into_inner();
    assert_eq!(all.replayed_count, 2);
    let received = receiver.wait_for(6).await;
    assert_eq!(received[3].id, failed.event_id);
    let none = ReplayWebhookDeliveriesRequest { end_time: sent.create_time, ..span(false) };
    assert_eq!(webhooks.replay_webhook_deliveries(none).await.unwrap().into_inner().replayed_count, 0);
}

async fn i17_a_span_that_is_sent_again_leaves_what_waits_for_an_earlier_event(mode: Mode) {
    let (fixture, receiver) = (start(mode).await, Receiver::start(&[]).await);
    let request = CreateWebhookEndpointRequest { ordered: true, ..create_request(&receiver.url("/")) };
    let endpoint = create(&fixture.account, request).await.unwrap().webhook_endpoint.unwrap();
    let aggregate = new_id().to_string();
    let version = |version: i32| Event {
        aggregate_id: aggregate.clone(),
        version,
        ..event("conversation", fixture.account.id, &MessagePosted::default())
    };
    publish(&fixture, &version(1)).await;
    logged(&fixture.account, &endpoint.id, WebhookDeliveryStatus::Sent, 1).await;
    publish(&fixture, &version(3)).await;
    let span = ReplayWebhookDeliveriesRequest {
        webhook_endpoint_id: endpoint.id.clone(),
        request_id: request_id(),
        ..Default::default()
    };
    let replayed = fixture.account.webhooks().replay_webhook_deliveries(span).await.unwrap().into_inner();
    assert_eq!(replayed.replayed_count, 1);
    receiver.wait_for(2).await;
    publish(&fixture, &version(2)).await;
    let received = receiver.wait_for(4).await;
    let versions: Vec<i64> = received.iter().map(|request| request.json()["version"].as_i64().unwrap()).collect();
    assert_eq!(versions, [1, 1, 2, 3]);
}

async fn i17_an_endpoint_is_tested_whichever_types_it_chose(mode: Mode) {
    let (fixture, receiver) = (start(mode).await, Receiver::start(&[]).await);
    let request = CreateWebhookEndpointRequest {
        event_types: vec![TicketCreated::full_name()],
        ..create_request(&receiver.url("/"))
    };
    let created = create(&fixture.account, request).await.unwrap();
    let endpoint = created.webhook_endpoint.unwrap();
    let queued = send_test(&fixture.account, &endpoint.id).await.unwrap();
    let sent = logged(&fixture.account, &endpoint.id, WebhookDeliveryStatus::Sent, 1).await.remove(0);
    assert_eq!((&sent.id, sent.event_type.as_str()), (&queued.id, "frontdesk.event.v1.WebhookEndpointTested"));
    let received = receiver.received().remove(0);
    assert!(received.is_signed_with(&created.secret), "{received:?}");
    assert_eq!(received.json()["data"]["webhookEndpointId"], endpoint.id);
}

async fn s4_no_private_address_is_connected_to_unless_the_settings_allow_it(mode: Mode) {
    let receiver = Receiver::start(&[]).await;
    let webhooks = WebhookSettings { allowed_networks: Vec::new(), max_attempts: 1, ..local() };
    let fixture = start_with(mode, webhooks).await;
    for url in
        ["http://127.0.0.1:1/", "http://[::1]/", "http://2130706433/", "http://169.254.169.254/", "ftp://a.example/"]
    {
        let refused = create(&fixture.account, create_request(url)).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "INVALID_FIELDS"), "{url}");
    }
    // The name says nothing; the address that it resolves to counts.
    let (endpoint, _) = endpoint(&fixture.account, &format!("http://localhost:{}/", receiver.port)).await;
    send_test(&fixture.account, &endpoint.id).await.unwrap();
    let failed = logged(&fixture.account, &endpoint.id, WebhookDeliveryStatus::Failed, 1).await.remove(0);
    assert!(failed.failure.contains("no address that webhooks may connect to"), "{failed:?}");
    assert_eq!((failed.response_status, receiver.received().len()), (0, 0));

    // An address that an endpoint has from before is refused too.
    let sql = format!("UPDATE webhook_endpoints SET url = 'http://127.0.0.1:{}/'", receiver.port);
    fixture.execute(&sql).await;
    send_test(&fixture.account, &endpoint.id).await.unwrap();
    logged(&fixture.account, &endpoint.id, WebhookDeliveryStatus::Failed, 2).await;
    assert!(receiver.received().is_empty());
    let https = start_with(mode, WebhookSettings { allow_http: false, max_attempts: 1, ..local() }).await;
    let refused = create(&https.account, create_request("http://hooks.example/")).await.unwrap_err();
    assert_eq!(reason(&refused), "INVALID_FIELDS");
    let (endpoint, _) = self::endpoint(&https.account, "https://hooks.example/").await;
    https.execute(&sql).await;
    send_test(&https.account, &endpoint.id).await.unwrap();
    let failed = logged(&https.account, &endpoint.id, WebhookDeliveryStatus::Failed, 1).await.remove(0);
    assert_eq!(failed.failure, "the address of the endpoint is not https");

    // What is refused goes before what is allowed.
    let refused_networks = vec!["127.0.0.0/8".to_owned()];
    let fixture = start_with(mode, WebhookSettings { refused_networks, ..local() }).await;
    let refused = create(&fixture.account, create_request(&receiver.url("/"))).await.unwrap_err();
    assert_eq!(reason(&refused), "INVALID_FIELDS");
    assert!(receiver.received().is_empty());
}

async fn s4_a_redirect_is_not_followed(mode: Mode) {
    let webhooks = WebhookSettings { max_attempts: 1, ..local() };
    let (fixture, receiver) = (start_with(mode, webhooks).await, Receiver::start(&[302]).await);
    let (endpoint, _) = endpoint(&fixture.account, &receiver.url("/")).await;
    send_test(&fixture.account, &endpoint.id).await.unwrap();
    let failed = logged(&fixture.account, &endpoint.id, WebhookDeliveryStatus::Failed, 1).await.remove(0);
    assert_eq!(failed.response_status, 302);
    assert!(failed.failure.contains("redirects are not followed"), "{failed:?}");
    let paths: Vec<String> = receiver.received().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/"]);
}

async fn s4_a_rotated_secret_signs_beside_the_previous_one(mode: Mode) {
    let (fixture, receiver) = (start(mode).await, Receiver::start(&[]).await);
    let (endpoint, first) = endpoint(&fixture.account, &receiver.url("/")).await;
    let rotate = RotateWebhookSecretRequest {
        webhook_endpoint_id: endpoint.id.clone(),
        keep_previous: None,
        request_id: request_id(),
    };
    let mut webhooks = fixture.account.webhooks();
    let rotated = webhooks.rotate_webhook_secret(rotate.clone()).await.unwrap().into_inner();
    assert_eq!(webhooks.rotate_webhook_secret(rotate.clone()).await.unwrap().into_inner(), rotated, "a repeat");
    let second = rotated.secret;
    assert_ne!(second, first);
    let next = async |count: usize| -> Received {
        send_test(&fixture.account, &endpoint.id).await.unwrap();
        receiver.wait_for(count).await.pop().unwrap()
    };
    let both = next(1).await;
    assert!(both.is_signed_with(&first) && both.is_signed_with(&second) && both.signatures.len() == 2, "{both:?}");
    fixture.service.clock.advance(25 * HOUR).unwrap();
    let later = next(2).await;
    assert!(!later.is_signed_with(&first) && later.is_signed_with(&second), "{later:?}");

    // A leaked secret.
    let keep_previous = Some(prost_types::Duration::default());
    let rotate = RotateWebhookSecretRequest { keep_previous, request_id: request_id(), ..rotate };
    let third = webhooks.rotate_webhook_secret(rotate).await.unwrap().into_inner().secret;
    let last = next(3).await;
    assert!(!last.is_signed_with(&second) && last.is_signed_with(&third), "{last:?}");
}

async fn s4_an_account_has_a_maximum_of_endpoints(mode: Mode) {
    let fixture = start_with(mode, WebhookSettings { endpoints_per_account: 2, ..local() }).await;
    let (first, _) = endpoint(&fixture.account, "https://hooks.example/1").await;
    endpoint(&fixture.account, "https://hooks.example/2").await;
    let refused = create(&fixture.account, create_request("https://hooks.example/3")).await.unwrap_err();
    let expected = (Code::FailedPrecondition, "TOO_MANY_WEBHOOK_ENDPOINTS".to_owned());
    assert_eq!((refused.code(), reason(&refused)), expected);
    delete(&fixture.account, &first.id).await.unwrap();
    endpoint(&fixture.account, "https://hooks.example/3").await;
    endpoint(&fixture.other_account(), "https://hooks.example/1").await;
}

async fn c12_an_endpoint_is_created_once_also_by_twenty_calls_at_once(mode: Mode) {
    let fixture = start(mode).await;
    let (account, request) = (fixture.account.clone(), create_request("https://hooks.example/"));
    let again = request.clone();
    let created = twenty_at_once(move |_| {
        let (account, request) = (account.clone(), request.clone());
        async move { create(&account, request).await.unwrap() }
    })
    .await;
    assert!(created.windows(2).all(|pair| pair[0] == pair[1]), "{created:?}");
    assert_eq!(fixture.count("FROM webhook_endpoints").await, 1);
    let other = CreateWebhookEndpointRequest { url: "https://other.example/".into(), ..again };
    assert_eq!(reason(&create(&fixture.account, other).await.unwrap_err()), "REQUEST_ID_REUSED");
    let mut webhooks = fixture.account.webhooks();
    let listed = webhooks.list_webhook_endpoints(ListWebhookEndpointsRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.webhook_endpoints, [created[0].webhook_endpoint.clone().unwrap()]);
}

async fn c12_an_update_with_a_stale_etag_is_refused(mode: Mode) {
    let fixture = start(mode).await;
    let (endpoint, _) = endpoint(&fixture.account, "https://hooks.example/").await;
    let request = UpdateWebhookEndpointRequest {
        webhook_endpoint_id: endpoint.id.clone(),
        description: Some("for the warehouse".into()),
        url: Some("https://hooks.example/new".into()),
        etag: endpoint.etag.clone(),
        ..Default::default()
    };
    let updated = update(&fixture.account, request.clone()).await.unwrap();
    assert_eq!((updated.version, updated.url.as_str()), (2, "https://hooks.example/new"));
    assert_eq!(update(&fixture.account, request.clone()).await.unwrap(), updated, "a repeat");
    let stale = UpdateWebhookEndpointRequest { description: Some("other".into()), ..request.clone() };
    let refused = update(&fixture.account, stale).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Aborted, "ETAG_MISMATCH"));
    let private = UpdateWebhookEndpointRequest { url: Some("https://10.0.0.1/".into()), ..request };
    assert_eq!(reason(&update(&fixture.account, private).await.unwrap_err()), "INVALID_FIELDS");
    assert_eq!(get(&fixture.account, &endpoint.id).await.unwrap(), updated);
}

async fn c12_a_deleted_endpoint_gets_nothing_any_more(mode: Mode) {
    let webhooks = WebhookSettings { retry_pause: HOUR, ..local() };
    let (fixture, receiver) = (start_with(mode, webhooks).await, Receiver::start(&[500]).await);
    let (endpoint, _) = endpoint(&fixture.account, &receiver.url("/")).await;
    post_message(&fixture).await;
    wait_for("the attempt", || async {
        log(&fixture.account, &endpoint.id).await.pop().filter(|delivery| delivery.attempt_count == 1)
    })
    .await;
    for _ in 0..2 {
        delete(&fixture.account, &endpoint.id).await.unwrap();
    }
    let failed = log(&fixture.account, &endpoint.id).await.remove(0);
    assert_eq!((failed.status(), failed.failure.as_str()), (WebhookDeliveryStatus::Failed, "the endpoint was deleted"));
    post_message(&fixture).await;
    let replay = ReplayWebhookDeliveryRequest { webhook_delivery_id: failed.id, request_id: request_id() };
    let refused = fixture.account.webhooks().replay_webhook_delivery(replay).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert_eq!(get(&fixture.account, &endpoint.id).await.unwrap_err().code(), Code::NotFound);
    assert_eq!((log(&fixture.account, &endpoint.id).await.len(), receiver.received().len()), (1, 1));
}

async fn c12_what_is_left_of_a_deleted_endpoint_is_deleted(mode: Mode) {
    let fixture = start(mode).await;
    let (deleted, _) = endpoint(&fixture.account, "https://hooks.example/").await;
    let (other, _) = endpoint(&fixture.account, "https://other.example/").await;
    for id in [&deleted.id, &other.id] {
        let request = UpdateWebhookEndpointRequest {
            webhook_endpoint_id: id.clone(),
            enabled: Some(false),
            ..Default::default()
        };
        update(&fixture.account, request).await.unwrap();
        send_test(&fixture.account, id).await.unwrap();
    }
    delete(&fixture.account, &deleted.id).await.unwrap();
    assert_eq!(fixture.count("FROM webhook_endpoints WHERE url = '' AND deleted_at IS NOT NULL").await, 1);
    // As if more had waited than the call ends.
    let sql =
        format!("UPDATE webhook_deliveries SET status = 'QUEUED' WHERE endpoint_id = {}", fixture.uuid(&deleted.id));
    fixture.execute(&sql).await;
    let eventually = async |what: &str, sql: &str| {
        wait_for(what, || async {
            fixture.service.clock.advance(Duration::from_secs(60)).unwrap();
            (fixture.count(sql).await == 1).then_some(())
        })
        .await;
    };
    eventually("the delivery to end", "FROM webhook_deliveries WHERE status = 'FAILED'").await;
    logged(&fixture.account, &other.id, WebhookDeliveryStatus::Queued, 1).await;
    fixture.service.clock.advance(31 * 24 * HOUR).unwrap();
    eventually("the row to be deleted", "FROM webhook_endpoints").await;
}

async fn s2_another_accounts_endpoints_do_not_exist(mode: Mode) {
    let (fixture, receiver) = (start(mode).await, Receiver::start(&[]).await);
    let (ours, _) = endpoint(&fixture.account, &receiver.url("/ours")).await;
    let other = fixture.other_account();
    endpoint(&other, &receiver.url("/theirs")).await;
    let delivery = send_test(&fixture.account, &ours.id).await.unwrap();
    post_message(&fixture).await;
    logged(&fixture.account, &ours.id, WebhookDeliveryStatus::Sent, 2).await;
    assert!(receiver.received().iter().all(|request| request.path == "/ours"), "events stay in their account");

    let id = ours.id.clone();
    let mut webhooks = other.webhooks();
    let rename = UpdateWebhookEndpointRequest { webhook_endpoint_id: id.clone(), ..Default::default() };
    let rotate =
        RotateWebhookSecretRequest { webhook_endpoint_id: id.clone(), keep_previous: None, request_id: request_id() };
    let list = ListWebhookDeliveriesRequest { webhook_endpoint_id: id.clone(), ..Default::default() };
    let find = GetWebhookDeliveryRequest { webhook_delivery_id: delivery.id.clone() };
    let replay = ReplayWebhookDeliveryRequest { webhook_delivery_id: delivery.id, request_id: request_id() };
    let span = ReplayWebhookDeliveriesRequest {
        webhook_endpoint_id: id.clone(),
        request_id: request_id(),
        ..Default::default()
    };
    for refused in [
        get(&other, &id).await.map(drop).unwrap_err(),
        update(&other, rename).await.map(drop).unwrap_err(),
        delete(&other, &id).await.unwrap_err(),
        send_test(&other, &id).await.map(drop).unwrap_err(),
        webhooks.rotate_webhook_secret(rotate).await.map(drop).unwrap_err(),
        webhooks.list_webhook_deliveries(list).await.map(drop).unwrap_err(),
        webhooks.get_webhook_delivery(find).await.map(drop).unwrap_err(),
        webhooks.replay_webhook_delivery(replay).await.map(drop).unwrap_err(),
        webhooks.replay_webhook_deliveries(span).await.map(drop).unwrap_err(),
    ] {
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
    }
    assert_eq!(get(&fixture.account, &id).await.unwrap(), ours);
}

async fn x2_no_event_of_a_suspended_account_is_sent_and_the_rows_of_one_that_has_ended_are_erased(mode: Mode) {
    let (fixture, receiver) = (start(mode).await, Receiver::start(&[]).await);
    let request = CreateWebhookEndpointRequest { ordered: true, ..create_request(&receiver.url("/")) };
    create(&fixture.account, request).await.unwrap();
    let change = async |state: AccountState, version: i32| {
        let changed = AccountStateChanged { account_job_id: new_id().to_string(), state: state.into() };
        let aggregate_id = fixture.account.id.to_string();
        let changed = Event { aggregate_id, version, ..event("conversation", fixture.account.id, &changed) };
        publish(&fixture, &changed).await;
    };
    change(AccountState::Suspended, 1).await;
    post_message(&fixture).await;
    assert_eq!(fixture.count("FROM webhook_deliveries WHERE status = 'QUEUED'").await, 1);
    assert!(receiver.received().is_empty());
    change(AccountState::Active, 2).await;
    receiver.wait_for(1).await;

    change(AccountState::Suspended, 3).await;
    change(AccountState::Ended, 4).await;
    fixture.service.clock.advance(Duration::from_secs(60)).unwrap();
    for table in ["webhook_deliveries", "webhook_endpoints", "webhook_event_orders"] {
        wait_for(table, || async { (fixture.count(&format!("FROM {table}")).await == 0).then_some(()) }).await;
    }
}
