//! Calls of `WebhookService`, and what its tests wait for.

use std::time::Duration;

use frontdesk_notification::{NotificationSettings, WebhookSettings};
use frontdesk_proto::{
    event::v1::{Event, MessagePosted},
    notification::v1beta1::{
        CreateWebhookEndpointRequest, CreateWebhookEndpointResponse, DeleteWebhookEndpointRequest,
        GetWebhookEndpointRequest, ListWebhookDeliveriesRequest, TestWebhookEndpointRequest,
        UpdateWebhookEndpointRequest, WebhookDelivery, WebhookDeliveryStatus, WebhookEndpoint,
    },
};
use frontdesk_testkit::{Mode, new_id, request_id, wait_for};
use tonic::Status;

use crate::fixture::{Account, Fixture};

pub const HOUR: Duration = Duration::from_secs(3600);
/// Pause after a failed attempt.
const SHORT: Duration = Duration::from_millis(20);

/// Settings that allow receivers on the loopback address.
pub fn local() -> WebhookSettings {
    WebhookSettings {
        allow_http: true,
        allowed_networks: vec!["127.0.0.0/8".into()],
        retry_pause: SHORT,
        ..WebhookSettings::default()
    }
}

pub async fn start(mode: Mode) -> Fixture {
    start_with(mode, local()).await
}

pub async fn start_with(mode: Mode, webhooks: WebhookSettings) -> Fixture {
    Fixture::start_with(mode, NotificationSettings { webhooks, ..NotificationSettings::default() }).await
}

pub fn create_request(url: &str) -> CreateWebhookEndpointRequest {
    CreateWebhookEndpointRequest { url: url.into(), request_id: request_id(), ..Default::default() }
}

pub async fn create(
    account: &Account,
    request: CreateWebhookEndpointRequest,
) -> Result<CreateWebhookEndpointResponse, Status> {
    Ok(account.webhooks().create_webhook_endpoint(request).await?.into_inner())
}

/// A new endpoint for all events, and its secret.
pub async fn endpoint(account: &Account, url: &str) -> (WebhookEndpoint, String) {
    let created = create(account, create_request(url)).await.unwrap();
    (created.webhook_endpoint.unwrap(), created.secret)
}

pub async fn update(account: &Account, request: UpdateWebhookEndpointRequest) -> Result<WebhookEndpoint, Status> {
    Ok(account.webhooks().update_webhook_endpoint(request).await?.into_inner().webhook_endpoint.unwrap())
}

/// Enables or disables an endpoint.
pub async fn set_enabled(account: &Account, id: &str, enabled: bool) -> WebhookEndpoint {
    let request =
        UpdateWebhookEndpointRequest { webhook_endpoint_id: id.into(), enabled: Some(enabled), ..Default::default() };
    update(account, request).await.unwrap()
}

pub async fn get(account: &Account, id: &str) -> Result<WebhookEndpoint, Status> {
    let request = GetWebhookEndpointRequest { webhook_endpoint_id: id.into() };
    Ok(account.webhooks().get_webhook_endpoint(request).await?.into_inner().webhook_endpoint.unwrap())
}

pub async fn delete(account: &Account, id: &str) -> Result<(), Status> {
    let request = DeleteWebhookEndpointRequest { webhook_endpoint_id: id.into() };
    account.webhooks().delete_webhook_endpoint(request).await.map(drop)
}

pub async fn send_test(account: &Account, id: &str) -> Result<WebhookDelivery, Status> {
    let request = TestWebhookEndpointRequest { webhook_endpoint_id: id.into(), request_id: request_id() };
    Ok(account.webhooks().test_webhook_endpoint(request).await?.into_inner().webhook_delivery.unwrap())
}

/// The log of an endpoint, newest first.
pub async fn log(account: &Account, id: &str) -> Vec<WebhookDelivery> {
    let request = ListWebhookDeliveriesRequest { webhook_endpoint_id: id.into(), page_size: 200, ..Default::default() };
    account.webhooks().list_webhook_deliveries(request).await.unwrap().into_inner().webhook_deliveries
}

/// Waits until the log of the endpoint has this number of deliveries with the status. Returns them, newest first.
pub async fn logged(account: &Account, id: &str, status: WebhookDeliveryStatus, count: usize) -> Vec<WebhookDelivery> {
    wait_for("the log", || async {
        let mut all = log(account, id).await;
        all.retain(|delivery| delivery.status() == status);
        (all.len() == count).then_some(all)
    })
    .await
}

/// Publishes a message of a conversation, and waits until it is queued.
pub async fn post_message(fixture: &Fixture) -> Event {
    let posted = MessagePosted { conversation_id: new_id().to_string(), sequence: 1, ..Default::default() };
    let event = fixture.service.publish("conversation", fixture.account.id, &posted).await;
    fixture.service.settled().await;
    event
}

pub async fn publish(fixture: &Fixture, event: &Event) {
    for published in fixture.service.bus.publish(std::slice::from_ref(event)).await {
        published.unwrap();
    }
    fixture.service.settled().await;
}
