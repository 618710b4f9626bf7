//! The events that webhooks send: rules I17, S4, X2.

use std::time::Duration;

use frontdesk_notification::WebhookSettings;
use frontdesk_proto::{
    event::v1::{AccountState, AccountStateChanged, Event, MessagePosted, TicketCreated, WebhookEndpointDisabled},
    notification::v1beta1::{
        CreateWebhookEndpointRequest, GetWebhookDeliveryRequest, ReplayWebhookDeliveriesRequest,
        ReplayWebhookDeliveryRequest, RotateWebhookSecretRequest, UpdateWebhookEndpointRequest, WebhookDeliveryStatus,
        WebhookEventTypes,
    },
};
use frontdesk_testkit::{Mode, event, new_id, on_both_modes, request_id, wait_for};
use prost::Name;

use crate::{
    receiver::{Received, Receiver},
    webhook_calls::{
        HOUR, create, create_request, endpoint, get, local, log, logged, post_message, publish, send_test, set_enabled,
        start, start_with, update,
    },
};

on_both_modes!(
    i17_an_event_is_posted_as_json_with_a_valid_signature_and_logged,
    i17_an_event_that_is_delivered_again_is_posted_once,
    i17_an_endpoint_gets_the_types_that_it_names_while_it_is_enabled,
    i17_what_is_not_confirmed_is_sent_again_until_it_is,
    i17_a_receiver_that_hangs_delays_no_other,
    i17_more_receivers_that_hang_than_there_are_slots_delay_no_other,
    i17_an_endpoint_whose_attempts_fail_for_the_set_time_is_disabled_with_an_event,
    i17_a_receiver_that_wants_no_events_any_more_disables_its_endpoint,
    i17_a_receiver_says_after_which_pause_it_wants_the_next_attempt,
    i17_one_delivery_or_a_span_is_sent_again_with_its_id,
    i17_an_endpoint_is_tested_whichever_types_it_chose,
    s4_a_redirect_is_not_followed,
    s4_a_rotated_secret_signs_beside_the_previous_one,
    x2_no_event_of_a_suspended_account_is_sent_and_the_rows_of_one_that_has_ended_are_erased,
);

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
    assert!(set_enabled(&fixture.account, &id, true).await.enabled);
    let event = post_message(&fixture).await;
    logged(&fixture.account, &id, WebhookDeliveryStatus::Sent, 2).await;
    assert_eq!(receiver.received().pop().unwrap().id, event.id);
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
    let enabled = set_enabled(&fixture.account, &endpoint.id, true).await;
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
