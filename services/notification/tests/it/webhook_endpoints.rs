//! Endpoints of webhooks, with `WebhookService`: rules C12, S2, S4.

use std::time::Duration;

use frontdesk_notification::WebhookSettings;
use frontdesk_proto::{
    event::v1::TicketCreated,
    notification::v1beta1::{
        CreateWebhookEndpointRequest, GetWebhookDeliveryRequest, ListWebhookDeliveriesRequest,
        ListWebhookEndpointsRequest, ReplayWebhookDeliveriesRequest, ReplayWebhookDeliveryRequest,
        RotateWebhookSecretRequest, UpdateWebhookEndpointRequest, WebhookDeliveryStatus, WebhookEventTypes,
    },
};
use frontdesk_testkit::{Mode, on_both_modes, reason, request_id, wait_for};
use prost::Name;
use tonic::Code;
use tonic_types::StatusExt;

use crate::{
    fixture::twenty_at_once,
    receiver::Receiver,
    webhook_calls::{
        HOUR, create, create_request, delete, endpoint, get, local, log, logged, post_message, send_test, set_enabled,
        start, start_with, update,
    },
};

on_both_modes!(
    c12_an_unknown_type_of_events_is_refused,
    s4_no_private_address_is_connected_to_unless_the_settings_allow_it,
    s4_an_account_has_a_maximum_of_endpoints,
    c12_an_endpoint_is_created_once_also_by_twenty_calls_at_once,
    c12_an_update_with_a_stale_etag_is_refused,
    c12_a_deleted_endpoint_gets_nothing_any_more,
    c12_what_is_left_of_a_deleted_endpoint_is_deleted,
    s2_another_accounts_endpoints_do_not_exist,
);

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
        set_enabled(&fixture.account, id, false).await;
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
