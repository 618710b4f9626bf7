//! Endpoints of webhooks.

use frontdesk_proto::notification::v1beta1::{
    CreateWebhookEndpointRequest, DeleteWebhookEndpointRequest, webhook_service_client::WebhookServiceClient,
};
use serde_json::Value;

use crate::{
    cluster::{Failure, Service},
    driver::{Caller, Driver, Outcome, request_id},
};

/// Creates an endpoint for all events of the caller's account. Returns its id and its secret.
pub async fn create_endpoint(
    driver: &Driver,
    admin: &Caller,
    url: &str,
    ordered: bool,
) -> Result<(String, String), Failure> {
    let request =
        CreateWebhookEndpointRequest { url: url.to_owned(), ordered, request_id: request_id(), ..Default::default() };
    let call = ("CreateWebhookEndpoint", "", "");
    let outcome = driver
        .call_until_answered(
            admin,
            Service::Notification,
            call,
            Value::Null,
            |_| Value::Null,
            |channel| {
                let request = request.clone();
                async move { WebhookServiceClient::new(channel).create_webhook_endpoint(request).await }
            },
        )
        .await;
    let response = answer("CreateWebhookEndpoint", outcome)?;
    let endpoint = response.webhook_endpoint.ok_or("CreateWebhookEndpoint answered without an endpoint")?;
    Ok((endpoint.id, response.secret))
}

/// Deletes an endpoint: what waits for it is not sent.
pub async fn delete_endpoint(driver: &Driver, admin: &Caller, endpoint: &str) -> Result<(), Failure> {
    let request = DeleteWebhookEndpointRequest { webhook_endpoint_id: endpoint.to_owned() };
    let call = ("DeleteWebhookEndpoint", "", "");
    let outcome = driver
        .call_until_answered(
            admin,
            Service::Notification,
            call,
            Value::Null,
            |_| Value::Null,
            |channel| {
                let request = request.clone();
                async move { WebhookServiceClient::new(channel).delete_webhook_endpoint(request).await }
            },
        )
        .await;
    answer("DeleteWebhookEndpoint", outcome).map(drop)
}

fn answer<T>(call: &str, outcome: Outcome<T>) -> Result<T, Failure> {
    match outcome {
        Outcome::Ok(response) => Ok(response),
        Outcome::Refused(status) => Err(format!("{call}: {status}").into()),
        Outcome::Unknown => Err(format!("{call}: no answer").into()),
    }
}
